"""The packet path of tap and tun: one read for each frame that comes, one writev for each that goes, no copy either way.

Reading stops when the descriptor would block or after BATCH frames, and the sink is flushed once. Each frame gets the slab
that was given back last, which is still in the cache; a slab that somebody above keeps stays away until it is let go.

Where the device gives single frames, segments that follow each other are joined as they are read (netstack/gro.py), and a
super-segment is cut as it is written, a writev for each frame (netstack/gso.py).

With `vnet` the device speaks of checksums and super-segments in a header before each frame. What comes in with a partial
checksum was made by this very kernel and never crossed a wire, and one marked as verified was verified: CSUM_PARTIAL, CSUM_GOOD.
What goes out may leave its checksum to the device, and be up to 64 KiB that the device (or, across a virtual link, nobody)
cuts into segments.
"""

import os

from .. import const, gso, raw
from ..buffers import Pool
from ..cores import Frame, FrameSink, NetifCore, Out
from ..errors import UsageError
from ..gro import Gatherer
from ..gso import Cutter
from ..instant import Instant
from ..netif import SendOnly
from . import sysio
from .mib import DeviceMib


class DeviceCore(NetifCore):
    """A descriptor that gives and takes one frame a call: tap, tun, or a socket that keeps message boundaries."""

    __slots__ = ("alone", "cutter", "fd", "gatherer", "gives", "link", "mib", "pool", "sink", "takes", "vnet")

    def __init__(self, fd: int, slab: int, vnet: int, takes: int = 0, link: int = const.ETH_HEADER, gather: int = 0) -> None:
        """`slab` bytes are read at most; `vnet` is 0, or the length of the vnet header.

        takes   OFFLOAD_* flags: what the device does itself of what `send` is asked, the rest is done here
        gives   those that may come: what was asked of a tap, whatever a network card's kernel has joined
        link    length of the link header       gather   0, or the longest frame: segments are joined as they are read
        """
        self.fd = fd
        self.vnet = vnet
        self.takes = takes
        self.gives = takes
        self.link = link
        self.alone = 0  # polls in a row that found one frame
        self.mib = DeviceMib()
        self.pool = Pool(slab)
        self.sink: FrameSink = SendOnly()
        self.cutter = Cutter()
        self.gatherer: Gatherer | None = Gatherer(link, gather) if gather else None

    def attach(self, sink: FrameSink) -> None:
        if not isinstance(self.sink, SendOnly):
            raise UsageError("this device already has a stack on it: wrap or bridge it to share it")
        self.sink = sink

    def next_deadline(self) -> "Instant | None":
        """None. It's here since it is asked for after each turn, and a call into Python is ten of those."""
        return None

    def poll(self, now: int) -> bool:
        """Hand up at most BATCH frames or runs of frames, then flush. True when more may be waiting. Raises OSError when the
        device is gone."""
        fd, pool, mib, g = self.fd, self.pool, self.mib, self.gatherer
        n = 0
        i = 0
        units = 0
        one = False
        while units < const.BATCH and i < const.READS:
            run: Frame | None = None
            if g is not None and g.frame is not None:
                n = sysio.read2(fd, g.head, g.hl, g.frame.buf, g.frame.end)
                if n <= 0:
                    break
                i += 1
                mib.InFrames += 1
                joined = g.join(n)
                if joined == const.GRO_JOINED:
                    continue
                units += 1
                if joined == const.GRO_LAST:
                    self.up(g.close())
                    continue
                f = pool.get()
                g.apart(n, f)
                run = g.close()
            else:
                f = pool.get()
                n = sysio.read(fd, f.buf)
                if n <= 0:
                    pool.put(f)
                    break
                i += 1
                mib.InFrames += 1
                if n >= pool.size:
                    mib.InTruncated += 1
                    units += 1
                    pool.put(f)
                    continue
            f.off = 0
            f.end = n
            f.now = now
            f.cast = const.UNICAST
            f.csum = const.CSUM_UNKNOWN
            f.gso = 0
            f.kept = 0
            held = g is not None and g.begin(f)
            if run is not None:
                self.up(run)
            if held:
                continue
            units += 1
            if self.vnet == 0 or self.open_vnet(f):
                self.up(f)
            else:
                pool.put(f)
            if i == 1 and n < const.LITTLE and self.alone & 7:
                # once more a little one, alone: to ask in vain is a tenth of a ping-pong, and the descriptor tells of more. Each
                # eighth time asks all the same, and large ones always: where they come one by one, the next is on its way
                one = True
                break
        self.alone = self.alone + 1 if i == 1 else 0
        if i:
            if g is not None:
                if g.frame is not None:
                    self.up(g.close())
                mib.InJoined = g.joined
            self.sink.flush(now)
            pool.reclaim()
        if units == const.BATCH or i == const.READS or one:
            return True
        if n != -sysio.AGAIN:
            self.gone(n)
        return False

    def up(self, f: Frame) -> None:
        self.sink.input(f)
        self.pool.put(f)

    def open_vnet(self, f: Frame) -> bool:
        """Take the vnet header off and note what it says. False for a frame to be dropped."""
        vnet = self.vnet
        if f.end < vnet:
            self.mib.InTooShort += 1
            return False
        flags, gso_type, gso_size = sysio.get_vnet(f.buf, 0)
        f.off = vnet
        if flags & sysio.NEEDS_CSUM:
            start, offset = sysio.get_vnet_sum(f.buf, 0)
            at = vnet + self.link
            tunnel = at + 20 <= f.end and raw.g8(f.buf, at) >> 4 == 4 and start != self.link + ((raw.g8(f.buf, at) & 15) << 2)
            if tunnel or not self.gives & const.OFFLOAD_CSUM:
                return self.finish(f, vnet + start, offset, gso_type)
            f.csum = const.CSUM_PARTIAL
        elif flags & sysio.DATA_VALID:
            f.csum = const.CSUM_GOOD
        if gso_type != sysio.GSO_NONE:
            if gso_size == 0 or not self.offers(gso_type):
                self.mib.InBadGso += 1
                return False
            f.gso = gso_size
        return True

    def finish(self, f: Frame, start: int, offset: int, gso_type: int) -> bool:
        """The unfinished sum is not that of the datagram's own transport, but of one inside a tunnel, or nobody above takes it:
        finish it, and know nothing of the outer one. False for a frame to be dropped."""
        if gso_type != sysio.GSO_NONE or start + offset + 2 > f.end:
            self.mib.InBadGso += 1
            return False
        s = raw.csum(f.buf, start, f.end - start, 0) ^ const.M16
        raw.p16(f.buf, start + offset, s or const.M16)
        return True

    def offers(self, gso_type: int) -> bool:
        """Do super-segments of this kind come?"""
        gives = self.gives
        if gso_type & sysio.GSO_ECN:
            if not gives & const.OFFLOAD_TSO_ECN:
                return False
            gso_type &= ~sysio.GSO_ECN
        if gso_type == sysio.GSO_TCPV4:
            return (gives & const.OFFLOAD_TSO4) != 0
        if gso_type == sysio.GSO_TCPV6:
            return (gives & const.OFFLOAD_TSO6) != 0
        return gso_type == sysio.GSO_UDP_L4 and (gives & const.OFFLOAD_USO) != 0

    def send(self, p: Out, now: int) -> None:
        kind = sysio.GSO_NONE
        if p.gso:
            kind = self.kind(p)
            if kind == sysio.GSO_NONE:
                self.cut(p)
                return
        if p.csum_off and not self.takes & const.OFFLOAD_CSUM:
            gso.complete(p)
        self.put(p, kind)

    def kind(self, p: Out) -> int:
        """Of a super-segment, as the device calls it; GSO_NONE for one that it does not cut."""
        if p.csum_off == const.UDP_CHECKSUM:
            return sysio.GSO_UDP_L4 if self.takes & const.OFFLOAD_USO else sysio.GSO_NONE
        if not self.takes & const.OFFLOAD_TSO4:
            return sysio.GSO_NONE
        if raw.g8(p.hdr, p.l4 + 13) & const.CWR:  # the first segment alone may keep it (RFC 3168 6.1.2)
            return sysio.GSO_TCPV4 | sysio.GSO_ECN if self.takes & const.OFFLOAD_TSO_ECN else sysio.GSO_NONE
        return sysio.GSO_TCPV4

    def cut(self, p: Out) -> None:
        """Send a super-segment as frames. Where one of them can't be sent, those behind it are as lost as it is."""
        cutter, mib = self.cutter, self.mib
        if not cutter.begin(p, self.link):
            mib.OutRefused += 1
            return
        complete = not self.takes & const.OFFLOAD_CSUM
        while cutter.next(p):
            if complete:
                gso.complete(p)
            mib.OutCut += 1
            if not self.put(p, sysio.GSO_NONE):
                mib.OutNotReached += cutter.remaining()
                return

    def put(self, p: Out, kind: int) -> bool:
        off = p.off
        if self.vnet:
            flags = sysio.NEEDS_CSUM if p.csum_off else 0
            start = p.l4 - off if p.csum_off else 0
            off -= self.vnet
            sysio.put_vnet(p.hdr, off, self.vnet, flags, kind, const.HEADROOM - p.off, p.gso, start, p.csum_off)
        if p.rest_n:
            n = sysio.write_many(self.fd, p.hdr, off, p.data, p.o, p.n, p.rest, p.rest_n)  # type: ignore[arg-type]  # both are there
        else:
            n = sysio.write2(self.fd, p.hdr, off, p.data, p.o, p.n)
        if n < 0:
            self.refused(n)
            return False
        self.mib.OutFrames += 1
        return True

    def refused(self, n: int) -> None:
        """Count a frame that could not be sent by why. The sender is not told: its protocol finds out as for any loss."""
        mib = self.mib
        if n == -sysio.AGAIN or n == -sysio.NOBUFS:
            mib.OutNoRoom += 1
        elif n == -sysio.IO or n == -sysio.NETDOWN:
            mib.OutDown += 1
        elif n == -sysio.BADFD or n == -sysio.BADF or n == -sysio.NODEV or n == -sysio.NXIO or n == -sysio.PIPE:
            mib.OutGone += 1
        else:
            mib.OutRefused += 1

    def gone(self, n: int) -> None:
        """Raise what a read said: 0 is the end of a socket, the rest is minus an errno."""
        number = -n if n else sysio.NODEV
        raise OSError(number, f"the device is gone: {os.strerror(number)}")
