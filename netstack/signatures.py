"""The module types: what each layer needs of the one below, as Protocols. A layer imports this, never its neighbour.

Composition is construction, and mypy --strict refuses a wrong one:

    eth = Ethif(tap); arp = Arp(eth, …); ip = Ipv4(eth, arp, …); tcp = Tcp(ip, …)     # Tcp[Ipv4[Ethif[Tap], Arp[Ethif[Tap]]]]

Each Protocol has a property `core`, its compiled half from `cores.py`: structural for the reader, nominal for the C call.
Two things are in these signatures from the first day, since they can't be added later without breaking every layer:
*offload* (what the device takes and gives) and *batches* (a netif hands up the frames of one wake-up, then flushes).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from .address import Mac
from .cores import FrameSink, IpCore, LinkCore, NetifCore, NextHopCore, PacketSink
from .instant import Duration, Instant


class Rng(Protocol):
    """Chance as an argument: `random.Random(seed)` in tests, `random.SystemRandom()` in service."""

    def getrandbits(self, k: int, /) -> int: ...


class Netif(Protocol):
    """What the stack needs of a device that carries frames."""

    @property
    def core(self) -> NetifCore: ...
    @property
    def name(self) -> str: ...
    @property
    def mac(self) -> Mac | None:
        """Its own Ethernet address, the stack's; None for a point-to-point device, which carries bare IP packets."""

    @property
    def mtu(self) -> int:
        """Largest internet datagram, link header not counted."""

    @property
    def offload(self) -> int:
        """OFFLOAD_* flags of const.py: what `send` may ask of the device."""

    def attach(self, sink: FrameSink, /) -> None:
        """Frames go to `sink` from now on. One sink for each netif."""

    def set_waker(self, waker: Callable[[], None] | None, /) -> None:
        """`waker()` is called, from any context of the driver's thread, when `poll` has become worth a call."""

    def fileno(self) -> int | None:
        """A descriptor that is readable when frames wait, or None: then the waker and `next_deadline` tell."""

    def poll(self, now: Instant, /) -> bool:
        """Hand up at most BATCH frames, then flush the sink. True when more are waiting. Raises OSError when the device is gone."""

    def next_deadline(self) -> Instant | None:
        """When `poll` must be called without any other reason: for wires with delay."""

    def close(self) -> None: ...


class Link(Protocol):
    """What the internet layer and ARP need of a link."""

    @property
    def core(self) -> LinkCore: ...
    @property
    def mac(self) -> Mac | None: ...
    @property
    def mtu(self) -> int: ...
    @property
    def offload(self) -> int: ...
    def attach(self, ethertype: int, sink: FrameSink, /) -> None: ...


class NextHop(Protocol):
    """What the internet layer needs to reach the next hop: ARP, or a point-to-point link itself."""

    @property
    def core(self) -> NextHopCore: ...


class Ip(Protocol):
    """What transports need of the internet layer."""

    @property
    def core(self) -> IpCore: ...
    @property
    def offload(self) -> int: ...
    def attach(self, proto: int, sink: PacketSink, /) -> None: ...
    def source_for(self, dst: int, /) -> int:
        """The local address that packets to `dst` leave with. Raises Unreachable."""

    def mtu_for(self, dst: int, now: int, /) -> int:
        """Path MTU towards `dst` (RFC 1191): the largest datagram that need not be fragmented."""

    def is_local(self, address: int, /) -> bool:
        """Is this one of our own unicast addresses?"""

    def join(self, group: int, /) -> None:
        """Receive what is sent to a multicast group, until as many `leave` as `join` were called."""

    def leave(self, group: int, /) -> None: ...


# -- what services need of a transport: the only signatures that wait ---------------------------------------------------------

Address = tuple[str, int]


class Stream(Protocol):
    """A connection: bytes in order, both ways, each way ended on its own."""

    @property
    def local_address(self) -> Address: ...
    @property
    def remote_address(self) -> Address: ...
    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        """At least one byte, at most `limit`; b"" when the peer has ended its side. Raises TimedOut, BrokenError, ClosedError."""

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        """Returns when the stack has taken it all, under its bound. Raises TimedOut, BrokenError, ClosedError, BusyError."""

    async def send_eof(self) -> None:
        """End our side; the other may go on."""

    async def aclose(self) -> None:
        """Close both sides in order. Never waits for the peer to read."""

    def abort(self) -> None:
        """Drop it at once, with a reset."""


StreamHandler = Callable[[Stream], Awaitable[None]]


class StreamListener(Protocol):
    """A listening port."""

    @property
    def address(self) -> Address: ...
    async def aclose(self) -> None:
        """Accept no more; connections that were accepted go on."""


class StreamStack(Protocol):
    """Streams: our TCP, the kernel's sockets, TLS over either."""

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> Stream: ...
    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = 128) -> StreamListener:
        """Run `handler(stream)` in a task of its own for each connection; the stream is closed when it returns."""


class Datagrams(Protocol):
    """A UDP port."""

    @property
    def local_address(self) -> Address: ...
    async def receive(self, timeout: Duration | None = None) -> tuple[bytes, Address]: ...
    async def send(self, data: bytes, address: Address | None = None) -> None: ...
    async def aclose(self) -> None: ...


class DatagramStack(Protocol):
    """Datagrams: our UDP, the kernel's sockets."""

    async def bind_datagrams(self, port: int = 0, host: str = "", remote: Address | None = None) -> Datagrams: ...
