"""A wire that means harm: what becomes of each datagram between two hosts, and what arrives though nobody sent it.

Chances are in 256ths, drawn from a seed; `accidents` befall the n-th datagram of a direction, whatever the chances are, so that an
example which fails shrinks to the few that matter. What a middlebox writes has a right checksum; what is corrupted has not.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Callable

import attrs

from netstack import const
from netstack.checksum import checksum, pseudo_ip4
from netstack.instant import MILLISECOND, SECOND

HEADER = struct.Struct("!HHIIHHHH")
HISTORY = 400  # datagrams of each direction that a replay can choose from
Deliver = Callable[[int, int, bytes, int, bool], None]  # to which host, when, a segment, its gso, is it as it was sent?


def sealed(data: bytes, src: int, dst: int) -> bytes:
    """The segment with a right checksum."""
    body = data[:16] + b"\0\0" + data[18:]
    return body[:16] + checksum(body, pseudo_ip4(src, dst, const.PROTO_TCP, len(body))).to_bytes(2, "big") + body[18:]


def rewritten(data: bytes, src: int, dst: int, options: bytes, payload: bytes, seq: int, flags: int) -> bytes:
    """The segment with other options, payload, sequence number and flags."""
    sport, dport, _, ack, _, wnd, _, urgent = HEADER.unpack_from(data)
    offset = (20 + len(options)) << 10
    return sealed(HEADER.pack(sport, dport, seq & const.M32, ack, offset | flags, wnd, 0, urgent) + options + payload, src, dst)


def parsed(data: bytes) -> tuple[bytes, bytes, int, int]:
    """Options, payload, sequence number and flags."""
    hl = data[12] >> 4 << 2
    return data[20:hl], data[hl:], int.from_bytes(data[4:8], "big"), data[13]


@attrs.frozen
class Weather:
    """Chances in 256ths; `delay` and `jitter` in nanoseconds. A `burst` takes the wire away for up to 50 ms."""

    loss: int = 0
    burst: int = 0
    duplicate: int = 0
    reorder: int = 0
    corrupt: int = 0
    delay: int = MILLISECOND
    jitter: int = 0

    def harmless(self) -> bool:
        """Would fifteen or even eight transmissions of one segment hardly all be lost?"""
        return self.loss + self.corrupt + 4 * self.burst <= 26


@attrs.frozen
class Box:
    """A middlebox. `split` and `merge` cut data anew, `divide` and `stretch` ACKs; `strip` names option kinds that SYNs lose;
    `naked` loses the timestamps of later segments now and then."""

    split: int = 0  # 1: in halves; 2: anywhere; 3: after the first byte
    merge: bool = False
    divide: bool = False
    stretch: int = 0  # of so many pure ACKs one passes
    strip: tuple[int, ...] = ()
    naked: bool = False


class Wire:
    def __init__(self, addresses: tuple[int, int], rng: random.Random, deliver: Deliver, carries_super: bool) -> None:
        self.addresses = addresses
        self.rng = rng
        self.deliver = deliver
        self.carries_super = carries_super  # else the sender's device has cut super-segments before they come here
        self.weather = Weather()
        self.box = Box()
        self.accidents: dict[tuple[int, int], tuple[str, int]] = {}
        self.dark_until = [0, 0]
        self.shut_until = [0, 0]  # segments say that the window is shut
        self.mtu = 65535
        self.too_big: Callable[[int, bytes, int], None] | None = None  # tells the sender, if the router does
        self.carried = [0, 0]
        self.made = 0  # datagrams that the wire has made itself, or brought again
        self.history: tuple[deque[tuple[int, bytes, int]], ...] = (deque(maxlen=HISTORY), deque(maxlen=HISTORY))
        self._waiting: list[tuple[bytes, int] | None] = [None, None]
        self._acks = [0, 0]
        self._last_ack: list[dict[int, int]] = [{}, {}]
        self._floor = [0, 0]

    # -- in ---------------------------------------------------------------------------------------------------------------------

    def carry(self, d: int, data: bytes, gso: int, now: int) -> None:
        """Host `d` has sent `data`. What arrives goes to `deliver`."""
        if gso and not self.carries_super:
            for piece in self._cut(d, data, gso):
                self._route(d, piece, 0, now)
        else:
            self._route(d, data, gso, now)

    def _route(self, d: int, data: bytes, gso: int, now: int) -> None:
        if (gso + (data[12] >> 4 << 2) if gso else len(data)) + 20 > self.mtu:
            self.history[d].append((now, data, gso))
            if self.too_big is not None:
                self.too_big(d, data, now)
            return
        box = self.box
        flags = data[13]
        if box.strip and flags & const.SYN:
            data = self._stripped(d, data, box.strip)
        elif box.naked and not flags & const.SYN and data[12] >> 4 > 5 and self.rng.getrandbits(2) == 0:
            data = self._stripped(d, data, (8,))
        self.history[d].append((now, data, gso))
        if now < self.shut_until[d] and not flags & (const.SYN | const.RST):
            data = sealed(data[:14] + b"\0\0" + data[16:], self.addresses[d], self.addresses[1 - d])
        payload = len(data) - (data[12] >> 4 << 2)
        if payload:
            if box.merge:
                self._hold(d, data, gso, now)
                return
            if box.split and payload > 1 and not gso:
                for piece in self._split(d, data, payload):
                    self._launch(d, piece, 0, now)
                return
        elif flags & 0x3F == const.ACK:
            if box.stretch:
                self._acks[d] += 1
                if self._acks[d] % box.stretch:
                    return
            if box.divide:
                self._divide(d, data, now)
        if box.merge:
            self.release(d, now)
        self._launch(d, data, gso, now)

    def _launch(self, d: int, data: bytes, gso: int, now: int) -> None:
        n = self.carried[d]
        self.carried[d] = n + 1
        if now < self.dark_until[d]:
            return
        weather, rng = self.weather, self.rng
        accident, much = self.accidents.get((d, n), ("", 0))
        if accident == "drop" or (weather.loss and rng.getrandbits(8) < weather.loss):
            return
        if weather.burst and rng.getrandbits(8) < weather.burst:
            self.dark_until[d] = now + rng.getrandbits(16) * 763
            return
        clean = True
        if accident == "corrupt" or (weather.corrupt and rng.getrandbits(8) < weather.corrupt):
            bit = (much * 7919 if accident else rng.getrandbits(24)) % (8 * len(data))
            data = data[: bit >> 3] + bytes([data[bit >> 3] ^ 1 << (bit & 7)]) + data[(bit >> 3) + 1 :]
            clean = False
        twice = accident == "twice" or (weather.duplicate and rng.getrandbits(8) < weather.duplicate)
        for _ in range(2 if twice else 1):
            when = now + weather.delay + (rng.getrandbits(30) % weather.jitter if weather.jitter else 0)
            if accident == "late":
                when += much * 20 * MILLISECOND
            elif weather.reorder and rng.getrandbits(8) < weather.reorder:
                when += rng.getrandbits(24)
            else:
                when = self._floor[d] = max(when, self._floor[d])
            self.deliver(1 - d, when, data, gso, clean)
        if twice:
            self.made += 1

    # -- what a device or a middlebox does to segments --------------------------------------------------------------------------

    def ends(self, d: int) -> tuple[int, int]:
        """From whom, and to whom."""
        return self.addresses[d], self.addresses[1 - d]

    def _cut(self, d: int, data: bytes, size: int) -> list[bytes]:
        options, payload, seq, flags = parsed(data)
        pieces = []
        for o in range(0, len(payload), size):
            last = o + size >= len(payload)
            some = flags if last else flags & ~(const.FIN | const.PSH)
            pieces.append(rewritten(data, *self.ends(d), options, payload[o : o + size], seq + o, some))
        return pieces

    def _split(self, d: int, data: bytes, n: int) -> list[bytes]:
        options, payload, seq, flags = parsed(data)
        at = (n // 2, 1 + self.rng.getrandbits(16) % (n - 1), 1)[self.box.split - 1]
        first = rewritten(data, *self.ends(d), options, payload[:at], seq, flags & ~(const.FIN | const.PSH))
        self.made += 1
        return [first, rewritten(data, *self.ends(d), options, payload[at:], seq + at, flags)]

    def _hold(self, d: int, data: bytes, gso: int, now: int) -> None:
        waiting = self._waiting[d]
        options, payload, seq, flags = parsed(data)
        if waiting is not None:
            older, size = waiting
            its_options, its_payload, its_seq, its_flags = parsed(older)
            follows = older[:4] == data[:4] and (its_seq + len(its_payload)) & const.M32 == seq and len(options) == len(its_options)
            if follows and not its_flags & const.FIN and not gso and len(its_payload) + len(payload) < 60000:
                data = rewritten(data, *self.ends(d), options, its_payload + payload, its_seq, flags | its_flags)
                self._waiting[d] = data, size or len(its_payload)
                return
            self.release(d, now)
        self._waiting[d] = data, gso

    def release(self, d: int, now: int) -> None:
        """Nothing comes that could be joined to what was held."""
        waiting = self._waiting[d]
        if waiting is not None:
            self._waiting[d] = None
            self._launch(d, *waiting, now)

    def _divide(self, d: int, data: bytes, now: int) -> None:
        ports = int.from_bytes(data[:4], "big")
        ack = int.from_bytes(data[8:12], "big")
        last = self._last_ack[d].get(ports, ack)
        self._last_ack[d][ports] = ack
        step = (ack - last) & const.M32
        if 1 < step < const.M31:
            self.made += 2
            for part in (step // 3, 2 * step // 3):
                half = data[:8] + ((last + part) & const.M32).to_bytes(4, "big") + data[12:]
                self._launch(d, sealed(half, *self.ends(d)), 0, now)

    def _stripped(self, d: int, data: bytes, kinds: tuple[int, ...]) -> bytes:
        options, payload, seq, flags = parsed(data)
        kept = bytearray(options)
        o = 0
        while o < len(kept) and kept[o]:
            n = 1 if kept[o] == 1 else kept[o + 1]
            if kept[o] in kinds:
                kept[o : o + n] = b"\1" * n
            o += n
        return rewritten(data, *self.ends(d), bytes(kept), payload, seq, flags)

    # -- what nobody sends now --------------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """From now on a good wire."""
        self.weather = Weather()
        self.box = attrs.evolve(Box(), strip=self.box.strip)
        self.accidents.clear()
        self.dark_until = [0, 0]
        self.shut_until = [0, 0]
        self.mtu = 65535

    def cut(self) -> None:
        """Nothing passes any more."""
        self.dark_until = [1 << 62, 1 << 62]

    def oldest(self, d: int, choice: int, now: int, age: int = 300 * SECOND) -> tuple[int, bytes, int] | None:
        """One of the datagrams that host `d` has sent within `age`."""
        old = [item for item in self.history[d] if now - item[0] <= age]
        return old[choice % len(old)] if old else None
