"""Multicast DNS and service discovery for programs, on asyncio and trio.

    async with net.mdns("printer") as m:
        m.register(Service("Printer", "_ipp._tcp", 631, txt={"rp": "ipp/print"}))
        await m.settled()                                   # "printer.local", or "printer-2.local" where somebody has that
        await m.resolve("other.local")                      # ["10.79.0.7"]
        async for sighting in m.browse("_http._tcp"):
            print(sighting.kind, sighting.service.name, sighting.service.addresses, sighting.service.port)

While it is entered, `net.getaddrinfo` asks the link for names that end in ".local" (RFC 6762 3), and so does everything that goes
by it. Leaving says goodbye to what was registered.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol

import attrs

from ...errors import ClosedError, TimedOut, Unreachable, UsageError
from ...instant import Duration, seconds
from ...runtime.face import NetFace
from ...runtime.waits import Event, Waits, waits_here
from ..message import Record
from ..numbers import Type, type_number, type_text
from .browser import Sighting, heard_text
from .cache import Heard
from .core import Core, MdnsConfig
from .mib import MdnsMib
from .onstack import StackPort
from .querier import Change
from .records import Claim, State, any_name, host_name, text
from .service import TYPES, Found, Service, Text, first_label, subtype_name, type_name, whose_type

log = logging.getLogger("netstack.mdns")

RESOLVE_TIMEOUT = 5.0  # seconds: four questions
EVENTS = 4096  # that wait for a reader: whoever does not read loses the oldest, and asks `services`


class Port(Protocol):
    """What carries the datagrams: `StackPort`, `KernelPort`."""

    @property
    def core(self) -> Core: ...
    def now(self) -> int: ...
    def addresses(self) -> list[str]: ...
    def stir(self) -> None: ...
    def close(self) -> None: ...


class Bell:
    """Wakes everybody who waits for something to change."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._waiting: set[Event] = set()

    def ring(self) -> None:
        for event in self._waiting:
            event.set()
        self._waiting.clear()

    async def wait(self, timeout: Duration | None) -> None:
        """Until it rings. Raises TimedOut."""
        event = self._waits.event()
        self._waiting.add(event)
        try:
            await self._waits.wait(event, timeout)
        finally:
            self._waiting.discard(event)

    async def until(self, done: Callable[[], bool], timeout: float | None, what: str) -> None:
        """Until `done()`, which may raise; for at most `timeout` seconds."""
        await self._waits.check()
        end = None if timeout is None else self._waits.now() + seconds(timeout)
        while not done():
            left = None if end is None else Duration(end - self._waits.now())
            if left is not None and left <= 0:
                raise TimedOut(what)
            try:
                await self.wait(left)
            except TimedOut:
                if done():
                    return
                raise TimedOut(what) from None


class Mdns:
    """A host on the link. Made by `net.mdns`, or with any net: `Mdns(net, "printer")`.

    `name` is what the host wants to be called, without one it only asks; `config` has the limits.
    """

    def __init__(self, net: Any, name: str = "", config: MdnsConfig = MdnsConfig()) -> None:  # noqa: B008 (frozen)
        """Raises UsageError for what can't be a name."""
        self._net = net
        self._wanted = host_name(name) if name else b""
        self._config = config
        self._open: Port | None = None
        self._host: Claim | None = None
        self._waits: Waits = None  # type: ignore[assignment]  # both set when it is entered
        self._bell: Bell = None  # type: ignore[assignment]
        self._browses: set[Browse] = set()
        self._mib = MdnsMib()
        self._forget: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Mdns:
        """Raises AddressInUse where somebody has port 5353 to himself."""
        if self._open is not None:
            raise UsageError("it is entered already: make another one")
        self._waits = waits_here()
        await self._waits.check()
        self._bell = Bell(self._waits)
        port: Port
        if isinstance(self._net, NetFace):
            self._net.check()
            port = StackPort(self._net.stack, self._net.turn, self._config)
            self._forget = self._net.on_close(self.close)
        else:
            from .onkernel import KernelPort

            address = self._net.addresses[0].partition("/")[0]
            port = KernelPort("" if address.startswith("127.") else address, self._config)
        self._open = port
        self._mib = port.core.mib
        if self._wanted:
            self._host = port.core.be(self._wanted, port.now(), self._told)
        names = getattr(self._net, "names", None)
        if names is not None:
            names.special["local"] = self._look_up_addresses
        port.stir()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, and end everything that waits here. Closing twice is closing once."""
        port, self._open = self._open, None
        if port is None:
            return
        names = getattr(self._net, "names", None)
        if names is not None and names.special.get("local") == self._look_up_addresses:
            del names.special["local"]
        for browse in list(self._browses):
            browse.close()
        port.close()
        self._forget()
        self._bell.ring()

    @property
    def _port(self) -> Port:
        if self._open is None:
            raise ClosedError("this host has left multicast DNS")
        return self._open

    # -- what we are ------------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the host is called now, like `printer.local`; "" where it has no name."""
        return text(self._host.name) if self._host is not None else ""

    @property
    def mib(self) -> MdnsMib:
        """Its counters, also when it is left."""
        return self._mib

    def _told(self, claim: Claim) -> None:
        log_claim(claim, "this host")
        self._bell.ring()

    async def settled(self, timeout: float | None = None) -> str:
        """The name of this host, when it is ours. Raises TimedOut, ClosedError."""
        host = self._host
        if host is None:
            raise UsageError("this host has no name: Mdns(net, 'printer') gives it one")
        await self._bell.until(lambda: ours(host, self._port), timeout, f"{self.name} is not ours yet")
        return self.name

    def register(self, service: Service) -> Registration:
        """Offer a service, under its name or, where somebody on the link has that, one with a number. Raises UsageError."""
        port = self._port
        registration = Registration(self, service)
        registration.claim = port.core.offer(service, port.now(), registration._told)
        port.stir()
        return registration

    # -- what others are --------------------------------------------------------------------------------------------------------

    async def resolve(self, name: str, timeout: float = RESOLVE_TIMEOUT) -> list[str]:
        """The IPv4 addresses of a host, `other.local` or `other`. Raises TimedOut where nobody on the link answers, Unreachable
        where the host says that it has none."""
        return heard_text(await self._look_up(name, int(Type.A), timeout))

    async def look_up(self, name: str, type: str | int, timeout: float = RESOLVE_TIMEOUT) -> list[Record]:
        """The records of a name and type, with what is left of their TTLs: those of the first who answers, and what is known
        already. Raises as `resolve`."""
        number = type_number(type) if isinstance(type, str) else type
        records = await self._look_up(name, number, timeout)
        now = self._port.now()
        return [Record(each.name, each.type, 1, each.ttl if each.own else each.left(now), each.rdata) for each in records]

    async def _look_up(self, name: str, type: int, timeout: float) -> list[Heard]:
        port = self._port
        found: dict[bytes, Heard] = {}
        denied = False

        def heard(change: Change) -> None:
            nonlocal denied
            if change.denied:
                denied = True
            elif change.there:
                found[change.record.rdata] = change.record
            else:
                found.pop(change.record.rdata, None)
            self._bell.ring()

        def done() -> bool:
            if found:
                return True
            if denied:
                raise Unreachable(f"{name} has no {type_text(type)} record")
            return not self._port  # which raises when we have left

        interest = port.core.querier.want(any_name(name), type, heard, port.now(), once=True)
        port.stir()
        try:
            await self._bell.until(done, timeout, f"nobody on the link answers for {name}")
        finally:
            port.core.querier.leave(interest)
        return sorted(found.values(), key=lambda record: record.heard, reverse=True)  # what was said last is the truest

    async def _look_up_addresses(self, name: str, family: int) -> list[str]:
        """For `getaddrinfo`: none where there are none."""
        try:
            return await self.resolve(name)
        except (TimedOut, Unreachable, UsageError):
            return []

    def browse(self, type: str, subtype: str = "") -> Browse:
        """The instances of a type as they come, change and go, those that are known first: an async iterator of `Sighting`s, until
        it is closed. Our own are among them. Raises UsageError."""
        return Browse(self, subtype_name(subtype, type) if subtype else type_name(type))

    async def types(self, duration: float = 1.5) -> list[str]:
        """The types of services that are offered on the link: what is heard of within `duration` seconds (RFC 6763 9)."""
        port = self._port
        found: dict[str, None] = {}

        def heard(change: Change) -> None:
            if change.there and not change.denied:
                found[whose_type(change.record.rdata)] = None

        interest = port.core.querier.want(TYPES, int(Type.PTR), heard, port.now())
        port.stir()
        try:
            await self._bell.until(lambda: not self._port, duration, "")
        except TimedOut:
            pass
        finally:
            port.core.querier.leave(interest)
        return sorted(found)

    def relink(self) -> None:
        """The link may be another, after a sleep or a new cable: probe for everything again, forget what was heard, ask anew."""
        port = self._port
        port.core.relink(port.now())
        port.stir()

    def reconfirm(self, name: str, type: str | int) -> None:
        """Records of this name and type were of no use: they are forgotten unless somebody confirms them (RFC 6762 10.4)."""
        port = self._port
        port.core.querier.reconfirm(any_name(name), type_number(type) if isinstance(type, str) else type, port.now())
        port.stir()


class Registration:
    """A service that we offer. Made by `Mdns.register`."""

    def __init__(self, mdns: Mdns, service: Service) -> None:
        self._mdns = mdns
        self.service = service
        self.claim: Claim = None  # type: ignore[assignment]  # by `register`, at once

    def _told(self, claim: Claim) -> None:
        log_claim(claim, self.service.instance)
        self._mdns._bell.ring()

    @property
    def name(self) -> str:
        """Its whole name as it is now: `Printer._ipp._tcp.local`."""
        return text(self.claim.name)

    @property
    def instance(self) -> str:
        """The part of it for people: `Printer (2)`, perhaps."""
        return first_label(self.claim.name)

    async def settled(self, timeout: float | None = None) -> str:
        """Its name, when that is ours. Raises TimedOut, ClosedError."""
        await self._mdns._bell.until(lambda: ours(self.claim, self._mdns._port), timeout, f"{self.name} is not ours yet")
        return self.name

    def update(self, *, txt: Text | None = None, port: int | None = None) -> None:
        """Other keys and values, or another port. RFC 6762 8.4 wants this no more often than ten times a minute."""
        changes: Mapping[str, Any] = {k: v for k, v in (("txt", txt), ("port", port)) if v is not None}
        self.service = attrs.evolve(self.service, **changes)
        carrier = self._mdns._port
        carrier.core.update(self.claim, self.service, carrier.now())
        carrier.stir()

    def withdraw(self) -> None:
        """Offer it no more, and say so."""
        port = self._mdns._port
        port.core.withdraw(self.claim, port.now())
        port.stir()


class Browse:
    """An async iterator of `Sighting`s. What nobody has read yet of one instance is one sighting: the last state counts."""

    def __init__(self, mdns: Mdns, name: bytes) -> None:
        self._mdns = mdns
        self._bell = mdns._bell
        self._port = mdns._port
        self._waiting: OrderedDict[str, Sighting] = OrderedDict()
        self._there: dict[str, Found] = {}
        self._closed = False
        mdns._browses.add(self)
        self._browser = self._port.core.browse(name, self._seen, self._port.now())
        self._port.stir()

    @property
    def services(self) -> list[Found]:
        """Those that are there now."""
        return list(self._there.values())

    def _seen(self, sighting: Sighting) -> None:
        name = sighting.service.name
        if sighting.kind == "removed":
            self._there.pop(name, None)
        else:
            self._there[name] = sighting.service
        before = self._waiting.pop(name, None)
        merged = sighting if before is None else merge(before, sighting)
        if merged is not None:
            self._waiting[name] = merged
            if len(self._waiting) > EVENTS:
                self._waiting.popitem(last=False)
        self._bell.ring()

    def __aiter__(self) -> Browse:
        return self

    async def __anext__(self) -> Sighting:
        await self._bell.until(lambda: bool(self._waiting) or self._closed, None, "")
        if self._waiting:
            return self._waiting.popitem(last=False)[1]
        raise StopAsyncIteration

    async def __aenter__(self) -> Browse:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ask no more. Who iterates gets what is there, and then the end."""
        if not self._closed:
            self._closed = True
            self._mdns._browses.discard(self)
            self._port.core.stop(self._browser)
            self._bell.ring()


def merge(before: Sighting, after: Sighting) -> Sighting | None:
    """Two of one instance, as one: nothing where it came and went."""
    if after.kind == "removed":
        return None if before.kind == "added" else after
    if before.kind == "removed":
        return Sighting("changed", after.service)
    return Sighting(before.kind, after.service)


def ours(claim: Claim, port: Port) -> bool:
    """`port` is looked at only because a closed one raises."""
    return claim.state in (State.ANNOUNCING, State.SETTLED)


def log_claim(claim: Claim, what: str) -> None:
    """RFC 6762 9 wants people to hear of it."""
    if claim.late:
        log.error("no name was found for %s within a minute: somebody on the link claims them all, now %s", what, text(claim.name))
    elif claim.state is State.ANNOUNCING and claim.name != claim.first:
        log.warning("%s is called %s on this link: somebody else has %s", what, text(claim.name), text(claim.first))
