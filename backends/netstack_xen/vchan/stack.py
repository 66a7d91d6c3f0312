"""`Vchan`: streams between domains as a StreamStack. Neither IP nor TCP: shared pages, a port, and Xen's store to find each other.

    async with netstack.open("vchan:") as net:
        server = HttpServer(net, handler)
        await server.listen(80)                            # in domain 3, say

    async with netstack.open("vchan:") as net, HttpClient(net) as client:
        response = await client.get("http://3/")           # in any other

A host is the number of a domain; in domain 0, which may read them, also a name. How they find each other: paths.py.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from types import TracebackType

import attrs

from netstack.errors import AddressInUse, BrokenError, ClosedError, TimedOut, Unreachable, UsageError
from netstack.instant import MILLISECOND, NEVER, SECOND, Duration, Instant, check_timeout
from netstack.runtime.waits import Event, Spawned, Waits, waits_here
from netstack.signatures import Address, Rng, Stream, StreamHandler

from ..hypervisor import Hypervisor
from . import paths, wire
from .calls import Call, Calls
from .desk import Desk, Limits
from .joint import Joint
from .mib import VchanMib
from .stream import VchanStream

BUFFER = 16384  # bytes each way, of a connection: 9 pages, of the 1024 that a machine gives unless it is told otherwise
BUFFER_MOST = 1 << wire.MOST
CONNECT_TIME = Duration(120 * SECOND)  # as our TCP's
REMIND = Duration(500 * MILLISECOND)  # until a call that isn't answered is repeated; then twice as long each time …
REMIND_MOST = Duration(8 * SECOND)  # … up to this
LINGER = Duration(2 * SECOND)  # as our own nets
BACKLOG = 128
HOME = "home"  # the token of a watch that fires when the domain has been resumed


class VchanListener:
    """A port that is served."""

    def __init__(self, stack: Vchan, desk: Desk) -> None:
        self._stack = stack
        self._desk = desk
        self._closed = False

    @property
    def address(self) -> Address:
        if self._closed:
            raise ClosedError("this listener is closed")
        return str(self._desk.domid), self._desk.port

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._desk.close()
            self._stack._forget_desk(self._desk)

    async def aclose(self) -> None:
        self.close()


class Vchan:
    """Of one connection to Xen, which is used for nothing else, and closed with it unless `keep`.

    `buffer` is the size of a ring, each way, of the connections that are served: bytes, a power of two from 1024 on; a client takes
    what the server has. `clients` are the domains that are served, None for all. `offers` are those to which a vchan is offered
    without a call, for programs of libxenvchan.
    """

    name = "Xen's vchan"
    any_runtime = True  # `netstack.open` may enter it on asyncio and on trio

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        buffer: int = BUFFER,
        clients: Collection[int] | None = None,
        offers: Collection[int] = (),
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        rng: Rng | None = None,
        waits: Waits | None = None,
        keep: bool = False,
    ) -> None:
        if not 1024 <= buffer <= BUFFER_MOST or buffer & (buffer - 1):
            raise UsageError(f"a ring of {buffer} bytes can't be: choose a power of two from 1024 to {BUFFER_MOST}")
        for domain in (*(clients or ()), *offers):
            if not 0 <= domain < paths.DOMAINS:
                raise UsageError(f"{domain} is no number of a domain")
        self.mib = VchanMib()
        self._hypervisor = hypervisor
        self._keep = keep
        self._layout = wire.layout_for(buffer, buffer)
        self._clients = None if clients is None else frozenset(clients) | frozenset(offers)
        self._offers = tuple(offers)
        self._limits = limits
        self._rng: Rng = random.SystemRandom() if rng is None else rng
        self._waits: Waits = waits  # type: ignore[assignment]  # known when it is entered
        self._given = waits is not None
        self._calls: Calls = None  # type: ignore[assignment]
        self._entered = False
        self._domid = -1
        self._closed = False
        self._failure: OSError | None = None
        self._turning = False
        self._unwatch: Callable[[], object] | None = None
        self._keeper: Spawned | None = None
        self._alarm: Event | None = None
        self._desks: dict[int, Desk] = {}
        self._handlers: dict[int, StreamHandler] = {}
        self._listeners: dict[int, VchanListener] = {}
        self._streams: dict[int, VchanStream] = {}  # by our port
        self._tasks: set[Spawned] = set()
        self._waiting: set[Event] = set()  # calls under way

    # -- entering ---------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Vchan:
        if self._entered:
            raise UsageError("this net has been entered before: make another one")
        self._entered = True
        if not self._given:
            self._waits = waits_here()
        self._calls = Calls(self._hypervisor, self.mib, self._rng)
        self._domid = self._calls.me
        self._hypervisor.store.watch("domid", HOME)
        fd = self._hypervisor.fileno()
        if fd is None:
            self._hypervisor.set_waker(self._wake)
        else:
            self._unwatch = self._waits.watch(fd, self._turn)
        self._alarm = self._waits.event()
        self._keeper = self._waits.spawn(self._keep_time)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("this net is closed")
        if self._failure is not None:
            raise BrokenError("Xen has gone from us") from self._failure
        if not self._entered:
            raise UsageError('enter it first: async with netstack.open("vchan:") as net')

    # -- about itself -----------------------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> list[str]:
        """The number of this domain."""
        return [str(self._domid)]

    @property
    def failure(self) -> OSError | None:
        """Why nothing goes any more: Xen's devices or its store are gone."""
        return self._failure

    def now(self) -> Instant:
        return Instant(self._waits.now())

    # -- what happens -----------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._turning:
            self._turning = True
            self._waits.soon(self._turn)

    def _turn(self) -> None:
        """Something was told, or has fired."""
        self._turning = False
        if self._closed and not self._streams:
            return
        try:
            for port in self._hypervisor.pending():
                self.mib.InEvents += 1
                stream = self._streams.get(port)
                if stream is not None:
                    stream.told()
                else:
                    any(desk.told(port) for desk in list(self._desks.values()))
            for path, token in self._hypervisor.store.fired():
                if token == "call":
                    self._calls.fired(path)
                elif token == HOME:
                    self._look_around()
                else:
                    desk = self._desks.get(int(token.rpartition(" ")[2]))
                    if desk is not None:
                        desk.fired(path)
            self._work()
        except OSError as error:
            self._fail(error)

    def _look_around(self) -> None:
        """All watches fire when the domain was resumed, and when the store was: are we still where we were, with what we had?"""
        if self._hypervisor.domid != self._domid:
            raise OSError(errno.ENODEV, "this domain was resumed elsewhere")
        for port in (*self._streams, *(port for desk in self._desks.values() for port in desk.offers)):
            self._hypervisor.notify(port)

    def _work(self) -> None:
        """What desks have to do, and when they want to be asked again."""
        now = self.now()
        for desk in list(self._desks.values()):
            desk.work(now)
        if self._alarm is not None:
            self._alarm.set()

    async def _keep_time(self) -> None:
        while True:
            deadline = min((desk.next_deadline() for desk in self._desks.values()), default=NEVER)
            if self._failure is not None:
                deadline = NEVER
            alarm = self._alarm = self._waits.event()
            with suppress(TimedOut):
                await self._waits.wait(alarm, None if deadline >= NEVER else Duration(max(deadline - self._waits.now(), 0)))
            if not alarm.is_set():  # type: ignore[attr-defined]  # both runtimes' have it
                self._turn()

    def _fail(self, error: OSError) -> None:
        if self._failure is None:
            self._failure = error
        for stream in list(self._streams.values()):
            stream.fail(error)
        for event in self._waiting:
            event.set()

    def _domain(self, host: str) -> int:
        if not host:
            raise UsageError("an address is missing: write the number of a domain, like 0")
        return self._calls.find(host)

    # -- a StreamStack: clients -------------------------------------------------------------------------------------------------

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> VchanStream:
        """As `StreamStack.connect_stream`. Raises WireError, too, where what is offered can't be a vchan."""
        self._check()
        check_port(port, 1)
        check_timeout(timeout)
        await self._waits.check()
        server = self._domain(host)
        return await self._connect(lambda woken: self._calls.begin(server, port, woken), (str(server), port), timeout)

    async def connect_path(self, domain: int, path: str, timeout: Duration | None = None) -> VchanStream:
        """To the vchan that a program of libxenvchan's in `domain` offers at `path`, as its `libxenvchan_client_init`. Where
        another client is there already, the next one is waited for. Raises Refused where nothing is offered, TimedOut."""
        self._check()
        check_timeout(timeout)
        await self._waits.check()
        return await self._connect(lambda woken: self._calls.at(domain, path, woken), (str(domain), 0), timeout)

    async def _connect(
        self, begin: Callable[[Callable[[], None]], Call], remote: Address, timeout: Duration | None
    ) -> VchanStream:
        until = self._waits.now() + (CONNECT_TIME if timeout is None else timeout)
        event = self._waits.event()
        self._waiting.add(event)
        call: Call | None = None
        try:
            call = begin(lambda: wake(event))
            pause = REMIND
            while True:
                joint = call.look()
                if joint is not None:
                    return self._connected(joint, call.number, remote)
                left = until - self._waits.now()
                try:
                    await self._waits.wait(event, Duration(max(0, min(left, pause))))
                except TimedOut:
                    if left <= pause:
                        raise TimedOut(f"timed out connecting to domain {remote[0]}, port {remote[1]}") from None
                    pause = min(Duration(2 * pause), REMIND_MOST)
                    call.remind()
                self._check()
                self._waiting.discard(event)
                event = self._waits.event()
                self._waiting.add(event)
        except BaseException:
            self.mib.AttemptFails += 1
            raise
        finally:
            self._waiting.discard(event)
            if call is not None:
                call.over()

    def _connected(self, joint: Joint, number: int, remote: Address) -> VchanStream:
        self.mib.ActiveOpens += 1
        self.mib.OutEvents += 1  # that told the server
        stream = VchanStream(joint, (str(self._domid), number), remote, self._waits, self.mib, self._ended)
        self._streams[joint.port] = stream
        return stream

    def _ended(self, stream: VchanStream) -> None:
        self._streams.pop(stream.port, None)

    # -- a StreamStack: servers -------------------------------------------------------------------------------------------------

    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = BACKLOG) -> VchanListener:
        """As `StreamStack.serve_streams`. What an earlier program of this domain has left at the port is taken over."""
        self._check()
        check_port(port)
        if backlog < 1:
            raise UsageError(f"a backlog of {backlog} accepts nothing: choose 1 or more")
        await self._waits.check()
        me = self._domid
        if host not in ("", "localhost", str(me)):
            raise Unreachable(f"{host!r} is not this domain, which is {me}")
        if port in self._desks:
            raise AddressInUse(f"port {port} is served already")
        while not port:
            drawn = 49152 + self._rng.getrandbits(14)
            port = 0 if drawn in self._desks else drawn
        desk = Desk(
            self._hypervisor,
            port,
            self._layout,
            self.mib,
            lambda joint, peer, number: self._accepted(desk, joint, peer, number),
            lambda: self._taken_over(desk),
            ident=f"{self._rng.getrandbits(32):08x}",
            clients=self._clients,
            limits=attrs.evolve(self._limits, offers=min(backlog, self._limits.offers)),
        )
        try:
            desk.open()
            for client in self._offers:
                desk.stand(client)
        except BaseException:
            desk.close()
            raise
        self._desks[port] = desk
        self._handlers[port] = handler
        listener = self._listeners[port] = VchanListener(self, desk)
        self._wake()
        return listener

    def _forget_desk(self, desk: Desk) -> None:
        if self._desks.get(desk.port) is desk:
            del self._desks[desk.port], self._handlers[desk.port], self._listeners[desk.port]

    def _taken_over(self, desk: Desk) -> None:
        listener = self._listeners.get(desk.port)
        if listener is not None:
            listener.close()
        error = AddressInUse(f"another program of this domain has taken port {desk.port} over")
        self._waits.report("A port of vchans was lost", error)

    def _accepted(self, desk: Desk, joint: Joint, peer: int, number: int) -> None:
        self.mib.PassiveOpens += 1

        def ended(stream: VchanStream) -> None:
            self._ended(stream)
            desk.over(peer)
            if self._alarm is not None and desk.port in self._desks:
                self._wake()  # somebody may have waited for its room

        stream = VchanStream(joint, (str(desk.domid), desk.port), (str(peer), number), self._waits, self.mib, ended)
        self._streams[joint.port] = stream
        handler = self._handlers[desk.port]
        task: Spawned | None = None

        async def attend() -> None:
            try:
                await self._attend(handler, stream)
            finally:
                if task is not None:
                    self._tasks.discard(task)

        task = self._waits.spawn(attend)
        self._tasks.add(task)

    async def _attend(self, handler: Callable[[Stream], Awaitable[None]], stream: VchanStream) -> None:
        try:
            await handler(stream)
        except Exception as error:
            stream.abort()
            self._waits.report("Unhandled exception in a stream handler", error)
        except BaseException:
            stream.abort()
            raise
        finally:
            stream.close()

    # -- leaving ----------------------------------------------------------------------------------------------------------------

    async def aclose(self, linger: Duration = LINGER) -> None:
        """End everything: no new connections, handlers cancelled, open connections reset, closed ones given `linger` to deliver."""
        if self._closed:
            return
        self._closed = True
        if not self._entered:
            self._let_go()
            return
        with self._waits.shield():
            with suppress(OSError):
                for listener in list(self._listeners.values()):
                    listener.close()
            for event in list(self._waiting):
                event.set()
            for task in list(self._tasks):
                task.cancel()
            for task in list(self._tasks):
                await task.join()
            for stream in [stream for stream in self._streams.values() if not stream.delivering]:
                stream.abort()
            until = self._waits.now() + linger
            while self._streams and self._failure is None and self._waits.now() < until:
                with suppress(TimedOut):
                    await self._waits.wait(self._waits.event(), Duration(10 * MILLISECOND))
            for stream in list(self._streams.values()):
                stream.abort()
            if self._keeper is not None:
                self._keeper.cancel()
                await self._keeper.join()
            self._let_go()

    def _let_go(self) -> None:
        if self._entered:
            self._calls.close()
            with suppress(OSError):
                self._hypervisor.store.unwatch("domid", HOME)
        if self._unwatch is not None:
            self._unwatch()
        self._hypervisor.set_waker(None)
        if not self._keep:
            self._hypervisor.close()


def wake(event: Event) -> None:
    event.set()


def check_port(port: int, least: int = 0) -> int:
    """Raises UsageError for what is no port; `least` 1 where somebody is to be reached."""
    if not isinstance(port, int):
        raise UsageError(f"{port!r} is not a port: those are numbers; which of the arguments is it?")
    if not least <= port <= 65535:
        raise UsageError(f"{port} is not a port: choose one from {least} to 65535")
    return port
