"""Segments of one TCP flow that came one behind the other, put together again: one super-segment instead of 45 frames.

Where a device gives single frames, all that is above it would run once for each 1460 bytes. Here a run of them becomes one
`Frame` with `gso` set, as a device with large receive offload hands it up. The reader does it without a copy: while a run is
open, the next frame is read with its headers into `head`, and with what follows behind the payload gathered so far. If it is
what the run expects, it is already where it belongs.

    slab   | headers of the first | payload | payload | payload | … room
                                                      ^ f.end: the next read goes here, its first `hl` bytes to `head`

What may be joined is what could be cut again into the same frames, but for the identification (the rule of Linux's GRO, see
tcp_gro_receive): the same link header, IPv4 header and TCP header, options with their timestamps included, except for lengths,
identification, checksums, and a sequence number that follows on; ACK and nothing else set but PSH. All segments are as long as
the first, or the last is shorter. Both checksums of each are verified *before* it is joined; one that is wrong goes up alone, so
that the layer counts it whose it is. Whatever does not fit ends the run and is handed up behind it: nothing overtakes.

A run never waits: it is handed up when the device has nothing more to give, at the end of the batch, at a PSH, and when no more
fits in 64 KiB.
"""

from . import const, raw
from .cores import Frame

HEAD = 128  # no vnet header, 14 of Ethernet, 20 and 60


class Gatherer:
    """One run at a time: `frame` is its slab while it is open, else None, and `hl` the length of its headers."""

    __slots__ = ("addresses", "count", "flags", "frame", "head", "hl", "joined", "link", "room", "seq", "size")

    def __init__(self, link: int, room: int) -> None:
        """`link` is the length of the link header; `room` what a slab must have left for the next frame, whosever it is."""
        self.link = link
        self.room = room
        self.head = bytearray(HEAD)
        self.frame: Frame | None = None
        self.hl = 0
        self.joined = 0  # frames that became part of the one before

    def begin(self, f: Frame) -> bool:
        """Does the frame in `f` begin a run? Then keep `f` until `close`."""
        b = f.buf
        ip = f.off + self.link
        n = f.end - ip
        tcp = ip + 20
        # most of what begins none shows here: it is empty, has other flags than ACK (were it TCP), or is not IPv4
        if n <= 40 or f.off or raw.g8(b, tcp + 13) != const.ACK or (self.link and raw.g16(b, ip - 2) != const.ETH_IPV4):
            return False
        # IPv4 without options, all of the frame and no padding, no fragment, TCP
        if (
            raw.g8(b, ip) != 0x45
            or raw.g16(b, ip + 2) != n
            or raw.g16(b, ip + 6) & ~const.IP_DF
            or raw.g8(b, ip + 9) != const.PROTO_TCP
        ):
            return False
        offset_flags = raw.g16(b, tcp + 12)
        hl = offset_flags >> 12 << 2
        size = n - 20 - hl
        if hl < 20 or size <= 0 or offset_flags & 0xFFF != const.ACK:  # not even PSH, which ends a run
            return False
        addresses = raw.csum(b, ip + 12, 8, const.PROTO_TCP)
        if raw.csum(b, ip, 20, 0) != const.M16 or raw.csum(b, tcp, n - 20, addresses + n - 20) != const.M16:
            return False
        f.csum = const.CSUM_GOOD
        self.addresses = addresses
        self.hl = tcp + hl
        self.size = size
        self.seq = (raw.g32(b, tcp + 4) + size) & const.M32
        self.count = 1
        self.flags = const.ACK
        if not self.has_room(f):
            return False
        self.frame = f
        return True

    def has_room(self, f: Frame) -> bool:
        """For another segment of this run, and for whatever else may come instead."""
        n = f.end - self.link + self.size
        return n <= const.M16 and len(f.buf) - f.end >= self.room  # 65,535 is the longest datagram

    def join(self, n: int) -> int:
        """A frame of `n` bytes was read, its first `hl` into `head` and the rest behind the run. GRO_APART when it is not the next
        of it, GRO_JOINED when it is, GRO_LAST when it is and no more can follow."""
        f: Frame = self.frame  # type: ignore[assignment]  # the caller has looked
        b = f.buf
        h = self.head
        ip = self.link
        tcp = ip + 20
        hl = self.hl
        size = n - hl
        if size <= 0 or size > self.size:
            return const.GRO_APART
        offset_flags = raw.g16(h, tcp + 12)
        if (
            raw.g32(h, tcp + 4) != self.seq
            or raw.g16(h, ip + 2) != n - ip
            or not raw.same(h, 0, b, 0, ip + 2)  # link header, version, TOS
            or not raw.same(h, ip + 6, b, ip + 6, 4)  # DF, TTL, protocol
            or not raw.same(h, ip + 12, b, ip + 12, 12)  # addresses, ports
            or not raw.same(h, tcp + 8, b, tcp + 8, 4)  # acknowledgement
            or (offset_flags ^ raw.g16(b, tcp + 12)) & ~const.PSH
            or not raw.same(h, tcp + 14, b, tcp + 14, 2)  # window
            or not raw.same(h, tcp + 18, b, tcp + 18, hl - tcp - 18)  # urgent pointer, options
            or raw.csum(h, ip, 20, 0) != const.M16
        ):
            return const.GRO_APART
        s = raw.csum(h, tcp, hl - tcp, self.addresses + n - tcp)
        if raw.csum(b, f.end, size, s) != const.M16:
            return const.GRO_APART
        f.end += size
        self.seq = (self.seq + size) & const.M32
        self.count += 1
        self.joined += 1
        self.flags |= offset_flags & const.PSH
        if self.flags & const.PSH or size < self.size or not self.has_room(f):
            return const.GRO_LAST
        return const.GRO_JOINED

    def apart(self, n: int, g: Frame) -> None:
        """The frame of `n` bytes that was read is no part of the run: copy it, whole, into `g`."""
        f: Frame = self.frame  # type: ignore[assignment]  # as above
        k = self.hl if n > self.hl else n
        raw.move(g.buf, 0, self.head, 0, k)
        raw.move(g.buf, k, f.buf, f.end, n - k)

    def close(self) -> Frame:
        """The run is over: its frame, with headers that say what it is now. The TCP checksum is the sum of the pseudo-header, as in
        a super-segment from a device."""
        f: Frame = self.frame  # type: ignore[assignment]  # as above
        self.frame = None
        if self.count > 1:
            b = f.buf
            ip = self.link
            n = f.end - ip
            f.gso = self.size
            f.csum = const.CSUM_PARTIAL
            raw.p16(b, ip + 2, n)
            raw.p16(b, ip + 10, 0)
            raw.p16(b, ip + 10, raw.csum(b, ip, 20, 0) ^ const.M16)
            raw.p8(b, ip + 33, self.flags)
            raw.p16(b, ip + 36, raw.fold(self.addresses + n - 20))
        return f
