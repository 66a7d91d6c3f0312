"""SYN cookies (RFC 4987 3.6): handshakes that cost no memory until the peer has shown that it is where it says it is.

A SYN for which there is no place in the half-open table is answered all the same, and forgotten. What the third segment can't
tell us again is put into numbers that it has to give back: our initial sequence number, and our timestamp.

    ISS      line + period * 2**24 + mac * 8 + mss

    line     RFC 6528's keyed hash of the four: where the ISS of these four begin. The clock of RFC 9293 3.4.1 moves 2**24 ticks in
             one period of 67 s, so a cookie is as good an ISS as others, but for coming up to one period late or early
    mac      21 bits, keyed, of the four, the peer's ISN and `mss`. Each period draws a key of its own and forgets the last but one:
             a cookie lives for one to two periods, as Linux's does, and then nobody can tell it from noise, we neither
    mss      3 bits: which of MSS below is the largest that the peer takes

    TSval    our clock, going back by up to 64 ms so that its low six bits say: 4 bits of window scale (15: none), 1 of SACK, 1 for
             ECN, which is 0 today; as Linux does it. Going back and never forth: what we send afterwards must not look older to
             the peer's PAWS (RFC 7323 5) than this did. The first round trip is measured too long by as much, which is harmless

A peer without timestamps gets neither scaling nor SACK from a cookie. Linux, FreeBSD and gVisor do the same: there is no room.

A forger who sees nothing hits with 16 of 2**32 numbers: once in 2**28 ACKs, 45 minutes of 100,000 a second. He pays for less: ACKs
are compared with cookies only while there may be some, for two periods after a listener's last one (LISTEN answers them
with a RST else), and `line` alone throws out 99 % of them for the price of one hash.

What honest peers may meet:

- The last ACK is lost. A client that speaks first sends data, which acknowledges the same number, and the connection is there.
  Should the first data be lost too, the second segment shows the right `line` and period, and a wrong `mac`, since the peer's
  ISN is no longer one below its sequence number. To reset it would end an honest connection, so it is dropped: what was lost
  comes again. Where the *server* speaks first (SMTP, SSH), the client waits for a greeting from somebody who has never heard
  of it, until its own time-out: nothing is there that could send the SYN,ACK again. That is the price of cookies (RFC 4987 3.6),
  and the reason for taking them only when the table is full.
- The table has room again when a SYN is repeated. Its entry gets the cookie as ISS, so both SYN,ACKs say the same number, and
  whichever the peer answers is right. Without timestamps it agrees to no more than the cookie could: neither scaling nor SACK.
- A middlebox takes the timestamps off the ACK, though not off the SYN,ACK before it: what they said of scaling and SACK is lost
  with them, and the peer reads our windows as larger than they are. Linux has no cure either.
- TIME-WAIT. A SYN that may end one (RFC 9293 3.6.1) gets an entry, never a cookie: its ISS must lie beyond what was sent before,
  and it takes a place that was taken already.
- An ACK of a cookie that is sent twice, after its connection is gone again, opens it once more, for a peer who resets it.
"""

import struct
from _blake2 import blake2s  # hashlib's own; hashlib would start OpenSSL first, for its other functions

from .. import serial
from ..signatures import Rng
from . import const as tc
from .options import Options

# What is announced (Alcock and Nelson, "An analysis of TCP maximum segment sizes", 2011; today's tunnels): 88 is our floor, for
# whoever says less than 536; 536 goes without saying (RFC 9293 3.7.1); 1220 is IPv6's minimum; 1300 VPNs; 1380 what firewalls
# and cloud networks clamp to; 1440 IPv6 and, nearly, PPPoE; 1460 Ethernet, near half of all; 8960 a data centre's jumbo frames.
# Never more than the peer said (RFC 9293 3.7.1, MUST-14), at most a tenth less for what is in use.
MSS = (88, 536, 1220, 1300, 1380, 1440, 1460, 8960)

_FOUR = struct.Struct("!QQIIB").pack


def mss_index(mss: int) -> int:
    """Of the largest in the table that is not more than `mss`; the floor's for less."""
    i = 7
    while i > 0 and MSS[i] > mss:
        i -= 1
    return i


def stamp(clock: int, wscale: int, sack: bool) -> int:
    """The last TSval up to `clock` that says what the peer's SYN offered; `wscale` -1 for none."""
    bits = (wscale if wscale >= 0 else 15) | (16 if sack else 0)
    low = clock & 63
    return serial.add(clock, bits - low if bits <= low else bits - low - 64)


def read_stamp(options: Options, tsecr: int) -> None:
    """Put what `tsecr` says into `options`."""
    wscale = tsecr & 15
    options.wscale = wscale if wscale < 15 else -1
    options.sack_permitted = tsecr & 16 != 0


class Cookies:
    """The keys. `line` is the same for all calls about the same four; `ports` is the first word of a header from the peer."""

    __slots__ = ("keys", "period", "rng")

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.period = -2
        self.keys: list[blake2s] = [self.draw(), self.draw()]

    def draw(self) -> blake2s:
        return blake2s(key=self.rng.getrandbits(128).to_bytes(16, "big"), digest_size=4)

    def turn(self, now: int) -> int:
        """The period that `now` lies in; its key and that of the one before are at hand."""
        period = now // tc.ISS_TICK >> 24
        if period != self.period:
            if period != self.period + 1:
                self.keys[period + 1 & 1] = self.draw()
            self.keys[period & 1] = self.draw()
            self.period = period
        return period

    def mac(self, period: int, local: int, remote: int, ports: int, seq: int, index: int) -> int:
        h = self.keys[period & 1].copy()
        h.update(_FOUR(local, remote, ports, seq, index))
        return int.from_bytes(h.digest(), "big") & 0x1FFFFF

    def iss(self, line: int, local: int, remote: int, ports: int, seq: int, mss: int, now: int) -> int:
        """The cookie for a SYN at `seq` whose sender takes segments of `mss` bytes."""
        period = self.turn(now)
        i = mss_index(mss)
        return serial.add(line, ((period & 255) << 24) + (self.mac(period, local, remote, ports, seq, i) << 3) + i)

    def check(self, line: int, local: int, remote: int, ports: int, seq: int, iss: int, now: int) -> int:
        """The MSS, when `iss` is a cookie for a SYN at `seq`. 0 when it is none; -1 when it is none but lies where those of these
        four lie."""
        period = self.turn(now)
        d = serial.sub(iss, line)
        age = (period - (d >> 24)) & 255
        if age > 1:
            return 0
        i = d & 7
        if self.mac(period - age, local, remote, ports, seq, i) != d >> 3 & 0x1FFFFF:
            return -1
        return MSS[i]
