"""The packet path of tap and tun: one read for each frame that comes, one writev for each that goes, no copy either way.

Reading stops when the descriptor would block or after BATCH frames, and the sink is flushed once. Each frame gets the slab
that was given back last, which is still in the cache; a slab that somebody above keeps stays away until it is let go.

With `vnet` the device speaks of checksums and super-segments in a header before each frame. What comes in with a partial
checksum was made by this very kernel and never crossed a wire, and one marked as verified was verified: both are CSUM_GOOD.
What goes out may leave its checksum to the device, and be up to 64 KiB that the device (or, across a virtual link, nobody)
cuts into segments.
"""

import os

from netstack import const
from netstack.buffers import Pool
from netstack.cores import Frame, FrameSink, NetifCore, Out
from netstack.errors import UsageError
from netstack.netif import SendOnly

from . import sysio
from .mib import TapMib


class TapCore(NetifCore):
    """A descriptor that gives and takes one frame a call: tap, tun, or a socket that keeps message boundaries."""

    __slots__ = ("fd", "mib", "pool", "sink", "vnet")

    def __init__(self, fd: int, slab: int, vnet: int) -> None:
        """`slab` bytes are read at most; `vnet` is 0, or the length of the vnet header."""
        self.fd = fd
        self.vnet = vnet
        self.mib = TapMib()
        self.pool = Pool(slab)
        self.sink: FrameSink = SendOnly()

    def attach(self, sink: FrameSink) -> None:
        if not isinstance(self.sink, SendOnly):
            raise UsageError("this device already has a stack on it: wrap or bridge it to share it")
        self.sink = sink

    def poll(self, now: int) -> bool:
        """Hand up at most BATCH frames, then flush. True when more may be waiting. Raises OSError when the device is gone."""
        fd, sink, pool, mib = self.fd, self.sink, self.pool, self.mib
        n = 0
        i = 0
        while i < const.BATCH:
            f = pool.get()
            n = sysio.read(fd, f.buf)
            if n <= 0:
                pool.put(f)
                break
            i += 1
            mib.InFrames += 1
            if n >= pool.size:
                mib.InTruncated += 1
                pool.put(f)
                continue
            f.off = 0
            f.end = n
            f.now = now
            f.cast = const.UNICAST
            f.csum = const.CSUM_UNKNOWN
            f.gso = 0
            f.kept = 0
            if self.vnet == 0 or self.open_vnet(f):
                sink.input(f)
            pool.put(f)
        if i:
            sink.flush(now)
            pool.reclaim()
        if i == const.BATCH:
            return True
        if n != -sysio.AGAIN:
            self.gone(n)
        return False

    def open_vnet(self, f: Frame) -> bool:
        """Take the vnet header off and note what it says. False for a frame to be dropped."""
        if f.end < sysio.VNET:
            self.mib.InTooShort += 1
            return False
        flags, gso_type, gso_size = sysio.get_vnet(f.buf, 0)
        f.off = sysio.VNET
        if flags & (sysio.NEEDS_CSUM | sysio.DATA_VALID):
            f.csum = const.CSUM_GOOD
        if gso_type != sysio.GSO_NONE:
            if gso_type != sysio.GSO_TCPV4 or gso_size == 0:
                self.mib.InBadGso += 1
                return False
            f.gso = gso_size
        return True

    def send(self, p: Out, now: int) -> None:
        off = p.off
        if self.vnet:
            flags = sysio.NEEDS_CSUM if p.csum_off else 0
            start = p.l4 - off if p.csum_off else 0
            kind = sysio.GSO_TCPV4 if p.gso else sysio.GSO_NONE
            sysio.put_vnet(p.hdr, off - sysio.VNET, flags, kind, const.HEADROOM - off, p.gso, start, p.csum_off)
            off -= sysio.VNET
        if p.rest_n:
            n = sysio.write_many(self.fd, p.hdr, off, p.data, p.o, p.n, p.rest, p.rest_n)  # type: ignore[arg-type]  # both are there
        else:
            n = sysio.write2(self.fd, p.hdr, off, p.data, p.o, p.n)
        if n >= 0:
            self.mib.OutFrames += 1
        else:
            self.refused(n)

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
