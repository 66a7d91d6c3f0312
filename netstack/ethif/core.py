"""The compiled halves of both kinds of link: Ethernet, and point-to-point devices that carry bare IP packets.

A link is two objects, since a compiled class has one base: a `LinkCore` that the layers above send through, and a `FrameSink`
that the device hands frames to. What both kinds share is `Demux`: EtherType to sink, with the last answer in front of the
table, since nearly every frame is of the type of the one before.

Padding of short frames is the device's business: a tap and a wire in memory don't ask for it. Frames of other hosts are
dropped here, in one place, and are counted: a device that cannot filter, or a segment that floods, shows in InOtherHost.

Somebody may look at what passes (`watch`), and begin and end while the link is at work. He is put between the link and its
neighbours then, and taken out again: with nobody there is nothing to ask, not even whether somebody is there.
"""

from .. import const, raw
from ..adapters import Observer, TeePort, TeeSink
from ..cores import Frame, FrameSink, LinkCore, NetifCore, NextHopCore, Out
from ..errors import UsageError
from .mib import LinkMib


class Demux(FrameSink):
    """Hands each frame to whoever asked for its EtherType, and the end of the batch to everybody."""

    __slots__ = ("attached", "et0", "everybody", "mib", "observer", "sinks", "up0")

    def __init__(self, mib: LinkMib) -> None:
        self.mib = mib
        self.attached: dict[int, FrameSink] = {}
        self.sinks: dict[int, FrameSink] = {}  # the same, or an observer before each
        self.observer: Observer | None = None
        self.everybody: list[FrameSink] = []
        self.et0 = -1  # the one-entry cache: 1 ns against 32 for the table
        self.up0: FrameSink = None  # type: ignore[assignment]  # never read while et0 is -1

    def attach(self, ethertype: int, sink: FrameSink) -> None:
        if not 0x0600 <= ethertype <= 0xFFFF:
            raise UsageError(f"{ethertype:#x} is not an EtherType: give one from 0x0600 to 0xffff")
        if ethertype in self.attached:
            raise UsageError(f"EtherType {ethertype:#06x} already has a handler on this link: one for each type")
        self.attached[ethertype] = sink
        self.watch(self.observer)
        if sink not in self.everybody:
            self.everybody.append(sink)

    def watch(self, observer: Observer | None) -> None:
        self.observer = observer
        self.sinks = {
            ethertype: sink if observer is None else TeeSink(observer, sink) for ethertype, sink in self.attached.items()
        }
        self.et0 = -1

    def deliver(self, f: Frame, ethertype: int) -> None:
        if ethertype != self.et0:
            sink = self.sinks.get(ethertype)
            if sink is None:
                self.mib.InUnknownType += 1
                return
            self.et0 = ethertype
            self.up0 = sink
        self.up0.input(f)

    def flush(self, now: int) -> None:
        for sink in self.everybody:
            sink.flush(now)


class EthifRx(Demux):
    """Frames from an Ethernet device."""

    __slots__ = ("own",)

    def __init__(self, mib: LinkMib, own: int) -> None:
        super().__init__(mib)
        self.own = own

    def input(self, f: Frame) -> None:
        self.mib.InFrames += 1
        if f.end - f.off < const.ETH_HEADER:
            self.mib.InTooShort += 1
            return
        dst, src, ethertype = raw.get_eth(f.buf, f.off)
        if src == self.own:  # a loop in the network, or a device that hears itself
            self.mib.InOwnEcho += 1
            return
        if src >> 40 & 1:  # IEEE 802.3 3.2.5: a source is an individual address; answers to it would flood
            self.mib.InBadSource += 1
            return
        if dst == self.own:
            f.cast = const.UNICAST
        elif dst == const.MAC_BROADCAST:
            f.cast = const.BROADCAST
        elif dst >> 40 & 1:
            f.cast = const.MULTICAST
        else:
            self.mib.InOtherHost += 1
            return
        f.lsrc = src
        f.off += const.ETH_HEADER
        self.deliver(f, ethertype)


class EthifCore(LinkCore):
    """Packets to an Ethernet device."""

    __slots__ = ("_device", "_mib", "_mtu", "below", "own", "rx")

    def __init__(self, below: NetifCore, own: int, mtu: int) -> None:
        self._device = below
        self.below = below  # the device, or an observer before it
        self.own = own
        self._mtu = mtu
        self._mib = LinkMib()
        self.rx = EthifRx(self._mib, own)

    def watch(self, observer: Observer | None) -> None:
        """Show what passes from now on to `observer`, both ways: what goes up with the link's header just before `f.off`. None: to
        nobody any more. Frames that nobody here takes, for other hosts or of unknown types, are not shown."""
        self.below = self._device if observer is None else TeePort(observer, self._device)
        self.rx.watch(observer)

    def send(self, p: Out, ethertype: int, dst: int, now: int) -> None:
        if not p.gso and p.length() > self._mtu:
            self._mib.OutTooLong += 1
            return
        p.off -= const.ETH_HEADER
        raw.put_eth(p.hdr, p.off, dst, self.own, ethertype)
        try:
            self.below.send(p, now)
        except OSError:  # lost, as on any wire; that the device is gone, whoever polls it will hear
            self._mib.OutErrors += 1
            return
        self._mib.OutFrames += 1


class PointToPointRx(Demux):
    """Bare IP packets from a device: the version in the first four bits stands for the EtherType."""

    __slots__ = ()

    def input(self, f: Frame) -> None:
        self.mib.InFrames += 1
        if f.end <= f.off:
            self.mib.InTooShort += 1
            return
        version = raw.g8(f.buf, f.off) >> 4
        f.cast = const.UNICAST
        f.lsrc = 0
        if version == 4:
            self.deliver(f, const.ETH_IPV4)
        elif version == 6:
            self.deliver(f, const.ETH_IPV6)
        else:
            self.mib.InUnknownType += 1


class PointToPointCore(LinkCore):
    """Bare IP packets to a device: nothing to write, nobody to address."""

    __slots__ = ("_device", "_mib", "_mtu", "below", "rx")

    def __init__(self, below: NetifCore, mtu: int) -> None:
        self._device = below
        self.below = below  # the device, or an observer before it
        self._mtu = mtu
        self._mib = LinkMib()
        self.rx = PointToPointRx(self._mib)

    def watch(self, observer: Observer | None) -> None:
        """Show what passes from now on to `observer`, both ways: what goes up with the link's header just before `f.off`. None: to
        nobody any more. Frames that nobody here takes, for other hosts or of unknown types, are not shown."""
        self.below = self._device if observer is None else TeePort(observer, self._device)
        self.rx.watch(observer)

    def send(self, p: Out, ethertype: int, dst: int, now: int) -> None:
        if not p.gso and p.length() > self._mtu:
            self._mib.OutTooLong += 1
            return
        try:
            self.below.send(p, now)
        except OSError:  # as above
            self._mib.OutErrors += 1
            return
        self._mib.OutFrames += 1


class DirectHop(NextHopCore):
    """The next hop of a point-to-point link is its other end: there is nobody to ask for."""

    __slots__ = ("link",)

    def __init__(self, link: LinkCore) -> None:
        self.link = link

    @property
    def core(self) -> NextHopCore:
        return self

    def send(self, p: Out, next_hop: int, now: int) -> None:
        self.link.send(p, const.ETH_IPV4, 0, now)
