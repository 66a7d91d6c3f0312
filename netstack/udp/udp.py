"""UDP as one composes it."""

import errno
from typing import Generic, TypeVar

from .. import const
from ..address import ip4_text
from ..cores import DatagramUser, PacketSink
from ..errors import AddressInUse, Unreachable, UsageError
from ..signatures import Ip, Rng
from .core import UdpCore, UdpPort

I_co = TypeVar("I_co", bound=Ip, covariant=True)

# RFC 6335 6: the dynamic ports. 2**14 of them, so that 14 random bits are one of them, each as likely as the others
EPHEMERAL_FIRST = 49152
EPHEMERAL_BITS = 14


class Udp(UdpCore, Generic[I_co]):
    """A host's UDP ports, over any internet layer."""

    __slots__ = ("_rng",)

    def __init__(self, ip: I_co, rng: Rng) -> None:
        super().__init__(ip)
        self._rng = rng
        sink: PacketSink = self
        ip.attach(const.PROTO_UDP, sink)

    def bind(
        self, address: int, port: int, user: DatagramUser, remote: tuple[int, int] | None = None, reuse: bool = False
    ) -> UdpPort:
        """Bind a port, to one of our addresses, to a multicast group, or (0) to all.

        `port` 0 takes a free one at random (RFC 6056). With `remote` the port is connected: only that peer's datagrams come
        in, and the local address, if 0, becomes the one that leads there. Ports without a peer share an address and port
        only when all say `reuse`: groups and broadcasts reach each, the rest goes to the last one.

        Raises UsageError, AddressInUse, Unreachable.
        """
        address = int(address)
        if not 0 <= port <= 65535:
            raise UsageError(f"{port} is not a port: those are 1 to 65535, and 0 for a free one")
        anybody = remote is not None and getattr(self.ip, "any_ip", False)  # `Ipv4Config.any_ip`: as whom we talk to this peer
        if address and address >> 28 != 14 and address != const.M32 and not anybody and not self.ip.is_local(address):
            raise Unreachable(f"{ip4_text(address)} is not an address of this host", number=errno.EADDRNOTAVAIL)
        peer, peer_port = (0, 0) if remote is None else (int(remote[0]), remote[1])
        if remote is not None:
            if not 0 < peer <= const.M32 or not 0 < peer_port <= 65535:
                raise UsageError(f"{remote} is not a peer: give an address and a port from 1 to 65535")
            address = address or self.ip.source_for(peer)
        if port == 0:
            port = self._free_port(address, peer, peer_port)
        elif self._taken(address, port, peer, peer_port, reuse):
            raise AddressInUse(f"port {port} is taken")
        u = UdpPort(self, address, port, peer, peer_port, user, reuse)
        self.enter(u)
        return u

    def _taken(self, address: int, port: int, peer: int, peer_port: int, reuse: bool) -> bool:
        for other in self.ports.get(port, ()):
            if (other.remote, other.remote_port) != (peer, peer_port):
                continue  # a peer of its own tells them apart
            if (other.local == address or (not peer and (not other.local or not address))) and not (
                reuse and other.reuse and not peer
            ):
                return True
        return False

    def _free_port(self, address: int, peer: int, peer_port: int) -> int:
        """RFC 6056 3.3.1: begin at random, go on to the next."""
        begin = self._rng.getrandbits(EPHEMERAL_BITS)
        for i in range(1 << EPHEMERAL_BITS):
            port = EPHEMERAL_FIRST + (begin + i) % (1 << EPHEMERAL_BITS)
            if port not in self.ports or not (self._shared(port) or self._taken(address, port, peer, peer_port, False)):
                return port
        raise AddressInUse("all ephemeral ports are taken")

    def _shared(self, port: int) -> bool:
        """Does anybody listen there without a peer? Then a random port must not be this one, whatever the addresses."""
        return any(not other.remote for other in self.ports.get(port, ()))
