"""A connection of a capture: both directions, the handshake, whose turn it was, and how it ended."""

from __future__ import annotations

from ..instant import MILLISECOND
from ..tracing.reading import ACK, FIN, RST, SYN, Segment, flag_words
from .way import Way

End = tuple[int, int]  # address and port
THINKING = 2 * MILLISECOND  # an answer that comes sooner than this after the round trip was not waited for


class Talk:
    """`client` began, as far as can be seen: it sent the SYN, or the first segment from the higher port."""

    def __init__(self, number: int, client: End, server: End, t: int, version: int) -> None:
        self.number = number  # in the file, from 1
        self.client = client
        self.server = server
        self.version = version  # of IP
        self.began = self.last = t
        self.packets = 0
        self.out = Way()  # from the client
        self.back = Way()
        self.syns: list[tuple[int, int]] = []  # when, and the packet
        self.synacks: list[tuple[int, int]] = []
        self.opened = -1  # the handshake's ACK
        self.scales = [-1, -1]
        self.fins: list[tuple[int, bool, int]] = []  # when, by the client, packet
        self.resets: list[tuple[int, bool, int, str]] = []
        self.cut = 0
        self.turns = 0  # answers of the server to the client
        self.thinking = 0  # what it took to begin them, beyond the round trip …
        self.slowest = (0, 0)  # … at most, and the packet in which that one began
        self._asked = -1
        self._before: tuple[bool, Segment, int] | None = None

    @property
    def round_trip(self) -> int:
        """Of the handshake, from where was captured to the server: 0 when it is not there, or was sent again."""
        if len(self.syns) == 1 and self.synacks:
            return max(self.synacks[0][0] - self.syns[0][0], 1)
        return 0

    @property
    def near_trip(self) -> int:
        """From where was captured to the client."""
        return max(self.opened - self.synacks[-1][0], 1) if self.opened >= 0 and len(self.synacks) == 1 else 0

    def segment(self, s: Segment, t: int, number: int, cut: bool) -> None:
        self.packets += 1
        self.last = max(self.last, t)
        self.cut += cut
        by_client = (s.src, s.sport) == self.client
        mine, theirs = (self.out, self.back) if by_client else (self.back, self.out)
        if s.flags & SYN:
            self._syn(s, t, number, by_client, mine)
        if s.flags & RST:
            self.resets.append((t, by_client, number, self._answers(by_client)))
            del self.resets[50:]
        if s.n or s.flags & FIN:
            kind = mine.text(t, (s.seq + (s.flags >> 1 & 1)) & 0xFFFFFFFF, s.n, number, bool(s.flags & FIN))
            if s.n and kind == "new":
                self._turn(t, number, by_client)
        if s.flags & FIN and len(self.fins) < 4:
            self.fins.append((t, by_client, number))
        if s.flags & ACK and not s.flags & RST:
            if by_client and self.synacks and self.opened < 0 and not s.flags & SYN:
                self.opened = t
            shift = 0 if s.flags & SYN or min(self.scales) < 0 else self.scales[0 if by_client else 1]
            empty = not s.n and not s.flags & (SYN | FIN)
            theirs.ack(t, s.ack, s.window << shift, empty, number, s.sacks, self.round_trip if not by_client else self.near_trip)
        self._before = (by_client, s, number)

    def _syn(self, s: Segment, t: int, number: int, by_client: bool, mine: Way) -> None:
        self.scales[0 if by_client else 1] = s.wscale
        if s.mss:
            (self.back if by_client else self.out).limit = s.mss
        if by_client:
            if len(self.syns) < 20:
                self.syns.append((t, number))
            if mine.packets == 0:
                mine.base = s.seq
        else:
            if len(self.synacks) < 20:
                self.synacks.append((t, number))
            if mine.packets == 0:
                mine.base = s.seq

    def _turn(self, t: int, number: int, by_client: bool) -> None:
        """Whose turn is it? The server answers: how long did it think?"""
        if by_client:
            self._asked = t
        elif self._asked >= 0:
            took = t - self._asked - self.round_trip
            self._asked = -1
            self.turns += 1
            if took > 0:
                self.thinking += took
                if took > self.slowest[0]:
                    self.slowest = (took, number)

    def _answers(self, by_client: bool) -> str:
        """What the reset came after."""
        if self._before is None:
            return "at the very beginning of the capture"
        theirs, s, number = self._before
        who = "its own" if theirs == by_client else "the other side's"
        what = flag_words(s.flags) or (f"{s.n} bytes of data" if s.n else "ACK")
        return f"after {who} {what} in packet {number}"

    def end(self, t: int) -> None:
        self.out.end(min(t, self.last))
        self.back.end(min(t, self.last))

    @property
    def ended(self) -> str:
        """How, in a word or two."""
        if self.resets:
            return "refused" if self.opened < 0 and not self.out.bytes and not self.back.bytes and self.syns else "reset"
        if len({by for _, by, _ in self.fins}) == 2:
            return "closed"
        if self.fins:
            return "closed by one side"
        if self.syns and not self.synacks:
            return "never answered"
        return "still open"
