"""The packet path of an emulator's socket: frames in a stream, behind their lengths, or one in each datagram.

In. A stream is read in pieces of up to a quarter of a MiB, as many frames as the guest has sent; each is copied once, to its slab,
and one that follows the frame before in the same TCP flow behind that one's payload (netstack/gro.py): the socket knows no
offloads, so this is where 45 frames become one unit. A datagram costs a call each, and goes the same way.

Out. A frame is written from where it lies. Units are cut (netstack/gso.py), and in a stream the frames of one are written in one
call. What the socket does not take waits in `out`, bounded: an emulator that does not read loses frames, as a cable would, and
holds no more than OUT_ROOM of ours.

A stream's length can't be found again once it is lost: a length beyond FRAME_LIMIT ends the connection (QEMU does the same). A
frame of a lawful length that is just too long for this device is passed over.
"""

from typing import Any

from netstack import const, gso, raw
from netstack.buffers import Pool
from netstack.cores import Frame, FrameSink, NetifCore, Out
from netstack.errors import UsageError
from netstack.gro import Gatherer
from netstack.gso import Cutter
from netstack.netif import SLAB, SendOnly

from . import sysio
from .mib import QemuMib

LENGTH = 4  # bytes before each frame of a stream, big-endian
FRAME_LIMIT = 69632  # NET_BUFSIZE of QEMU (net/net.h), 4096 + 65536: no frame of its is longer
STAGE = 262144  # what is read at once: 170 frames of 1500 bytes
OUT_ROOM = 524288  # what may wait: a guest that never reads costs this much, one that naps loses nothing
HEADERS = 64  # what a frame has beside its datagram
GATHER_LIMIT = 16384  # longer frames are worth their own trip up
DATAGRAMS = 256  # read for each wake-up
VFKT = 0x56464B54  # vfkit's first datagram: these four letters


class EmulatorCore(NetifCore):
    """What both kinds share: frames found in `stage` go up, and units are cut on their way down."""

    __slots__ = ("cutter", "fd", "gatherer", "longest", "mib", "out", "out_n", "out_o", "peer", "pool", "sink", "stage")

    def __init__(self, mtu: int, gather: bool) -> None:
        self.fd = -1  # -1: nobody is there
        self.longest = max(2048, mtu + HEADERS)
        gather = gather and self.longest <= GATHER_LIMIT
        self.mib = QemuMib()
        self.pool = Pool(self.longest + const.M16 + 1 if gather else SLAB)
        self.sink: FrameSink = SendOnly()
        self.cutter = Cutter()
        self.gatherer: Gatherer | None = Gatherer(const.ETH_HEADER, self.longest) if gather else None
        self.stage = bytearray(STAGE)
        self.out = bytearray(OUT_ROOM)  # from `out_o`, `out_n` bytes of it wait
        self.out_o = 0
        self.out_n = 0
        self.peer = bytearray(sysio.PEER)

    def attach(self, sink: FrameSink) -> None:
        if not isinstance(self.sink, SendOnly):
            raise UsageError("this device already has a stack on it: wrap or bridge it to share it")
        self.sink = sink

    def offer(self, o: int, n: int, now: int) -> None:
        """A frame of `n` bytes is in `stage`, from `o`."""
        mib, g = self.mib, self.gatherer
        if n < const.ETH_HEADER:
            mib.InTooShort += 1
            return
        if n > self.longest:
            mib.InTooLong += 1
            return
        mib.InFrames += 1
        if g is not None and g.frame is not None:
            run = g.frame
            if n > g.hl:
                raw.move(g.head, 0, self.stage, o, g.hl)
                raw.move(run.buf, run.end, self.stage, o + g.hl, n - g.hl)
                joined = g.join(n)
                if joined == const.GRO_JOINED:
                    return
                if joined == const.GRO_LAST:
                    self.up(g.close())
                    return
            self.up(g.close())
        f = self.pool.get()
        raw.move(f.buf, 0, self.stage, o, n)
        f.off = 0
        f.end = n
        f.now = now
        f.cast = const.UNICAST
        f.csum = const.CSUM_UNKNOWN
        f.gso = 0
        f.kept = 0
        if g is None or not g.begin(f):
            self.up(f)

    def over(self, now: int) -> None:
        """The batch is."""
        g = self.gatherer
        if g is not None:
            if g.frame is not None:
                self.up(g.close())
            self.mib.InJoined = g.joined
        self.sink.flush(now)
        self.pool.reclaim()

    def up(self, f: Frame) -> None:
        try:
            self.sink.input(f)
        finally:
            self.pool.put(f)

    def send(self, p: Out, now: int) -> None:
        if self.fd < 0:
            self.mib.OutNobody += 1
            return
        if p.gso:
            self.cut(p, now)
            return
        if p.csum_off:
            gso.complete(p)
        p.join()
        self.put(p, now)

    def cut(self, p: Out, now: int) -> None:
        """Send a unit as frames. Where one of them can't be sent, those behind it are as lost as it is."""
        cutter, mib = self.cutter, self.mib
        if not cutter.begin(p, const.ETH_HEADER):
            mib.OutRefused += 1
            return
        while cutter.next(p):
            gso.complete(p)
            mib.OutCut += 1
            if not self.put_part(p, now):
                mib.OutNotReached += cutter.remaining()
                break
        self.write_out(now)

    def put(self, p: Out, now: int) -> bool:
        raise NotImplementedError

    def put_part(self, p: Out, now: int) -> bool:
        """The same for one frame of several, which `write_out` follows."""
        raise NotImplementedError

    def write_out(self, now: int) -> None:
        """Write what waits, as far as the socket takes it."""
        raise NotImplementedError

    def queue(self, p: Out, skip: int) -> bool:
        """Put a frame behind what waits, with its length; without its first `skip` bytes, which were taken already."""
        head = const.HEADROOM - p.off
        n = LENGTH + head + p.n - skip
        out = self.out
        if self.out_o and self.out_o + self.out_n + n > OUT_ROOM:
            raw.move(out, 0, out, self.out_o, self.out_n)
            self.out_o = 0
        at = self.out_o + self.out_n
        if at + n > OUT_ROOM:
            self.mib.OutNoRoom += 1
            return False
        # headers, their length before them, in `hdr`: the part of them that was not taken, then that of the payload
        first = p.off - LENGTH + skip
        raw.p32(p.hdr, p.off - LENGTH, head + p.n)
        if first < const.HEADROOM:
            raw.move(out, at, p.hdr, first, const.HEADROOM - first)
            at += const.HEADROOM - first
            skip = 0
        else:
            skip = first - const.HEADROOM
        if p.n > skip:
            raw.fill(out, at, p.data, p.o + skip, p.n - skip)  # type: ignore[arg-type]  # with n there is data
        self.out_n += n
        return True

    def forget(self) -> None:
        """Nothing waits any more."""
        self.out_o = 0
        self.out_n = 0

    def blocked(self, on: bool) -> None:
        """The face shall call `write_out` when the socket takes more, or need not any longer."""

    def lost(self, number: int) -> None:
        """The guest is gone: `number` is an errno, 0 for an end in order."""


class StreamCore(EmulatorCore):
    """Frames in a stream, each behind its length."""

    __slots__ = ("have",)

    def __init__(self, mtu: int, gather: bool) -> None:
        super().__init__(mtu, gather)
        self.have = 0  # bytes in `stage` that are not a whole frame yet

    def read(self, now: int) -> bool:
        """Read once, and hand up the frames that are whole. True when more may be waiting."""
        stage = self.stage
        room = STAGE - self.have
        n = sysio.recv(self.fd, stage, self.have, room)
        if n <= 0:
            if n != -sysio.AGAIN:
                self.drop(-n)
            return False
        end = self.have + n
        o = 0
        while end - o >= LENGTH:
            length = raw.g32(stage, o)
            if length > FRAME_LIMIT:
                self.mib.InBadLength += 1
                self.over(now)
                self.drop(0)
                return False
            if end - o - LENGTH < length:
                break
            o += LENGTH
            self.offer(o, length, now)
            o += length
        if self.fd < 0:  # somebody above has closed the device
            return False
        if o:
            raw.move(stage, 0, stage, o, end - o)
            self.over(now)
        self.have = end - o
        return n == room

    def drop(self, number: int) -> None:
        self.have = 0
        self.forget()
        self.lost(number)

    def put(self, p: Out, now: int) -> bool:
        if self.out_n:
            if not self.queue(p, 0):
                return False
            self.mib.OutQueued += 1
            self.mib.OutFrames += 1
            return True
        off = p.off - LENGTH
        total = const.HEADROOM - off + p.n
        raw.p32(p.hdr, off, total - LENGTH)
        n = sysio.write2(self.fd, p.hdr, off, p.data, p.o, p.n)
        if n < 0:
            if n != -sysio.AGAIN:
                self.mib.OutRefused += 1  # whoever is gone is found out by the next read
                return False
            n = 0
        self.mib.OutFrames += 1
        if n < total:
            self.mib.OutQueued += 1
            self.queue(p, n)
            self.blocked(True)
        return True

    def put_part(self, p: Out, now: int) -> bool:
        if not self.queue(p, 0):
            return False
        self.mib.OutFrames += 1
        return True

    def write_out(self, now: int) -> None:
        if not self.out_n:
            return
        n = sysio.write(self.fd, self.out, self.out_o, self.out_n)
        if n < 0:
            if n != -sysio.AGAIN:
                self.forget()
                self.mib.OutRefused += 1
                self.blocked(False)
                return
            n = 0
        self.out_n -= n
        self.out_o = self.out_o + n if self.out_n else 0
        self.blocked(self.out_n != 0)


class DgramCore(EmulatorCore):
    """One frame in each datagram, to and from `peer`.

    The socket is not connected, so that a guest that was restarted is heard; where nobody was named as peer, who spoke last is it.
    The kernel does not tell when a peer's queue, of ten datagrams by default, has room again: RETRY later it is tried.
    """

    __slots__ = ("came", "ends", "learns", "sock")

    def __init__(self, mtu: int, gather: bool) -> None:
        super().__init__(mtu, gather)
        self.sock: Any = None
        self.learns = False
        self.ends = False  # nothing is the end, not a datagram without bytes
        self.came = bytearray(sysio.PEER)

    def read(self, now: int) -> bool:
        stage = self.stage
        n = i = 0
        while i < DATAGRAMS:
            if self.learns:
                n = sysio.recv_from(self.fd, self.sock, stage, 0, FRAME_LIMIT + 1, self.came)
            else:
                n = sysio.recv(self.fd, stage, 0, FRAME_LIMIT + 1)
            if n < 0 or (n == 0 and self.ends):
                break
            i += 1
            if self.learns and not raw.same(self.came, 0, self.peer, 0, sysio.PEER):
                if raw.g16(self.came, 0) == 0:
                    self.mib.InNameless += 1
                    continue
                raw.move(self.peer, 0, self.came, 0, sysio.PEER)
                self.forget()
                self.mib.Arrivals += 1
            if n == LENGTH and raw.g32(stage, 0) == VFKT:
                self.mib.InGreeting += 1
                continue
            self.offer(0, n, now)
            if self.fd < 0:  # somebody above has closed the device
                return False
        if i:
            self.over(now)
        if i < DATAGRAMS and n != -sysio.AGAIN:
            self.forget()
            self.lost(-n)
        return i == DATAGRAMS

    def put(self, p: Out, now: int) -> bool:
        if self.out_n:
            if not self.queue(p, 0):
                return False
            self.mib.OutQueued += 1
            self.mib.OutFrames += 1
            return True
        if self.learns and raw.g16(self.peer, 0) == 0:
            self.mib.OutNobody += 1
            return False
        n = sysio.send2(self.fd, self.sock, p.hdr, p.off, p.data, p.o, p.n, self.peer)
        if n < 0:
            if n != -sysio.AGAIN and n != -sysio.NOBUFS:
                self.refused()
                return False
            self.mib.OutQueued += 1
            if not self.queue(p, 0):
                return False
            self.blocked(True)
        self.mib.OutFrames += 1
        return True

    def put_part(self, p: Out, now: int) -> bool:
        return self.put(p, now)

    def refused(self) -> None:
        """ECONNREFUSED, ENOENT: it is away, and may come back."""
        self.mib.OutNobody += 1

    def write_out(self, now: int) -> None:
        while self.out_n:
            length = raw.g32(self.out, self.out_o)
            n = sysio.send2(self.fd, self.sock, self.out, OUT_ROOM, self.out, self.out_o + LENGTH, length, self.peer)
            if n < 0:
                if n == -sysio.AGAIN or n == -sysio.NOBUFS:
                    break
                self.refused()
            self.out_o += LENGTH + length
            self.out_n -= LENGTH + length
        if not self.out_n:
            self.out_o = 0
        self.blocked(self.out_n != 0)
