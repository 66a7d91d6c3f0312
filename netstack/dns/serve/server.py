"""A DNS server over any datagrams and streams: our UDP and TCP, the kernel's sockets, TLS; on asyncio and on trio.

    server = DnsServer(net, net, [zone])
    await server.listen(53)

    @server.answer("*.svc.example.")
    async def service(question: Question, client: Client) -> Answer | None: ...

What is answered is the desk's business (desk.py). Here are the ports, the connections, and the tasks of what comes later.
"""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from ...counters import Group
from ...errors import AddressInUse, ClosedError, TimedOut, UsageError
from ...instant import MILLISECOND, SECOND, Duration
from ...runtime.waits import Spawned, Waits, Work, pause, waits_here
from ...signatures import Address, Datagrams, DatagramStack, Rng, Stream, StreamListener, StreamStack
from ...tls.stack import Tls
from ..authority.access import NOBODY, Access
from ..authority.notify import Target
from ..authority.secondary import Primary, Secondary
from ..authority.update import Keep
from ..authority.zone import Zone
from ..authority.zones import Zones
from ..client.drive import Driver
from ..mib import ServerMib
from ..resolve.job import Finder
from ..tsig import Keys
from .client import Client, Networks
from .config import LOCAL, DnsConfig
from .cookies import Cookies
from .desk import Desk
from .handlers import H, Handler
from .later import Flight, Later, Send
from .limiter import Limiter
from .limits import RateLimits
from .mount import Reply, mount
from .notifier import Notifier
from .quick import Quick
from .secondaries import Secondaries
from .session import Session
from .view import View

D_co = TypeVar("D_co", bound=DatagramStack, covariant=True)
S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

log = logging.getLogger("netstack.dns")

PORT = 53
TLS_PORT = 853  # RFC 7858 3.1
GRACE = Duration(2 * SECOND)  # for answers that are owed, when the server closes: clients ask somebody else after that
BATCH = 64  # datagrams that are answered before the others of the loop have their turn: where they lie ready, nobody waits
FAULTS = 16  # errors of a port in a row, of which each may be the network's answer to a datagram; then it is given a rest
REST = Duration(SECOND)
TRIES = 8  # for a port that is free for UDP and TCP, where the stack chooses it
_POLL = Duration(20 * MILLISECOND)  # between looks at what is still owed while closing


class DnsServer(Generic[D_co, S_co]):
    """Serves `zones`, what `handler` answers, and, to the clients of `config.recursion`, what `finder` finds.

    `views` are for some networks alone: the first that has the client's is his. `driver` is who asks for the finder; without one it
    asks through the same stacks. `keys` may sign what `access` lets them. `limits`: of answers over UDP. `wall` gives the seconds
    since 1970. The desk of another server may be given instead of all of these: then both say the same.
    """

    def __init__(
        self,
        datagrams: D_co,
        streams: S_co,
        zones: Zones | Iterable[Zone] = (),
        *,
        handler: Handler | None = None,
        finder: Finder | None = None,
        views: Sequence[View] = (),
        driver: Driver[Any, Any] | None = None,
        config: DnsConfig = DnsConfig(),  # noqa: B008 (frozen)
        waits: Waits | None = None,
        rng: Rng | None = None,
        wall: Callable[[], int] = lambda: int(time.time()),
        desk: Desk | None = None,
        keys: Keys | None = None,
        access: Access = NOBODY,
        cookies: Cookies | None = None,
        limits: RateLimits | None = None,
    ) -> None:
        self._datagrams = datagrams
        self._streams = streams
        self._waits = waits
        self._driver = driver
        self._wall = wall
        if desk is None:
            rng = random.SystemRandom() if rng is None else rng
            limiter = None if limits is None else Limiter(limits, rng)
            desk = Desk(
                zones, rng=rng, config=config, wall=wall, finder=finder, views=views, keys=keys, access=access,
                cookies=cookies, limiter=limiter,
            )  # fmt: skip
        self.desk = desk
        if handler is not None:
            self.desk.answer("*.", handler)
        self.quick = Quick(
            self.desk,
            shelf=self.desk.shelf,
            payload=self.desk.config.payload,
            nsid=self.desk.config.nsid,
            cookies=self.desk.cookies,
            limiter=self.desk.limiter,
        )
        self._ports: list[Datagrams] = []
        self._receivers: list[Spawned] = []
        self._listeners: list[StreamListener] = []
        self._sessions: dict[Session, None] = {}  # the one that was silent for longest first
        self._clients: dict[str, int] = {}  # connections of each address
        self._tasks: set[Spawned] = set()
        self._closing = self._opened = False
        self._copies: Secondaries[D_co, S_co] | None = None
        self._notifier: Notifier[D_co] | None = None
        self._told: tuple[Target, ...] = ()

    @property
    def datagrams(self) -> D_co:
        return self._datagrams

    @property
    def streams(self) -> S_co:
        return self._streams

    @property
    def zones(self) -> Zones:
        return self.desk.zones

    @property
    def mib(self) -> ServerMib:
        return self.desk.mib

    def groups(self) -> dict[str, Group]:
        """The counters: of the desk, of the short way, of what the finder asks and remembers, of copies."""
        finder = self.desk.common.finder
        found = {
            "Server": self.desk.mib,
            "Door": self.quick.mib,
            "Finder": getattr(finder, "mib", None),
            "Cache": getattr(getattr(finder, "cache", None), "mib", None),
            "Copies": None if self._copies is None else self._copies.mib,
        }
        return {name: mib for name, mib in found.items() if isinstance(mib, Group)}

    def counters(self) -> dict[str, dict[str, int]]:
        """`{"Server": {"QryUDP": 12, …}, …}`; the names in "Server" are those of BIND's statistics, where it has one."""
        return {name: group.snapshot() for name, group in self.groups().items()}

    def meanings(self) -> dict[str, dict[str, str]]:
        """What each counter counts."""
        return {name: dict(group.MEANING) for name, group in self.groups().items()}

    def answer(self, pattern: str) -> Callable[[H], H]:
        """Decorates a callback: it is asked for names of `pattern` before the zones are. `svc.example.` is that name alone,
        `*.svc.example.` all below it, `*.` every name."""

        def register(handler: H) -> H:
            self.desk.answer(pattern, handler)
            return handler

        return register

    def _waits_here(self) -> Waits:
        if self._waits is None:
            self._waits = waits_here()
        return self._waits

    async def __aenter__(self) -> DnsServer[D_co, S_co]:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    # -- other servers of the same zones --------------------------------------------------------------------------------------

    def store(self, origin: bytes, keep: Keep) -> None:
        """Have `keep` write down each update of the zone with this `origin` before it is answered (RFC 2136 3.5)."""
        self.desk.orders.keepers[origin] = keep

    def secondary(self, name: bytes | str, primaries: Sequence[Primary], **options: Any) -> Secondary:
        """Keep a copy of the zone `name`, and serve it as soon as it is there; `options` are those of `Secondaries.keep`,
        whose `changed` is ours unless another is given, which calls ours too. From a task. Raises UsageError."""
        if self._copies is None:
            self._copies = Secondaries(
                self._datagrams, self._streams, self.zones, orders=self.desk.orders, waits=self._waits, wall=self._wall
            )
        return self._copies.keep(name, primaries, **{"changed": self.changed, **options})

    def notify(self, *targets: Target) -> None:
        """Tell these when a zone has changed: by an update, by a transfer, or by somebody who says so (`changed`)."""
        if self._notifier is None:
            self._notifier = Notifier(self._datagrams, waits=self._waits, wall=self._wall)
            self.desk.orders.changed.append(self.changed)
        self._told += targets

    def changed(self, zone: Zone) -> None:
        """`zone` is another than before. From a task."""
        if self._notifier is not None:
            self._notifier.tell(zone, self._told)

    # -- ports ----------------------------------------------------------------------------------------------------------------

    async def listen(self, port: int = PORT, host: str = "", *, udp: bool = True, tcp: bool = True) -> Address:
        """Answer on this port, which the address says, when it was 0. May be called again for another. Raises AddressInUse,
        UsageError, Unreachable; then it listens nowhere more than before."""
        if not udp and not tcp:
            raise UsageError("a server without UDP and without TCP is deaf: leave one of them in")
        self._open()
        for attempt in range(TRIES):
            opened = await self._datagrams.bind_datagrams(port, host) if udp else None
            try:
                address = opened.local_address if opened is not None else (host, port)
                if tcp:
                    listener = await self._listen_streams(self._streams, address[1], host)
                    address = listener.address if opened is None else address
            except BaseException as error:
                if opened is not None:
                    await opened.aclose()
                if isinstance(error, AddressInUse) and port == 0 and attempt < TRIES - 1:
                    continue  # somebody has the number for TCP
                raise
            if opened is not None:
                self._ports.append(opened)
                if not mount(opened, self.quick, self._take):
                    self._receivers.append(self._waits_here().spawn(functools.partial(self._receive, opened)))
            return address
        raise AssertionError("unreachable")

    async def listen_streams(self, stack: StreamStack, port: int = TLS_PORT, host: str = "") -> Address:
        """Answer on streams of another stack too: `Tls(net, server=context)` for DNS over TLS (RFC 7858)."""
        self._open()
        listener = await self._listen_streams(stack, port, host)
        return listener.address

    async def _listen_streams(self, stack: StreamStack, port: int, host: str) -> StreamListener:
        encrypted = isinstance(stack, Tls)

        async def serve(stream: Stream) -> None:
            await self._serve(stream, encrypted)

        listener = await stack.serve_streams(serve, port, host)
        self._listeners.append(listener)
        return listener

    def _open(self) -> None:
        if self._closing:
            raise UsageError("this server was closed: make another one")
        self._opened = True
        if self.desk.cookies is not None:
            self.desk.cookies.set_clock(self._wall() * SECOND, self._waits_here().now())
        if self.desk.config.recursion is None:
            own = [each for each in getattr(self._datagrams, "addresses", ()) if "/" in each]
            own += getattr(self._datagrams, "networks", ())  # the kernel's net has none of its own addresses, but the machine's
            self.desk.recursion = Networks([*LOCAL, *own])

    async def aclose(self, grace: Duration = GRACE) -> None:
        """Take no more queries, give what is owed `grace` to come, and leave nothing behind. Twice is once.

        Cancelled, it leaves the server closing: called again, it goes on.
        """
        self._closing = True
        waits = self._waits_here()
        while self._listeners:
            await self._listeners.pop().aclose()
        for receiver in self._receivers:
            receiver.cancel()
        for session in list(self._sessions):
            await session.close()
        end = waits.now() + grace
        while (self.desk.pending or any(each.busy for each in self._sessions)) and waits.now() < end:
            await pause(self._waits_here(), _POLL)
        self.desk.close()
        for task in list(self._tasks):
            task.cancel()
        for session in list(self._sessions):
            session.stream.abort()
        while self._tasks:
            await next(iter(self._tasks)).join()
        while self._receivers:
            await self._receivers[-1].join()
            self._receivers.pop()
        while self._ports:
            await self._ports.pop().aclose()
        while self._sessions:
            await pause(self._waits_here(), _POLL)
        for each in (self._copies, self._notifier, self._driver):
            if each is not None:
                await each.aclose()

    # -- UDP ------------------------------------------------------------------------------------------------------------------

    def _take(self, wire: bytes, client: Client, now: int, reply: Reply) -> bytes | None:
        """A datagram that has no short way: the answer, where there is one at once; others go by `reply`."""
        said = self.desk.handle(wire, client, now)
        if isinstance(said, Later):

            async def send(wires: Iterable[bytes]) -> None:
                for each in wires:
                    reply(each)

            said.send = send
            self._begin(said)
        self._do_chores()
        if isinstance(said, tuple) and len(said) == 1:
            return bytes(said[0])
        if said is not None and not isinstance(said, Later):
            for each in said:
                reply(each)
        return None

    async def _receive(self, port: Datagrams) -> None:
        """Answer what comes to `port`, here where the answer is there at once."""
        desk, waits = self.desk, self._waits_here()
        in_turn = faults = 0
        while True:
            try:
                data, address = await port.receive()
                faults = 0
            except ClosedError:
                return
            except OSError:
                faults += 1
                if faults >= FAULTS:
                    await pause(self._waits_here(), REST)
                continue
            said = desk.handle(data, Client(*address), waits.now())
            if isinstance(said, Later):
                said.send = functools.partial(self._send, port, address)
                self._begin(said)
            elif said is not None:
                await self._send(port, address, said)
            self._do_chores()
            in_turn += 1
            if in_turn >= BATCH:
                in_turn = 0
                await pause(self._waits_here(), Duration(0))

    async def _send(self, port: Datagrams, address: Address, wires: Iterable[bytes]) -> None:
        for wire in wires:
            try:
                await port.send(wire, address)
            except (OSError, ClosedError):
                self.mib.OutFailed += 1

    async def ask(self, wire: bytes, client: Client, send: Send) -> None:
        """A message that came by somebody else's way, HTTP: its answers, of which there may be none, go to `send`, now or later."""
        if not self._opened or self._closing:
            self._open()
        said = self.desk.handle(wire, client, self._waits_here().now())
        if isinstance(said, Later):
            said.send = send
            self._begin(said)
        else:
            self._do_chores()
            await send(said or ())

    # -- streams --------------------------------------------------------------------------------------------------------------

    async def _serve(self, stream: Stream, encrypted: bool) -> None:
        mib, config = self.mib, self.desk.config
        mib.TCPConnections += 1
        host, port = stream.remote_address
        if self._clients.get(host, 0) >= config.connections_per_client:
            mib.TCPClientHighWater += 1
            stream.abort()
            return
        if len(self._sessions) >= config.connections:
            mib.TCPHighWater += 1
            idle = next((each for each in self._sessions if not each.busy), None)
            if idle is None:
                stream.abort()
                return
            self._forget(idle)
            idle.stream.abort()
        session = Session(stream, Client(host, port, True, encrypted), self.desk, self._waits_here(), self._begin, self._touch)
        self._sessions[session] = None
        self._clients[host] = self._clients.get(host, 0) + 1
        try:
            await session.run()
        finally:
            self._forget(session)

    def _touch(self, session: Session) -> None:
        if session in self._sessions:
            del self._sessions[session]
            self._sessions[session] = None

    def _forget(self, session: Session) -> None:
        if session not in self._sessions:
            return
        del self._sessions[session]
        host = session.client.address
        left = self._clients[host] - 1
        if left:
            self._clients[host] = left
        else:
            del self._clients[host]

    # -- what comes later -----------------------------------------------------------------------------------------------------

    def _begin(self, later: Later) -> None:
        if later.flight.begin():
            self._fly(later.flight)
        self._do_chores()

    def _do_chores(self) -> None:
        while self.desk.chores:
            flight = self.desk.chores.popleft()
            if flight.begin():
                self._fly(flight)

    def _fly(self, flight: Flight) -> None:
        async def fly() -> None:
            result = await self._result(flight)
            for send, said in self.desk.settle(flight, result, self._waits_here().now()):
                if isinstance(said, Later):  # the callback has passed the question on
                    said.send = send
                    self._begin(said)
                else:
                    await send(said)

        self._spawn(fly)

    def _spawn(self, work: Work) -> Spawned:
        """A task that doesn't outlive the server."""
        over = False
        task: Spawned | None = None

        async def whole() -> None:
            nonlocal over
            try:
                await work()
            finally:
                over = True
                if task is not None:
                    self._tasks.discard(task)

        task = self._waits_here().spawn(whole)
        if not over:  # an eager task may be
            self._tasks.add(task)
        return task

    async def _result(self, flight: Flight) -> Any:
        """What came of it, or the exception. A job has deadlines of its own; a callback that takes too long is cancelled."""
        waits = self._waits_here()
        if flight.job is not None:
            try:
                return await self._driver_here().run(flight.job)
            except Exception as error:
                return error
        done = waits.event()
        result: list[Any] = []

        async def work() -> None:
            assert flight.work is not None
            try:
                result.append(await flight.work)
            except Exception as error:
                result.append(error)
            finally:
                done.set()

        task = self._spawn(work)
        try:
            await waits.wait(done, Duration(max(flight.deadline - waits.now(), 0)))
        except TimedOut as error:
            return error
        finally:
            task.cancel()
        return result[0] if result else TimedOut("the callback was cancelled")

    def _driver_here(self) -> Driver[Any, Any]:
        if self._driver is None:
            streams: Any = self._streams
            self._driver = Driver(self._datagrams, streams.stack if isinstance(streams, Tls) else streams, self._waits)
        return self._driver


@asynccontextmanager
async def serve_dns(net: Any, *zones: Zone, port: int = PORT, host: str = "", **options: Any) -> AsyncIterator[DnsServer[Any, Any]]:
    """A server on a net of either runtime, for as long as the block runs; `options` are those of `DnsServer`.

    async with netstack.serve_dns(net, zone) as server: ...
    """
    async with DnsServer(net, net, zones, **options) as server:
        await server.listen(port, host)
        yield server
