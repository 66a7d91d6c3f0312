"""A captured TCP connection at play: its peer is a script, not a TCP of its own.

Each captured segment of the peer is sent again when what it depends on has happened, with its numbers mapped:

  seq          the peer begins where it began when it was captured, so sequence numbers are those of the capture
  ack, SACK    from the captured host's numbers to the stack's; never beyond what the stack has sent
  window       as captured, in bytes
  timestamps   the peer's own as captured; what it echoes is what the stack sent last
  ports        the peer's as captured; ours too where we serve, or what our program's connect has chosen

What the stack sends may be cut otherwise than it was, and be acknowledged at other times: only the stream counts. So the script
isn't enough. A stack may wait for an acknowledgement that the captured one did not need (Nagle, a smaller congestion window): when
the script waits too, what has come is acknowledged beside it (`settle`). And what the stack has dropped is sent again (`resend`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from .. import const
from ..checksum import checksum
from ..errors import WireError
from ..instant import MILLISECOND
from ..tcp.wire import Segment
from .steps import ACK, FIN, RST, SYN, SegmentStep, TcpTalk, options_of

if TYPE_CHECKING:
    from .report import Played

MSS, WSCALE, SACK_PERMITTED, SACK, TIMESTAMPS, MD5 = 2, 3, 4, 5, 8, 19
LEFT_OUT = (MD5, 29, 34)  # keys that we don't have (RFC 2385, RFC 5925), and cookies of another server (RFC 7413)
RESEND = 200 * MILLISECOND  # as often as Linux at first, then twice as long each time, up to 6.4 s …
RESENDS = 8  # … without progress: a stack that takes nothing for 25 s won't
# How much a program may send beyond what was captured before nobody acknowledges it any more. An endless one must not fill memory
EXTRA = 1 << 18

Send = Callable[[bytes, int], None]


class TcpPlay:
    """One connection: what the stack has sent of it, and what was sent to it. Offsets are those of the script."""

    def __init__(self, talk: TcpTalk, send: Send) -> None:
        self.talk = talk
        self._send = send
        self.peer_isn = talk.their_isn or 0
        self.host_port: int | None = talk.host_port if talk.peer_opens else None  # of the stack
        # of the stack's stream
        self.host_isn: int | None = None
        self.heard = bytearray()
        self.next = -1  # the offset that comes next: 0 after the SYN, one more than the stream's length after the FIN
        self.fin: int | None = None
        self.reset = False
        self._early: dict[int, tuple[bytes, bool]] = {}
        # of the peer's stream
        self.opened = False  # our SYN, or SYN and ACK, has been sent
        self.sent = -1  # behind all that was played
        self.acked = -1
        self.edge = 0  # behind the window that the stack offers
        self.said = -1  # what we acknowledged last
        self.behind = 0  # how much of the stack's stream the script has given up waiting for
        self.over = ""  # why nothing more is played
        self._scale = 0  # of the stack's windows
        self._shift = talk.shift  # of the peer's
        self._scaled = talk.their_shift is not None and (talk.our_shift is not None or not talk.was_accepted)
        self._offered = {
            kind for step in talk.steps if not step.ours and step.flags & SYN for kind, _ in options_of(step.options)
        }  # in the peer's SYN
        self._timestamps = False
        self._sack = False
        self._echo = 0
        self._stamp = 0
        self._window = 65535
        self._allowed = 0  # up to where we have offered window last
        self._captured_ack = -1
        self.progress = 0  # when the stack acknowledged something new
        self._resends = 0
        self._gone: list[SegmentStep] = []  # played, and not acknowledged when that was last looked at
        self.asked: object = None  # the step for which our host was prompted last
        self.taken: bytearray | None = None  # what the program got, where somebody says so
        self._ident = 1
        self._repeated = False

    # -- what the stack sends -----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, now: int) -> bool:
        """A segment of the stack's. True when it brought something new."""
        before = self.next, self.fin, self.reset, self.acked, self.edge
        if segment.flags & SYN:
            self._syn(segment)
        if segment.flags & RST:
            self.reset = True
            return before[2] is False
        if self.host_isn is None:
            return False
        self._stamps(segment)
        if segment.flags & ACK:
            ack = self._far(segment.ack, self.peer_isn, self.acked)
            if self.acked < ack <= self.sent:
                self.acked = ack
                self.progress, self._resends = now, 0
            if ack <= self.sent:
                shift = 0 if segment.flags & SYN else self._scale
                self.edge = max(self.edge, ack + (segment.window << shift))
        data, start = segment.payload, self._far(segment.seq, self.host_isn, max(self.next, 0)) + bool(segment.flags & SYN)
        if data or segment.flags & FIN:
            self._store(start, data, bool(segment.flags & FIN))
        return before != (self.next, self.fin, self.reset, self.acked, self.edge)

    def _syn(self, segment: Segment) -> None:
        if self.host_isn is None:
            self.host_isn = segment.seq
            self.next = 0
            self._timestamps = segment.option(TIMESTAMPS) is not None and TIMESTAMPS in self._offered
            self._sack = segment.option(SACK_PERMITTED) is not None
            scale = segment.option(WSCALE)
            self._scale = min(scale[0], 14) if scale and self._scaled and WSCALE in self._offered else 0
            self.edge = max(self.edge, segment.window)

    def _stamps(self, segment: Segment) -> None:
        if self._timestamps or segment.flags & SYN:
            try:
                value = segment.option(TIMESTAMPS)
            except WireError:
                return
            if value is not None and len(value) == 8:
                self._echo = int.from_bytes(value[:4], "big")

    @staticmethod
    def _far(number: int, isn: int, last: int) -> int:
        delta = (number - isn - 1 - last) & const.M32
        return last + delta - (1 << 32 if delta >> 31 else 0)

    def _store(self, start: int, data: bytes, fin: bool) -> None:
        if start > self.next:
            if len(self._early) < 4096:
                self._early[start] = data, fin
            return
        if start + len(data) + fin <= self.next:
            self._repeated = True  # it wants to hear that it has come (RFC 9293 3.10.7.4)
            return
        if self.fin is not None:
            return
        fresh = data[self.next - start :]
        if len(self.heard) > self.talk.from_us.end + EXTRA:
            return
        self.heard += fresh
        self.next += len(fresh)
        if fin:
            self.fin = self.next
            self.next += 1
        while self._early:
            early = min(self._early)
            if early > self.next:
                break
            self._store(early, *self._early.pop(early))

    # -- the script -----------------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Nothing more will come from the stack."""
        return self.reset or bool(self.over) or (self.fin is not None and self.next > self.fin)

    def may(self, step: SegmentStep, wait_answers: bool = True) -> bool:
        """Has what this step depends on happened?"""
        if self.reset or self.over:
            return True
        if step.ours:
            if step.flags & RST:
                return self.ended
            return self.ended or self.next >= min(step.end, step.end - self.behind)
        if step.flags & SYN:
            return not step.flags & ACK or self.host_isn is not None
        if self.host_isn is None:
            return False
        if wait_answers and step.ack is not None and step.ack > self.next + self.behind and not self.ended:
            return False
        if step.flags & RST:
            return self.acked >= min(step.start, self.sent) or self._resends >= RESENDS
        return step.start + len(step.payload) <= max(self.edge, self.sent) or not step.payload

    def play(self, step: SegmentStep, now: int, again: bool = False) -> None:
        """Send it, numbers mapped."""
        if self.over or (self.reset and not step.flags & RST) or self._is_foreign(step):
            return
        if step.flags & SYN:
            self.opened = True
        ack = None
        if step.ack is not None and self.host_isn is not None:
            ack = min(step.ack, self.next)
        window = step.window if step.flags & SYN else step.window << self._shift
        if window and not self.talk.has_handshake:
            window = max(window, const.M16)  # its scale was said before the capture began
        bare = not step.payload and not step.flags & (SYN | FIN | RST)
        if bare and ack is not None and not again:
            # an acknowledgement that was news when it was captured, and isn't now: a second one would say that something is lost
            news = step.ack is not None and step.ack > self._captured_ack
            self._captured_ack = max(self._captured_ack, step.ack or 0)
            if news and ack <= self.said and window == self._window and step.start >= 0:
                return
        elif step.ack is not None:
            self._captured_ack = max(self._captured_ack, step.ack)
        if ack is None and step.ack is not None and not step.flags & RST:
            return
        if not step.flags & RST:
            self._window = window
        if step.end > self.acked and not again and not step.flags & RST and not bare:
            self._gone.append(step)
        if step.end > self.sent:
            if self.sent <= self.acked:
                self.progress = now
            self.sent = step.end
        self._emit(step.start, ack, step.flags, window, step.payload, now, step, again)

    def _is_foreign(self, step: SegmentStep) -> bool:
        """Signed, in a connection that isn't: what the captured host must have thrown away (RFC 2385), and who forged it knew."""
        return MD5 in step.kinds and MD5 not in self._offered

    def settle(self, now: int) -> None:
        """Acknowledge what has come, if that hasn't been done."""
        if self.owes:
            self._repeated = False
            if len(self.heard) > self.talk.from_us.end + EXTRA:
                return
            self._emit(max(self.sent, 0), self.next, ACK, max(self._window, self._allowed - self.next), b"", now)

    def invite(self, step: SegmentStep, now: int) -> None:
        """The script waits for this step of the stack's: offer as much window as it takes. The captured host may have sent it
        before it heard of a window that was closed, and segments in another order say old windows."""
        if step.end > self._allowed and self.next >= 0 and self.opened and not self.ended:
            self._emit(max(self.sent, 0), self.next, ACK, step.end - self.next, b"", now)

    @property
    def owes(self) -> bool:
        if self.host_isn is None or not self.opened or self.reset or self.over:
            return False
        return self.said < self.next or self._repeated

    @property
    def waits_for_ack(self) -> bool:
        """Is there something that the stack hasn't taken, and that is sent again?"""
        return self.opened and self.acked < self.sent and not self.reset and not self.over and self._resends < RESENDS

    def resend(self, now: int) -> None:
        """Send again what the stack hasn't acknowledged for a while, as far as it fits into its window."""
        if not self.waits_for_ack or now - self.progress < RESEND << min(self._resends, 5):
            return
        self._resends += 1
        self.progress = now
        edge = max(self.edge, self.acked + 1)  # a closed window is probed (RFC 9293 3.8.6.1)
        self._gone = [step for step in self._gone if step.end > self.acked]
        if not any(step.start <= self.acked < step.end for step in self._gone):
            # lost on the way when it was captured, and the script is not yet where it came again: a small window can't wait
            steps = self.talk.steps
            again = (step for step in steps if not step.ours and step.start <= self.acked < step.end and not step.flags & RST)
            self._gone[:0] = [step for step in again if step.payload][:1]
        for step in self._gone:
            if step.flags & SYN and self.acked >= 0:  # what it carried wasn't taken with it
                step = attrs.evolve(step, start=0, flags=step.flags & ~SYN | ACK, options=b"", ack=0)
            if step.start < edge:
                self.play(step, now, True)

    def abort(self, now: int) -> None:
        """The peer knows nothing of it any more."""
        if self.host_isn is not None and self.opened and not self.ended:
            self._emit(max(self.acked, 0), self.next, RST | ACK, 0, b"", now)
        self.over = self.over or "overtaken"

    def begin_after(self, old: TcpPlay) -> None:
        """Another connection between the same ends: its numbers begin behind those of the one before (RFC 9293 3.4.3), which a
        capture is free to disregard if there was time between them."""
        end = (old.peer_isn + 1 + max(old.sent, 0)) & const.M32
        if not 0 < (self.peer_isn - end) & const.M32 < 1 << 31:
            self.peer_isn = (end + 65536) & const.M32

    def give_up(self, step: SegmentStep) -> None:
        """What this step waits for hasn't come for long: go on without, if there is a way."""
        if self.host_isn is None:
            self.over = "never opened"
        elif step.ours:
            if step.flags & RST:
                self.over = "not reset"
            else:
                self.behind = max(self.behind, step.end - self.next)
        elif step.ack is not None and step.ack > self.next + self.behind:
            self.behind = step.ack - self.next
        else:
            self.over = "stuck"

    # -- segments ---------------------------------------------------------------------------------------------------------------

    def _emit(
        self, start: int, ack: int | None, flags: int, window: int, payload: bytes, now: int, step: SegmentStep | None = None,
        again: bool = False,
    ) -> None:
        assert self.host_port is not None
        talk = self.talk
        options = self._options(options_of(step.options) if step is not None else [], flags, ack, again)
        field = window
        if not flags & SYN:
            field = min(-(-window >> self._shift), const.M16)  # rounded up: what is invited must fit
        number = 0
        if ack is not None and self.host_isn is not None:
            self._allowed = ack + (field << (0 if flags & SYN else self._shift))
            number = (self.host_isn + 1 + ack) & const.M32
            self.said = max(self.said, ack)
        elif flags & ACK:
            flags &= ~ACK
        segment = Segment(
            talk.peer_port, self.host_port, (self.peer_isn + 1 + start) & const.M32, number, flags, min(field, const.M16), options,
            payload, step.urgent if step is not None else 0,
        )  # fmt: skip
        tos, ttl = (step.tos, step.ttl) if step is not None else (0, 64)
        body = segment.encode(talk.peer, talk.host)
        self._ident = (self._ident + 1) & const.M16
        self._send(datagram(talk.peer, talk.host, const.PROTO_TCP, body, self._ident, tos, ttl), now)

    def _options(self, captured: list[tuple[int, bytes]], flags: int, ack: int | None, again: bool) -> bytes:
        """Those of the capture, mapped, without what was not agreed on now. What is sent again has the latest stamp, or it would be
        taken for an old one (RFC 7323 5)."""
        parts = b""
        stamped = False
        syn = bool(flags & SYN)
        answer = syn and bool(flags & ACK)
        for kind, value in captured:
            if kind == TIMESTAMPS and len(value) == 8:
                if (not self._timestamps and (answer or not syn)) or stamped:
                    continue
                stamped = True
                stamp = int.from_bytes(value[:4], "big")
                if (stamp - self._stamp) & const.M32 < 1 << 31 or not self._stamp:
                    self._stamp = stamp
                stamp = self._stamp if again else stamp
                value = struct.pack("!II", stamp, self._echo if flags & ACK else 0)
            elif kind == SACK:
                value = self._blocks(value, ack)
                if not value:
                    continue
            elif kind in self._refused(syn, answer):
                continue
            parts += bytes((kind, len(value) + 2)) + value
        if self._timestamps and not stamped and not flags & RST and not syn:
            parts += bytes((TIMESTAMPS, 10)) + struct.pack("!II", self._stamp, self._echo)
        parts += b"\1" * (-len(parts) % 4)
        return parts if len(parts) <= 40 else b""

    def _refused(self, syn: bool, answer: bool) -> set[int]:
        """Kinds of options that are left out of a segment."""
        refused = set(LEFT_OUT)
        if not syn or not self._scaled:
            refused.add(WSCALE)
        if answer and not self._sack:
            refused.add(SACK_PERMITTED)
        return refused

    def _blocks(self, value: bytes, ack: int | None) -> bytes:
        """SACK blocks about what the stack has sent."""
        talk = self.talk
        if not self._sack or ack is None or self.host_isn is None or talk.our_isn is None:
            return b""
        kept = b""
        for o in range(0, len(value) - 7, 8):
            left, right = struct.unpack_from("!II", value, o)
            begin, end = (self._far(n, talk.our_isn, ack) for n in (left, right))
            if 0 <= begin < end <= self.next:
                kept += struct.pack("!II", (self.host_isn + 1 + begin) & const.M32, (self.host_isn + 1 + end) & const.M32)
        return kept

    # -- afterwards -----------------------------------------------------------------------------------------------------------

    def played(self) -> Played:
        from .report import Played

        return Played(
            self.talk.name, self.talk.steps[0].number, bytes(self.heard), None if self.taken is None else bytes(self.taken)
        )

    def __repr__(self) -> str:
        return f"<{self.talk.name}: heard {self.next}, sent {self.sent}, acknowledged {self.acked} {self.over}>"


def datagram(src: int, dst: int, proto: int, body: bytes, ident: int, tos: int = 0, ttl: int = 64) -> bytes:
    """An IPv4 datagram of one piece."""
    body = body[: 65535 - 20]
    head = bytes((0x45, tos)) + struct.pack("!HHHBBHII", 20 + len(body), ident, const.IP_DF, max(ttl, 1), proto, 0, src, dst)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body


def reset_for(segment: Segment, src: int, dst: int) -> bytes:
    """What answers a segment of no connection (RFC 9293 3.10.7.1), from `src`."""
    if segment.flags & ACK:
        answer = Segment(segment.dport, segment.sport, segment.ack, 0, RST, 0)
    else:
        answer = Segment(segment.dport, segment.sport, 0, (segment.seq + segment.length) & const.M32, RST | ACK, 0)
    return datagram(src, dst, const.PROTO_TCP, answer.encode(src, dst), 0)

