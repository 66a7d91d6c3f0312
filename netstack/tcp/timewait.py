"""TIME-WAIT: what is left of a connection for 2 MSL, in a fifth of its memory (RFC 9293 3.6.1).

It has two jobs: to acknowledge the peer's FIN again should our ACK have been lost, and to keep old segments from being taken for
those of a new connection between the same ports.

    RST     ignored: it could end the wait early (TIME-WAIT assassination, RFC 1337)
    SYN     beyond what was received: a new connection, whose ISS lies beyond what we sent (RFC 9293 3.10.7.4, RFC 1122 4.2.2.13)
            with timestamps, these decide, and sequence numbers only where they are equal (RFC 6191 2)
    PAWS    what has an older timestamp is acknowledged like others, and otherwise ignored (RFC 7323 5.3)
    FIN     acknowledged, and the wait begins anew
    others  acknowledged when they carry something or lie outside of the window, at most twice a second
"""

from .. import const, raw, serial
from ..timers import Timer
from . import const as tc
from .tcb import Tcb

REUSE_GAP = 65536 + 2  # how far the ISS of the successor is beyond SND.NXT, as Linux does it: beyond what may still be in flight


class TimeWait(Timer):
    __slots__ = (
        "answered_at", "hub", "key", "local", "ports", "rcv_nxt", "remote", "snd_nxt", "ts_offset", "ts_on", "ts_recent", "wnd",
        "wscale",
    )  # fmt: skip

    def __init__(self, c: Tcb) -> None:
        super().__init__()
        self.take(c)

    def take(self, c: Tcb) -> None:
        self.hub = c.hub
        self.key = c.key
        self.local = c.local
        self.remote = c.remote
        self.ports = c.ports
        self.snd_nxt = c.snd_max
        self.rcv_nxt = c.rcv_nxt
        self.wscale = c.rcv_wscale
        self.wnd = serial.sub(c.rcv_adv, c.rcv_nxt)
        self.ts_on = c.ts_on
        self.ts_offset = c.ts_offset
        self.ts_recent = c.ts_recent
        self.answered_at = -tc.CHALLENGE_GAP

    def input(self, seq: int, flags: int, n: int, tsval: int, now: int) -> int:
        """A segment with `n` bytes of text and this timestamp, -1 for none.

        Returns 1 when it begins a new connection, 2 when the wait begins anew, else 0."""
        if flags & const.RST:
            self.hub.ext.InTimeWaitRst += 1
            return 0
        newer = False
        if self.ts_on and tsval >= 0:
            ts = tsval  # unsigned
            if serial.lt(ts, self.ts_recent):
                self.hub.ext.PAWSEstab += 1
                self.answer(now)
                return 0
            newer = ts != self.ts_recent
        if flags & const.SYN:
            if not flags & const.ACK and (newer or serial.lt(self.rcv_nxt, seq)):
                return 1
            self.answer(now)
            return 0
        if flags & const.FIN and serial.add(seq, n + 1) == self.rcv_nxt:
            self.ack(now)
            return 2
        if n or flags & const.FIN or serial.sub(seq, self.rcv_nxt) > self.wnd:
            self.answer(now)
        return 0

    def answer(self, now: int) -> None:
        if now - self.answered_at < tc.CHALLENGE_GAP:
            self.hub.ext.TCPACKSkippedChallenge += 1
            return
        self.answered_at = now
        self.ack(now)

    def ack(self, now: int) -> None:
        wnd = (self.wnd + (1 << self.wscale) - 1) >> self.wscale  # the edge never moves left, and after a FIN nothing comes
        if wnd > const.M16:
            wnd = const.M16
        hub = self.hub
        p = hub.out
        hl = tc.HEADER
        if self.ts_on:
            hl += tc.TS_SPACE
            raw.p32(p.hdr, const.HEADROOM - 12, tc.TS_WORD)
            raw.p32(p.hdr, const.HEADROOM - 8, serial.add(self.ts_offset, now // tc.TS_TICK))
            raw.p32(p.hdr, const.HEADROOM - 4, self.ts_recent)
        raw.put5(p.hdr, const.HEADROOM - hl, self.ports, self.snd_nxt, self.rcv_nxt, (hl << 26) | (const.ACK << 16) | wnd, 0)
        p.src = self.local
        p.dst = self.remote
        p.proto = const.PROTO_TCP
        hub.ship(hl, self.local, self.remote, hub.ip.pseudo_out(p, 0), 0, 0, 0, now)

    def successor_iss(self) -> int:
        """Where the sequence numbers of a connection that takes our place shall begin."""
        return serial.add(self.snd_nxt, REUSE_GAP)

    def expire(self, now: int) -> None:
        self.hub.ext.TW += 1
        self.hub.forget(self)
