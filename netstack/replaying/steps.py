"""A talk, and its steps: a connection, or an exchange of datagrams, as it was captured.

Sequence numbers become offsets into the two streams, by which a step can be played at any other sequence numbers: -1 is the SYN, 0
the first byte, and the FIN stands behind the last. They are not taken modulo anything, so streams may be longer than 2**32.

Where the capture begins in the middle of a connection, the first segment says where both streams are, and a handshake that
nobody captured is made up.
"""

from __future__ import annotations

import attrs

from .. import const
from ..address import ip4_text
from ..errors import WireError
from ..tcp.wire import Segment
from .expected import Expected

ACK, FIN, RST, SYN = const.ACK, const.FIN, const.RST, const.SYN
# What a capture may lack and have made up: two packets with sequence numbers far apart are a hole of gigabytes
FILL_LIMIT = 4 << 20


@attrs.frozen(eq=False)
class Step:
    """A captured packet. `ours`: our host sent it. `time` is in nanoseconds from the first packet of the capture."""

    number: int
    time: int
    ours: bool
    talk: Talk


@attrs.frozen(eq=False)
class SegmentStep(Step):
    """`start` and `ack` are offsets; `ack` is None without an ACK. `window` is the field as it was captured."""

    talk: TcpTalk
    start: int
    ack: int | None
    flags: int
    window: int = 0
    options: bytes = b""
    payload: bytes = b""
    urgent: int = 0
    tos: int = 0
    ttl: int = 64

    @property
    def kinds(self) -> set[int]:
        """Of its options."""
        return {kind for kind, _ in options_of(self.options)} if self.options else set()

    @property
    def end(self) -> int:
        """The offset behind all that it takes of the stream, SYN and FIN among it."""
        return self.start + len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


@attrs.frozen(eq=False)
class DatagramStep(Step):
    """A datagram of UDP, its `payload`; an echo, with the whole ICMP message; or anything else, with the whole IPv4 datagram."""

    payload: bytes
    tos: int = 0
    ttl: int = 64


class TcpTalk:
    """A captured connection. `to_us` and `from_us` are its streams as the capture has them."""

    def __init__(self, host: int, host_port: int, peer: int, peer_port: int) -> None:
        self.host, self.host_port, self.peer, self.peer_port = host, host_port, peer, peer_port
        self.steps: list[SegmentStep] = []
        self.peer_opens = False  # the peer sent the SYN
        self.has_handshake = False
        self.their_isn: int | None = None  # of the stream to us
        self.our_isn: int | None = None
        self.their_shift: int | None = 0  # by which the windows of the peer are scaled; None where it didn't say
        self.our_shift: int | None = None
        self.to_us = Expected()
        self.from_us = Expected()
        self.our_fin: tuple[int, int] | None = None  # its offset, and the packet
        self.our_rst: int | None = None  # the packet
        self.their_rst: int | None = None
        self.lacks: tuple[int, int] | None = None  # of the stream to us: where the capture lacks what was sent, and how much
        self._at = [0, 0]  # the offsets that were seen last, ours and theirs: where wrapping is reckoned from

    @property
    def name(self) -> str:
        """Who called whom."""
        us, them = f"{ip4_text(self.host)}:{self.host_port}", f"{ip4_text(self.peer)}:{self.peer_port}"
        return f"{them} > {us}" if self.peer_opens else f"{us} > {them}"

    @property
    def refused(self) -> bool:
        """Our host answered the SYN by a reset."""
        return self.peer_opens and self.our_rst is not None and not self.was_accepted

    def is_new(self, segment: Segment, ours: bool) -> bool:
        """Does this SYN open another connection between the same ends?"""
        known = self.our_isn if ours else self.their_isn
        if known is None:
            return bool(self.steps) and not self.has_handshake
        return known != segment.seq

    def add(self, number: int, time: int, ours: bool, segment: Segment, tos: int, ttl: int) -> None:
        syn = bool(segment.flags & SYN)
        if not self.steps:
            self.has_handshake = syn
            answers = syn and bool(segment.flags & ACK)
            # without a SYN: servers have the lower port, nearly always
            self.peer_opens = ours == answers if syn else self.host_port <= self.peer_port
        seq = segment.seq + 1 if syn else segment.seq
        if ours and self.our_isn is None:
            self.our_isn = (seq - 1) & const.M32
        elif not ours and self.their_isn is None:
            self.their_isn = (seq - 1) & const.M32
        ack = None
        if segment.flags & ACK:
            if ours and self.their_isn is None:
                self.their_isn = (segment.ack - 1) & const.M32
            elif not ours and self.our_isn is None:
                self.our_isn = (segment.ack - 1) & const.M32
            ack = self._offset(segment.ack, not ours)
        start = self._offset(seq, ours) - syn
        if syn:
            shift = scale_of(segment)
            if ours:
                self.our_shift = shift
            else:
                self.their_shift = shift
        step = SegmentStep(
            number, time, ours, self, start, ack, segment.flags, segment.window, segment.options, segment.payload,
            segment.urgent, tos, ttl,
        )  # fmt: skip
        self.steps.append(step)
        stream = self.from_us if ours else self.to_us
        stream.add(start + syn, segment.payload, number)
        if segment.flags & FIN and ours and self.our_fin is None:
            self.our_fin = step.end - 1, number
        if segment.flags & RST:
            if ours and self.our_rst is None:
                self.our_rst = number
            elif not ours and self.their_rst is None:
                self.their_rst = number

    def _offset(self, number: int, ours: bool) -> int:
        """Of a sequence number: the one nearest to what was seen last."""
        base = self.our_isn if ours else self.their_isn
        assert base is not None
        side = not ours
        last = self._at[side]
        delta = (number - base - 1 - last) & const.M32
        offset = last + delta - (1 << 32 if delta >> 31 else 0)
        if abs(offset - last) < 1 << 30:  # what is farther away is nobody's, and must not move us
            self._at[side] = max(last, offset)
        return offset

    @property
    def was_accepted(self) -> bool:
        """Our host has sent a SYN, or must have."""
        return any(step.ours and step.flags & SYN for step in self.steps)

    @property
    def shift(self) -> int:
        """By which the windows of the peer's segments are scaled: both sides must have said so (RFC 7323 2.2). Where only one of
        the SYNs was captured the other is believed to have."""
        if self.their_shift is None or (self.our_shift is None and self.was_accepted):
            return 0
        return self.their_shift

    def finish(self, fill: bool) -> None:
        """All packets have been seen: make up what the capture lacks, and leave out what can't be played without it."""
        self._add_handshake()
        holes = self.to_us.holes(self._sent_to_us())
        if not holes:
            return
        if fill and sum(length for _, length in holes) <= FILL_LIMIT:
            for at, length in holes:
                self._fill(at, length)
        else:
            self.lacks = holes[0]
            self._truncate(holes[0][0])

    def _sent_to_us(self) -> int:
        """How long the stream to us must have been: what was captured of it, and what our host has acknowledged."""
        theirs = [step for step in self.steps if not step.ours and (step.payload or step.flags & FIN)]
        fin = min((step.start + len(step.payload) for step in theirs if step.flags & FIN), default=None)
        last = max((step.start + len(step.payload) for step in theirs), default=0)
        acked = max((step.ack for step in self.steps if step.ours and step.ack is not None), default=0)
        if fin is not None:
            return max(last, fin)
        return max(last, acked)

    def _add_handshake(self) -> None:
        opening = next((step for step in self.steps if step.flags & (SYN | ACK) == SYN), None)
        if opening is not None and opening is not self.steps[0]:  # captured on two ways, its answer may stand before it
            self.steps.remove(opening)
            self.steps.insert(0, opening)
            self.peer_opens = not opening.ours
        first = self.steps[0]
        syns = {step.ours for step in self.steps if step.flags & SYN}
        if self.peer_opens and False not in syns:
            made = [self._made(first, False, SYN, -1, None)]
            if True not in syns:
                made += [self._made(first, True, SYN | ACK, -1, 0), self._made(first, False, ACK, 0, 0)]
        elif not self.peer_opens and True not in syns:
            made = [self._made(first, True, SYN, -1, None)]
            if False not in syns:
                made += [self._made(first, False, SYN | ACK, -1, 0)]
        elif not self.peer_opens and False not in syns and any(step.ours and step.start >= 0 and step.ack for step in self.steps):
            self.steps.insert(1, self._made(first, False, SYN | ACK, -1, 0))  # one way alone was captured
            return
        else:
            return
        self.steps[:0] = made

    def _made(self, like: SegmentStep, ours: bool, flags: int, start: int, ack: int | None) -> SegmentStep:
        """A segment that nobody captured."""
        mss = b"\x02\x04\x05\xb4" if flags & SYN else b""
        return SegmentStep(like.number, like.time, ours, self, start, ack, flags, const.M16, mss)

    def _fill(self, at: int, length: int) -> None:
        """Zeros for what the capture lacks, just before the first packet from behind it."""
        behind = (i for i, step in enumerate(self.steps) if step.start >= at + length if not step.ours)
        place = next(behind, len(self.steps))
        like = self.steps[place] if place < len(self.steps) else next(step for step in reversed(self.steps) if not step.ours)
        pieces = [
            attrs.evolve(like, start=o, payload=bytes(min(1400, at + length - o)), flags=ACK, urgent=0, options=b"")
            for o in range(at, at + length, 1400)
        ]
        for piece in pieces:
            self.to_us.add(piece.start, piece.payload, like.number)
        self.steps[place:place] = pieces

    def _truncate(self, at: int) -> None:
        """Our host will never take what is behind `at`, and what it said to that can't be expected."""
        behind = next((i for i, step in enumerate(self.steps) if not step.ours and step.start > at), len(self.steps))
        kept = self.steps[:behind]
        for step in self.steps[behind:]:
            if step.ours:
                can = step.ack is not None and not step.flags & RST
            else:
                can = step.start <= at and not step.flags & (FIN | RST)
            if can:
                kept.append(step)
        self.steps = [step for step in kept if not step.ours or step.ack is None or step.ack <= at]
        self.from_us = Expected()
        self.our_fin = self.our_rst = self.their_rst = None
        for step in self.steps:
            if step.ours:
                self.from_us.add(step.start + bool(step.flags & SYN), step.payload, step.number)
                if step.flags & FIN and self.our_fin is None:
                    self.our_fin = step.end - 1, step.number
        self.to_us.truncate(at)


class DatagramTalk:
    """Datagrams between two ends, "udp"; echoes of one identifier, "echo"; or what is played as it is, "other"."""

    def __init__(self, kind: str, host: int, host_port: int, peer: int, peer_port: int) -> None:
        self.kind, self.host, self.host_port, self.peer, self.peer_port = kind, host, host_port, peer, peer_port
        self.steps: list[DatagramStep] = []

    @property
    def we_open(self) -> bool:
        return self.steps[0].ours

    @property
    def we_asked(self) -> bool:
        """Of echoes: the requests are ours, whichever was captured."""
        return bool(self.host_port >> 16)

    @property
    def name(self) -> str:
        if self.kind == "echo":
            return f"echo {ip4_text(self.host)} {'>' if self.we_asked else '<'} {ip4_text(self.peer)}"
        us, them = f"{ip4_text(self.host)}:{self.host_port}", f"{ip4_text(self.peer)}:{self.peer_port}"
        return f"udp {us} > {them}" if self.we_open else f"udp {them} > {us}"


Talk = TcpTalk | DatagramTalk


def scale_of(segment: Segment) -> int | None:
    """The window scale of a SYN (RFC 7323 2.3: 14 is the most). A malformed option is none."""
    try:
        value = segment.option(3)
    except WireError:
        return None
    return min(value[0], 14) if value else None


def options_of(data: bytes) -> list[tuple[int, bytes]]:
    """Kinds and values of the options of a segment, without padding, up to the first that is malformed."""
    found, o = [], 0
    while o < len(data) and data[o]:
        if data[o] == 1:
            o += 1
            continue
        if o + 2 > len(data) or not 2 <= data[o + 1] <= len(data) - o:
            break
        found.append((data[o], data[o + 2 : o + data[o + 1]]))
        o += data[o + 1]
    return found
