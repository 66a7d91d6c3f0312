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
#
# What follows is a contract that somebody else must be able to implement, and `netstack.testing.conformance` holds him to it.
# What is common to all of it:
#
# Addresses   (host, port). The host is an address as text, never a name, and never more than the two: an IPv6 scope stands in
#             the text ("fe80::1%eth0"). Where a host is *asked for*, every stack takes literals and `localhost`, and for the
#             local side "", all own addresses; names only where there is a resolver, and one without an address is Unreachable.
#             Port 0 lets the stack choose. A port outside 0 to 65535 is a UsageError, and so is 0 where somebody is to be reached.
# Time        `timeout` is in nanoseconds (Duration), whole ones: a float, which must be meant as seconds, is a UsageError where it
#             would count. None waits for ever; 0 takes what is there. When it passes: TimedOut.
# Errors      UsageError, BusyError, ClosedError; the rest is an OSError: BrokenError for a stream that was lost, and else one of
#             Refused, TimedOut, Unreachable, AddressInUse, NoBuffers, MessageTooLong, or the plain OSError of the system.
# Cancelling  A call that is cancelled or times out leaves its object usable; what has become of its work stands beside each.
# Tasks       An object may be used from the tasks of one loop, by one receiver and one sender at a time; a second one gets
#             BusyError at once, and the first goes on. `aclose` and `abort` may come from any task at any time, and `send_eof` too
#             where it doesn't raise BusyError while another task sends, as trio has it.

Address = tuple[str, int]


class Stream(Protocol):
    """A connection: bytes in order, both ways, each way ended on its own.

    Three ways to its end. *Ended*: the peer has sent its end; `receive` gives b"" from then on, sending goes on. *Closed*: this
    side said `aclose` or `abort`, or left the stack; everything that transfers raises ClosedError from then on, and so does what
    was waiting. *Broken*: lost to a reset, a time-out, the network; everything that transfers raises BrokenError from then on, with
    the cause as its `__cause__` where it is known (PeerReset, TimedOut, Unreachable). Bytes that came before the loss may still be
    received first, or be lost with it. A stream never leaves one of the last two.
    """

    @property
    def local_address(self) -> Address:
        """Our end of it; the peer's `remote_address`, unless somebody translates on the way. Stays when the stream is over."""

    @property
    def remote_address(self) -> Address: ...
    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        """At least one byte, at most `limit`; b"" when the peer has ended its side, after everything that came before.

        Gives what is there and waits only when there is nothing. Where the sender cut means nothing. Cancelled or timed out it has
        taken nothing: the next call gives the same bytes. What nobody receives is held up to a bound, and then holds up the sender.

        Raises TimedOut, BrokenError, ClosedError, BusyError; UsageError when `limit` is below 1.
        """

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        """Returns when the stack has taken all of `data` and holds no more than its bound; that is not yet when the peer has it.

        What is little leaves at once and waits for nothing to join it (no Nagle): who has several pieces joins them. No bytes are
        sent for b"". This is the only brake: a peer that does not receive stops the sender here, with a bounded number of bytes on
        the way. Cancelled or timed out, *all* of `data` counts as sent: it is queued and goes out in its turn, so that the bytes on
        the wire are never torn; don't send it again. (Who sends on regardless piles up his own data.) A stream that can't promise
        that, because it encrypts piece by piece perhaps, breaks its sending side when it has sent a part, and says so.

        Raises TimedOut, BrokenError, BusyError; ClosedError also after `send_eof`.
        """

    async def send_eof(self) -> None:
        """End our side, after what was sent; the peer's `receive` gives b"", and the other direction goes on. Doesn't wait for the
        peer. Again: nothing. On a stream that is closed or broken: nothing, or the error that says so."""

    async def aclose(self) -> None:
        """Close both sides in order: what was sent is still delivered, in the background, for as long as the stack lives and lets
        it. Never waits for the peer to read. Closing twice is closing once, and after `abort` nothing.

        Who closes while there is something he has not received, or to whom something comes later, can't have read it, and the peer
        learns that by a reset (RFC 9293 3.10.4, RFC 2525 2.17).
        """

    def abort(self) -> None:
        """Drop it at once: what is not yet delivered is lost, and the peer gets a reset, PeerReset where it looks for the cause."""


StreamHandler = Callable[[Stream], Awaitable[None]]


class StreamListener(Protocol):
    """A listening port."""

    @property
    def address(self) -> Address:
        """Where it listens; the port that was chosen, if that was 0. While it is open."""

    async def aclose(self) -> None:
        """Accept no more; connections that were accepted go on, with their handlers. The port is free when this returns. Twice is
        once."""


class StreamStack(Protocol):
    """Streams: our TCP, the kernel's sockets, TLS over either.

    Who opened the stack owns all of it: leaving cancels the handlers and ends what is open (streams that are still open are reset,
    what was closed has a moment to be delivered), and its methods raise ClosedError from then on. How it is opened and left is not
    part of this signature.
    """

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> Stream:
        """A connection that is established. Cancelled or timed out, it leaves nothing behind, or at most a connection that the
        other side sees end at once. Without a timeout the stack's own limit holds, some two minutes.

        Raises Refused, TimedOut, Unreachable, AddressInUse when there is no port left, UsageError.
        """

    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = 128) -> StreamListener:
        """Run `handler(stream)` in a task of its own for each connection, as soon as that is established.

        The stream is closed when the handler returns. When it raises, the stream is aborted, the error is told to the loop's
        exception handler (where there is none, to the logger `netstack`), and the listener goes on. `backlog` bounds those that are
        established and not yet handed over; further ones wait at the peer, or are refused.

        Returns when the port listens. Raises AddressInUse, UsageError; Unreachable for a host that is not one's own.
        """


class Datagrams(Protocol):
    """A UDP port. Each datagram is whole or lost."""

    @property
    def local_address(self) -> Address:
        """While it is open. The host of one that is bound to all addresses is the unspecified one, "0.0.0.0"."""

    async def receive(self, timeout: Duration | None = None) -> tuple[bytes, Address]:
        """The oldest datagram, which may be empty, and its sender. What waits is bounded; what finds no room is dropped.

        The network's answer to what was sent, once: Refused when nobody has the remote port, Unreachable. It is certain only on a
        port with a `remote`; the port stays usable. Cancelled or timed out it has taken nothing.

        Raises TimedOut, ClosedError (also when it waits while the port is closed), BusyError.
        """

    async def send(self, data: bytes, address: Address | None = None) -> None:
        """Send one datagram, to the remote of the port unless an address is given. Says nothing of its arrival.

        Raises MessageTooLong (65507 bytes fit into IPv4), Unreachable, ClosedError; UsageError without an address where there is no
        remote.
        """

    async def aclose(self) -> None:
        """Free the port, at once. What waited is dropped. Twice is once."""


class DatagramStack(Protocol):
    """Datagrams: our UDP, the kernel's sockets."""

    async def bind_datagrams(self, port: int = 0, host: str = "", remote: Address | None = None) -> Datagrams:
        """A port of one's own. With `remote` it is connected: only datagrams of that peer come in, and the local host is the one
        that leads there. Raises AddressInUse, UsageError; Unreachable where there is no way to `remote`, or `host` is not ours."""
