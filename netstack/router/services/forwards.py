"""Port forwards, at the start and while the router runs.

    forwards = Forwards(net, gateway=Ip4.parse("10.0.2.2"), default_guest=…)
    number = await forwards.add("tcp", "127.0.0.1", 2222, "10.0.2.15", 22)
    await forwards.add_spec("tcp", "8000-8010")
    forwards.add_out("tcp", 5432, "unix:/run/postgresql/.s.PGSQL.5432")

*Inwards* the host listens. Its kernel accepts before anybody can ask the guest, so the guest is connected to before a byte is
read, and where it refuses the client is reset: what the client has learnt by then is that somebody listens, as behind every NAT.
The guest sees the client's own address with `keep_source`, on a stack that can be anybody (`Ipv4Config.any_ip`), else the
router's.

*Outwards* nothing listens: the guest's SYN for the router's address is decided like every other, and here (`ForwardGate`), so the
guest hears of success when the host's side has answered, and of refusal too.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from attrs import asdict, evolve, frozen

from ...address import Ip4
from ...errors import AddressInUse, NetstackError, Refused, UsageError
from ...instant import SECOND, Instant
from ...runtime.doors.ends import LOCAL, Place
from ...runtime.doors.forward import DIAL_TIMEOUT, Forward, unlink
from ...runtime.doors.forward import Flow as Sender
from ...runtime.doors.hostside import HostEnd, HostListener, HostPackets
from ...runtime.doors.joint import Counts, End, StackEnd
from ...runtime.streams import UdpSocket
from ..flow import Decision, Flow, Gate
from ..nat.nat import Nat
from .forwardspec import Inward, Outward, check_path, check_proto, inward, outward
from .inward import InwardRelays

LIMIT = 1024  # connections, or senders of datagrams, of one forward at a time
FORWARDS = 4096  # in all: each is a descriptor of the process


@frozen
class Listed:
    """A forward as it is shown; the names are those of slirp4netns's API. `unix`: the path of the host's end, where it is one."""

    id: int
    proto: str
    host_addr: str
    host_port: int
    guest_addr: str
    guest_port: int
    direction: str = "in"
    unix: str = ""
    open: int = 0
    accepted: int = 0
    refused: int = 0

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Spare(Protocol):
    """Who has ports of the host until somebody wants them (everyport.py)."""

    def leave(self, port: int) -> None: ...
    def close(self) -> None: ...


class GuestForward(Forward):
    """One listening port of the host's, and what goes on from there."""

    def __init__(self, forwards: Forwards, said: Inward, keep_source: bool, limit: int) -> None:
        here = Place(True, "unix", path=said.path) if said.path else Place(True, said.proto, said.host, said.host_port)
        there = Place(False, said.proto, "" if said.guest is None else str(said.guest), said.guest_port)
        super().__init__(forwards.net, here, there, limit)
        self.said = said
        self.keep_source = keep_source
        self.flows: dict[Flow, Counts | None] = {}
        self._forwards = forwards
        if forwards.nat is not None:
            self.idle = forwards.nat.config.udp_idle / SECOND
        self._relays: InwardRelays | None = None

    @property
    def open(self) -> int:
        return len(self._tasks) + (0 if self._relays is None else len(self._relays))

    def relayed(self) -> list[Flow]:
        """Those that the NAT's relay carries, and the senders of datagrams."""
        return [self._sender(each) for each in self.senders.values()] if self._relays is None else self._relays.flows()

    def _sender(self, sender: Sender) -> Flow:
        now, at = self._net.now(), self._loop.time()
        if sender.tag is None:
            sender.tag = self.flow_of(sender.peer)
            sender.tag.began = Instant(now - round((at - sender.began) * SECOND))
        flow: Flow = sender.tag
        flow.last = Instant(now - round((at - sender.used) * SECOND))
        flow.sent, flow.received = sender.back, sender.there
        return flow

    def _listen_on_host(self, sock: socket.socket) -> None:
        nat = self._forwards.nat
        if nat is None:
            super()._listen_on_host(sock)
            return

        def accepted(sock: socket.socket) -> None:
            peer: Any = ""
            try:
                sock.setblocking(False)
                if sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peer = sock.getpeername()
                guest = self.guest()
            except OSError:  # gone already, or nobody to go to
                self.counts.accepted += 1
                self.counts.refused += 1
                HostEnd(sock, self._loop).abort()
                return
            relays.begin(sock, self.flow_of(peer), self.source(peer), guest, self.said.guest_port)
            if self.open >= self.limit:
                listener.pause()

        def left() -> None:
            if not self.closed and self.open < self.limit:
                listener.resume()

        relays = self._relays = InwardRelays(nat, self.counts, left)
        self.address = sock.getsockname()
        listener = HostListener(sock, self._loop, accepted)
        self._closers += [listener.close, relays.close]
        if self.said.path:
            self._closers.append(lambda: unlink(self.said.path))

    def guest(self) -> Ip4:
        """Raises Refused where there is none."""
        guest = self.said.guest or self._forwards.default_guest()
        if guest is None:
            raise Refused("no guest has an address yet")
        return guest

    def source(self, peer: Any) -> tuple[int, int]:
        """Where the guest sees it come from: an address, or 0 for ours, and a port."""
        if not self.keep_source or not isinstance(peer, tuple) or not getattr(self._net.stack.ip, "any_ip", False):
            return 0, 0
        try:
            address = Ip4.parse(peer[0].removeprefix("::ffff:"))
        except UsageError:
            return 0, 0
        if int(address) >> 24 in (0, 127) or int(address) >> 28 >= 14:
            return 0, 0  # it would mean the guest itself
        return int(address), peer[1]

    async def reach(self, near: End) -> End:
        assert isinstance(near, HostEnd)
        peer = near.sock.getpeername() if near.sock.family != socket.AF_UNIX else ""
        guest = self.guest()
        local, port = self.source(peer)
        net = self._net
        if local:
            try:
                return StackEnd(await net.connect_from(local, port, int(guest), self.said.guest_port, DIAL_TIMEOUT))
            except AddressInUse:  # that port has a connection there: any other
                return StackEnd(await net.connect_from(local, 0, int(guest), self.said.guest_port, DIAL_TIMEOUT))
        return StackEnd(await net.connect_stream(str(guest), self.said.guest_port, DIAL_TIMEOUT))

    async def _serve(self, near: End, counts: Counts | None = None) -> None:
        counts = Counts()
        flow = self.flow_of(near.sock.getpeername() if isinstance(near, HostEnd) else "")
        self.flows[flow] = counts
        try:
            await super()._serve(near, counts)
        finally:
            del self.flows[flow]

    async def connect_packets(self, peer: Any) -> UdpSocket | HostPackets:
        guest = self.guest()
        local, port = self.source(peer)
        if local:
            try:
                return self._net.udp_from(local, port, (int(guest), self.said.guest_port))
            except AddressInUse:
                return self._net.udp_from(local, 0, (int(guest), self.said.guest_port))
        return await self._net.udp(remote=(str(guest), self.said.guest_port))

    def flow_of(self, peer: Any) -> Flow:
        """For whoever looks on."""
        address, port = (peer[0], peer[1]) if isinstance(peer, tuple) else ("0.0.0.0", 0)
        try:
            src = Ip4.parse(address.removeprefix("::ffff:"))
        except UsageError:
            src = Ip4(0)
        guest = self.said.guest or self._forwards.default_guest() or Ip4(0)
        flow = Flow("udp" if self.said.proto == "udp" else "tcp", src, port, guest, self.said.guest_port, self._net.now())
        flow.inbound = True
        flow.state = "open"
        flow.hostname = f"forward {self.said.local}"
        return flow


class Forwards:
    """All forwards of a router. `default_guest()` gives the address of the only guest, or the first, once it has one; `gateway` is
    the address by which guests reach their host. `keep_source`: what forwards do that say nothing. With a `nat` its compiled relay
    carries streams, without one a task for each."""

    def __init__(
        self,
        net: Any,
        *,
        gateway: Ip4,
        default_guest: Callable[[], Ip4 | None] = lambda: None,
        keep_source: bool = False,
        limit: int = LIMIT,
        nat: Nat | None = None,
    ) -> None:
        if limit < 1:
            raise UsageError(f"limit={limit} would forward nothing: allow one connection or more")
        self.net = net
        self.gateway = gateway
        self.default_guest = default_guest
        self.keep_source = keep_source
        self.nat = nat
        self._limit = limit
        self._in: dict[int, GuestForward] = {}
        self._out: dict[int, Outward] = {}
        self._by_port: dict[tuple[str, int], Outward] = {}
        self._any: dict[str, tuple[range, ...]] = {}
        self.outward = False  # has there been any from the guests' side? Else `decide` need not be asked
        self.spare: dict[str, Spare] = {}  # by protocol: ports that are held for whoever comes, and given to whoever names them
        self._next = 1

    # -- adding ---------------------------------------------------------------------------------------------------------------

    async def add(
        self, proto: str, host_addr: str, host_port: int, guest_addr: str, guest_port: int, *, keep_source: bool | None = None
    ) -> int:
        """From the host's port to the guest's; "" as `guest_addr` is the only guest. Its number. Raises UsageError, OSError."""
        check_proto(proto)
        for port in (host_port, guest_port):
            if not isinstance(port, int) or not 0 < port < 65536:
                raise UsageError(f"{port!r} is not a port: choose one from 1 to 65535")
        guest = Ip4.parse(guest_addr) if guest_addr else None
        return await self._listen(Inward(proto, host_addr or "0.0.0.0", host_port, guest, guest_port), keep_source)

    async def add_unix(self, path: str, guest_addr: str, guest_port: int) -> int:
        """From a unix socket of the host's. Raises UsageError, OSError."""
        check_path(path, f"unix:{path}")
        if not 0 < guest_port < 65536:
            raise UsageError(f"{guest_port!r} is not a port: choose one from 1 to 65535")
        return await self._listen(Inward("tcp", "", 0, Ip4.parse(guest_addr) if guest_addr else None, guest_port, path), None)

    async def add_spec(self, proto: str, text: str, *, keep_source: bool | None = None) -> list[int]:
        """As forwardspec.py has it: all of a range, or none. Raises UsageError, OSError."""
        made: list[int] = []
        try:
            for each in inward(proto, text):
                made.append(await self._listen(each, keep_source))
        except BaseException:
            for number in made:
                await self.remove(number)
            raise
        return made

    async def _listen(self, said: Inward, keep_source: bool | None) -> int:
        self._check_room()
        if said.proto in self.spare and not said.path:
            self.spare[said.proto].leave(said.host_port)
        forward = GuestForward(self, said, self.keep_source if keep_source is None else keep_source, self._limit)
        start: Callable[[], Awaitable[None]] = forward.listen_datagrams if said.proto == "udp" else forward.listen
        try:
            await start()
        except OSError as error:
            if isinstance(error, NetstackError) or error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, said.local) from None  # of several forwards, which
        self.net._doors.add(forward)
        return self._number(self._in, forward)

    def adopt(self, proto: str, host_port: int, sock: socket.socket) -> int:
        """A listening socket of the host's, or one for datagrams, that is bound there leads to the same port of the only guest.
        Raises UsageError."""
        self._check_room()
        forward = GuestForward(self, Inward(proto, LOCAL, host_port, None, host_port), self.keep_source, self._limit)
        if proto == "udp":
            forward.serve_datagrams(HostPackets(sock, self.net._loop))
        else:
            forward._listen_on_host(sock)
        self.net._doors.add(forward)
        return self._number(self._in, forward)

    def add_out(self, proto: str, port: int, to: tuple[str, int] | str) -> int:
        """From the guests' side: who connects to `port` of the router goes on to `to`, an address and a port, or "unix:/path".
        Raises UsageError, AddressInUse."""
        check_proto(proto)
        if not 0 < port < 65536:
            raise UsageError(f"{port!r} is not a port: choose one from 1 to 65535")
        if isinstance(to, str):
            check_path(to.removeprefix("unix:"), to)
        self._check_room()
        if (proto, port) in self._by_port:
            raise AddressInUse(f"{proto} port {port} of {self.gateway} leads somewhere already")
        self.outward = True
        said = self._by_port[proto, port] = Outward(proto, port, to)
        return self._number(self._out, said)

    def add_out_spec(self, proto: str, text: str) -> list[int]:
        """Raises UsageError, AddressInUse."""
        made: list[int] = []
        try:
            for each in outward(proto, text):
                made.append(self.add_out(each.proto, each.port, each.to))
        except BaseException:
            for number in made:
                self._remove_out(number)
            raise
        return made

    def open_out(self, proto: str, excluded: Iterable[range] = ()) -> None:
        """From the guests' side: any port of the router leads to the same of the host's loopback, but for those excluded. Who
        listens there, if anybody, is seen when a guest asks."""
        check_proto(proto)
        self.outward = True
        self._any[proto] = tuple(excluded)

    def _check_room(self) -> None:
        if len(self._in) + len(self._out) >= FORWARDS:
            raise UsageError(f"there are {FORWARDS} forwards: remove some first")

    def _number(self, table: dict[int, Any], forward: object) -> int:
        number = self._next
        self._next += 1
        table[number] = forward
        return number

    # -- removing and looking -------------------------------------------------------------------------------------------------

    async def remove(self, number: int) -> None:
        """Connections that go through it are reset. Raises UsageError."""
        if number in self._out:
            self._remove_out(number)
            return
        forward = self._in.pop(number, None)
        if forward is None:
            raise UsageError(f"there is no forward {number}")
        await forward.aclose()

    def _remove_out(self, number: int) -> None:
        said = self._out.pop(number)
        del self._by_port[said.proto, said.port]

    def flows(self) -> list[Flow]:
        """Connections that came by forwards and are open."""
        found = []
        for forward in self._in.values():
            for flow, counts in forward.flows.items():
                if counts is not None:
                    flow.sent, flow.received = counts.back, counts.there
                found.append(flow)
            found += forward.relayed()
        return found

    def decide(self, flow: Flow) -> Decision | None:
        """Is this one for a forward of ours?"""
        if not (self._by_port or self._any) or flow.dst_int != int(self.gateway):
            return None
        said = self._by_port.get((flow.proto, flow.dst_port))
        if said is not None:
            return Decision.connect(said.to)
        excluded = self._any.get(flow.proto)
        if excluded is None or any(flow.dst_port in each for each in excluded):
            return None
        return Decision.connect((LOCAL, flow.dst_port))

    async def aclose(self) -> None:
        for spare in self.spare.values():
            spare.close()
        for number in tuple(self._in):
            await self.remove(number)

    def list(self) -> list[Listed]:
        """All, by number."""
        found = []
        for number, forward in self._in.items():
            said, counts = forward.said, forward.counts
            guest = said.guest or self.default_guest()
            row = Listed(number, said.proto, said.host, said.host_port, str(guest or ""), said.guest_port, "in", said.path)
            found.append(evolve(row, open=forward.open, accepted=counts.accepted, refused=counts.refused))
        for number, out in self._out.items():
            host, port = out.to if isinstance(out.to, tuple) else ("", 0)
            path = "" if isinstance(out.to, tuple) else out.to.removeprefix("unix:")
            found.append(Listed(number, out.proto, host, port, str(self.gateway), out.port, "out", path))
        return sorted(found, key=lambda each: each.id)


class ForwardGate:
    """A `Gate` that lets the router's own forwards pass, and asks another about the rest."""

    def __init__(self, forwards: Forwards, gate: Gate) -> None:
        self._forwards = forwards
        self._gate = gate

    def decide(self, flow: Flow) -> Decision | Awaitable[Decision]:
        return self._forwards.decide(flow) or self._gate.decide(flow)

    def over(self, flow: Flow) -> Any:
        return self._gate.over(flow)
