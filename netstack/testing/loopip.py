"""An internet layer whose wire is a Python function: transports are tested on it without IPv4, Ethernet and devices.

    ip = LoopIp("10.0.0.1", sent.append)
    tcp = Tcp(ip, timers, rng)
    ip.inject(peer, ip.address, PROTO_TCP, segment, now)
    ip.flush(now)

What a transport sends arrives at the function as a `Packet`, its checksum completed as a device with OFFLOAD_CSUM would. With
OFFLOAD_TSO4 super-segments are handed on whole, their segment size in `gso`, as a tap with vnet_hdr does between two stacks.
"""

from collections.abc import Callable

import attrs

from .. import const, raw
from ..address import Ip4
from ..buffers import Pool
from ..checksum import pseudo_ip4
from ..cores import Frame, IpCore, IpError, Out, PacketSink
from ..errors import MessageTooLong, Unreachable

SLAB = 65536 + 1024  # the largest datagram and the headers below it


@attrs.frozen
class Packet:
    """What a transport sent. `data` begins at its header; addresses are ints."""

    src: int
    dst: int
    proto: int
    data: bytes
    gso: int
    ttl: int
    df: bool


class LoopIp(IpCore):
    """One host's internet layer, with one address. `unreachables` are the ICMP codes that the transport asked to send."""

    def __init__(self, address: str, wire: Callable[[Packet, int], object], mtu: int = 1500, offload: int = 0) -> None:
        self.address = int(Ip4.parse(address))
        self.wire = wire
        self.mtu = mtu
        self.offload = offload
        self.routed = True  # False: sending and looking for a source raise Unreachable
        self.trusted = False  # True: arrivals are marked as checked by the device
        self.unreachables: list[int] = []
        self._sinks: dict[int, PacketSink] = {}
        self._pool = Pool(SLAB)

    # -- the Ip signature -----------------------------------------------------------------------------------------------------

    @property
    def core(self) -> IpCore:
        return self

    def attach(self, proto: int, sink: PacketSink) -> None:
        self._sinks[proto] = sink

    def source_for(self, dst: int) -> int:
        if not self.routed:
            raise Unreachable()
        return self.address

    def mtu_for(self, dst: int, now: int) -> int:
        return self.mtu

    def is_local(self, address: int) -> bool:
        return address == self.address

    def join(self, group: int) -> None:
        """Everything that is injected arrives anyway."""

    def leave(self, group: int) -> None:
        pass

    # -- IpCore ---------------------------------------------------------------------------------------------------------------

    def send(self, p: Out, now: int) -> None:
        if not self.routed:
            raise Unreachable()
        size = p.length()
        if size + 20 > self.mtu and not p.gso:
            raise MessageTooLong(mtu=self.mtu)
        data = p.tobytes()
        if p.csum_off:
            check = raw.csum_of(data, 0, len(data), 0) ^ const.M16  # the field holds the sum of the pseudo-header
            data = data[: p.csum_off] + check.to_bytes(2, "big") + data[p.csum_off + 2 :]
        self.wire(Packet(p.src, p.dst, p.proto, data, p.gso, p.ttl, bool(p.df)), now)

    def pseudo_in(self, f: Frame) -> int:
        return pseudo_ip4(f.src, f.dst, f.proto, f.end - f.off)

    def pseudo_out(self, p: Out, length: int) -> int:
        return pseudo_ip4(p.src, p.dst, p.proto, length)

    def unreachable(self, f: Frame, code: int) -> None:
        self.unreachables.append(code)

    # -- for the test ---------------------------------------------------------------------------------------------------------

    def inject(self, src: int, dst: int, proto: int, data: bytes, now: int, cast: int = 0, gso: int = 0) -> None:
        """A datagram arrives. `flush` ends the batch."""
        f = self._pool.get()
        offset = 34  # an Ethernet and an IPv4 header would stand before it
        raw.fill(f.buf, offset, data, 0, len(data))
        f.off = offset
        f.end = offset + len(data)
        f.l3 = offset - 20
        f.now = now
        f.src = src
        f.dst = dst
        f.proto = proto
        f.cast = cast
        f.csum = const.CSUM_GOOD if self.trusted else const.CSUM_UNKNOWN
        f.gso = gso
        f.kept = 0
        sink = self._sinks[proto]
        try:
            sink.input(f)
        finally:
            self._pool.put(f)

    def flush(self, now: int) -> None:
        for sink in self._sinks.values():
            sink.flush(now)

    def inject_error(self, proto: int, e: IpError, now: int) -> None:
        """An ICMP error arrives."""
        sink = self._sinks[proto]
        sink.error(e, now)
