"""Ethernet over any device that has an Ethernet address: the generic face of `core.EthifCore`."""

from typing import Generic, TypeVar

from ..address import Mac
from ..cores import FrameSink, LinkCore
from ..errors import UsageError
from ..signatures import Netif
from .core import EthifCore
from .mib import LinkMib

N_co = TypeVar("N_co", bound=Netif, covariant=True)


class Ethif(EthifCore, Generic[N_co]):
    """A `signatures.Link`: accepts frames to its own address, to everybody and to groups, and hands them up by EtherType.

    Raises UsageError for a device without an Ethernet address, and (from the device) when it already has a stack on it.
    """

    __slots__ = ("_mac", "_netif")

    def __init__(self, netif: N_co) -> None:
        mac = netif.mac
        if mac is None:
            raise UsageError(f"{netif.name} has no Ethernet address, it carries bare IP packets: use PointToPoint({netif.name})")
        if mac.is_group or not int(mac):
            raise UsageError(f"{mac} can't be the address of a station: give {netif.name} a unicast one like 02:00:00:00:00:01")
        super().__init__(netif.core, int(mac), netif.mtu)
        self._mac = mac
        self._netif = netif
        netif.attach(self.rx)

    @property
    def core(self) -> LinkCore:
        return self

    @property
    def netif(self) -> N_co:
        return self._netif

    @property
    def mac(self) -> Mac:
        return self._mac

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
        """Frames of this type go to `sink`, the Ethernet header taken off; every batch ends with one flush of each sink.
        Raises UsageError when the type is taken."""
        self.rx.attach(ethertype, sink)
