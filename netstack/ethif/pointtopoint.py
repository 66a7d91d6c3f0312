"""A link for devices that carry bare IP packets: tun, WireGuard, a pipe between two stacks. No addresses, no neighbours."""

from typing import Generic, TypeVar

from ..cores import FrameSink, LinkCore
from ..errors import UsageError
from ..signatures import Netif
from .core import DirectHop, PointToPointCore
from .mib import LinkMib

N_co = TypeVar("N_co", bound=Netif, covariant=True)


class PointToPoint(PointToPointCore, Generic[N_co]):
    """A `signatures.Link` with its own `signatures.NextHop`: `Ipv4(link, link.next_hop, …)`.

    Packets go up by IP version, as ETH_IPV4 or ETH_IPV6. Raises UsageError for an Ethernet device, which wants `Ethif`.
    """

    __slots__ = ("_hop", "_netif")

    def __init__(self, netif: N_co) -> None:
        if netif.mac is not None:
            raise UsageError(f"{netif.name} is an Ethernet device: use Ethif({netif.name})")
        super().__init__(netif.core, netif.mtu)
        self._netif = netif
        self._hop = DirectHop(self)
        netif.attach(self.rx)

    @property
    def core(self) -> LinkCore:
        return self

    @property
    def netif(self) -> N_co:
        return self._netif

    @property
    def next_hop(self) -> DirectHop:
        """In the place of ARP: whatever the next hop, the packet goes to the other end."""
        return self._hop

    @property
    def mac(self) -> None:
        return None

    @property
    def mtu(self) -> int:
        """Largest internet datagram in bytes."""
        return self._netif.mtu

    @property
    def offload(self) -> int:
        """What the device offers: OFFLOAD_* flags."""
        return self._netif.offload

    @property
    def mib(self) -> LinkMib:
        return self._mib

    def attach(self, ethertype: int, sink: FrameSink) -> None:
        """Packets of ETH_IPV4 or ETH_IPV6 go to `sink`; every batch ends with one flush of each sink.
        Raises UsageError when the type is taken."""
        self.rx.attach(ethertype, sink)
