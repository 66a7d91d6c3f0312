"""TIME-WAIT: what is left of a connection for 2 MSL, in a fifth of its memory (RFC 9293 3.6.1).

It has two jobs: to acknowledge the peer's FIN again should our ACK have been lost, and to keep old segments from being taken for
those of a new connection between the same ports.

    RST     ignored: it could end the wait early (TIME-WAIT assassination, RFC 1337)
    SYN     beyond what was received: a new connection, whose ISS lies beyond what we sent (RFC 9293 3.10.7.4, RFC 1122 4.2.2.13)
    FIN     acknowledged, and the wait begins anew
    others  acknowledged when they carry something or lie outside of the window, at most twice a second
"""

from .. import const, serial
from ..timers import Timer
from . import const as tc
from .tcb import Tcb

REUSE_GAP = 65536 + 2  # how far the ISS of the successor is beyond SND.NXT, as Linux does it: beyond what may still be in flight


class TimeWait(Timer):
    __slots__ = ("answered_at", "hub", "key", "local", "ports", "rcv_nxt", "remote", "snd_nxt", "wnd", "wscale")

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
        self.answered_at = -tc.CHALLENGE_GAP

    def input(self, seq: int, flags: int, n: int, now: int) -> int:
        """A segment with `n` bytes of text. Returns 1 when it begins a new connection, 2 when the wait begins anew, else 0."""
        if flags & const.RST:
            self.hub.ext.InTimeWaitRst += 1
            return 0
        if flags & const.SYN:
            if not flags & const.ACK and serial.lt(self.rcv_nxt, seq):
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
        wnd = self.wnd >> self.wscale
        if wnd > const.M16:
            wnd = const.M16
        self.hub.bare(self.local, self.remote, self.ports, self.snd_nxt, self.rcv_nxt, const.ACK, wnd, now)

    def successor_iss(self) -> int:
        """Where the sequence numbers of a connection that takes our place shall begin."""
        return serial.add(self.snd_nxt, REUSE_GAP)

    def expire(self, now: int) -> None:
        self.hub.ext.TW += 1
        self.hub.forget(self)
