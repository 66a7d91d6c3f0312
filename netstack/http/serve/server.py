"""An HTTP server over any StreamStack: our TCP, the kernel's sockets, TLS over either.

    async def hello(request: Request) -> Response:
        return Response.text(f"Hello, {request.remote_address[0]}\n")

    server = HttpServer(net, hello)
    await server.listen(80)

    server = HttpServer(Tls(net, context), application=Asgi(app))
    await server.listen(443)

It imports no runtime: tasks, waiting and time-outs are the stack's, and clocks may be arguments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from ...errors import UsageError
from ...instant import MILLISECOND, SECOND, Duration, Instant
from ...runtime.waits import AsyncioWaits, Waits, pause, waits_here
from ...signatures import Address, Stream, StreamListener, StreamStack
from ..config import HttpConfig
from ..date import format_date
from ..h2.windows import Room
from ..mib import HttpMib
from .accesslog import Access
from .application import handler_application
from .environment import Environment
from .exchange import Application, Lifespan
from .message import Handler
from .session import Session

if TYPE_CHECKING:
    from .session2 import Session2
    from .websocket import WebSocketHandler

S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

GRACE = Duration(5 * SECOND)  # for requests in flight: longer than a page takes, shorter than who stops a service waits
_POLL = Duration(20 * MILLISECOND)  # between looks at what is still in flight while closing


class HttpServer(Generic[S_co]):
    """Serves `handler`, or an `application` such as `Asgi(app)`, on every port that `listen` opens. `websocket` is a handler for
    those who ask for a WebSocket (websocket.py; wsproto must be installed).

    `access` is called with each response that is over (accesslog.py). Clocks are the runtime's unless they are given: `clock` in
    nanoseconds that never go back, `wall` in seconds since 1970, for Date, `sleep` what `aclose` waits with.
    """

    def __init__(
        self,
        stack: S_co,
        handler: Handler | None = None,
        *,
        application: Application | None = None,
        websocket: WebSocketHandler | None = None,
        config: HttpConfig = HttpConfig(),  # noqa: B008 (frozen)
        access: Access | None = None,
        clock: Callable[[], int] | None = None,
        wall: Callable[[], int] | None = None,
        sleep: Callable[[Duration], Awaitable[None]] | None = None,
    ) -> None:
        # asked of applications alone: what is made of a handler here has none, and to ask a Protocol takes 0.1 ms the first time
        self._lifespan = None if application is None or not isinstance(application, Lifespan) else application
        if application is None:
            if handler is None and websocket is None:
                raise UsageError("what shall be served? Give a handler, or application=")
            application = None if handler is None else handler_application(handler)
        elif handler is not None or websocket is not None:
            raise UsageError("a server has a handler or an application, not both")
        if websocket is not None:
            from .websocket import websocket_application

            application = websocket_application(websocket, application)
        assert application is not None
        self._stack = stack
        self._waits: Waits | None = None
        self._given_clock, self._wall = clock, wall
        self._sleep = sleep or (lambda duration: pause(self._waits_here(), duration))
        self._second = -1
        self._date = b""
        self._listeners: list[StreamListener] = []
        self._sessions: dict[Stream, Session | Session2] = {}
        self._closing_at: Instant | None = None
        self.mib = HttpMib()
        self._application = application
        self._config = config
        self._access = access
        self._environment: Environment | None = None

    def _prepare(self) -> Environment:
        """What all sessions share: made when the first port listens, since only then the runtime is known."""
        return Environment(
            self._application,
            self._config,
            self._clock,
            self._date_now,
            self.mib,
            lambda: self._closing_at,
            self._waits_here,
            self._access,
            Room(self._config.http2.window_growth_of_all),
        )

    @property
    def _clock(self) -> Callable[[], Instant]:
        if self._given_clock is None:
            waits = self._waits_here()
            self._given_clock = waits.clock() if isinstance(waits, AsyncioWaits) else waits.now
        return cast(Callable[[], Instant], self._given_clock)

    def _waits_here(self) -> Waits:
        if self._waits is None:
            self._waits = waits_here()
        return self._waits

    @property
    def stack(self) -> S_co:
        return self._stack

    async def listen(self, port: int = 80, host: str = "", backlog: int = 128) -> Address:
        """Accept connections from now on; the address says on which port, when `port` was 0. May be called again for another."""
        if self._closing_at is not None:
            raise UsageError("this server was closed: make another one")
        if self._environment is None:
            self._environment = self._prepare()
            if self._lifespan is not None:
                await self._lifespan.startup()
        listener = await self._stack.serve_streams(self._serve, port, host, backlog)
        self._listeners.append(listener)
        return listener.address

    async def aclose(self, grace: Duration = GRACE) -> None:
        """Accept no more, close what is idle, let requests in flight end within `grace`, then abort them.

        Cancelled, it leaves the server closing: idle connections are closed and every response says that it is the last.
        """
        if self._closing_at is None:
            self._closing_at = Instant(self._clock() + grace)
        while self._listeners:
            await self._listeners.pop().aclose()
        for session in list(self._sessions.values()):
            await session.aclose()
            if type(session) is Session and session.resting:  # and now nobody runs it again
                self._sessions.pop(session.stream, None)
        while self._sessions and self._clock() < self._closing_at:
            await self._sleep(_POLL)
        for stream in list(self._sessions):
            stream.abort()
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    def connections(self) -> list[dict[str, object]]:
        """Who is connected: address, requests so far, the request being served, and for how many seconds."""
        now = self._clock()
        return [
            {
                "remote": "{}:{}".format(*each.stream.remote_address),
                "requests": each.requests,
                "serving": each.serving,
                "seconds": round((now - each.since) / SECOND, 1),
            }
            for each in sorted(self._sessions.values(), key=lambda each: each.since)
        ]

    async def _serve(self, stream: Stream) -> None:
        self.mib.Connections += 1
        assert self._environment is not None
        secured = hasattr(stream, "selected_alpn_protocol")  # as streams under TLS have it
        scheme = "https" if secured else "http"
        if getattr(stream, "selected_alpn_protocol", None) == "h2":
            await self._run2(stream, scheme)
        elif preface := await self._run(Session(stream, self._environment, scheme)):
            await self._run2(stream, scheme, preface)

    async def _run(self, session: Session) -> bytes:
        """Gives what has come, where the client turns out to speak HTTP/2."""
        stream = session.stream
        self._sessions[stream] = session
        try:
            await session.run()
        finally:
            if not session.resting:
                del self._sessions[stream]
        if session.resting:
            stream.rest(self._go_on, session.patience)  # type: ignore[attr-defined]  # it can, or the session would not want it
        return session.preface or b""

    async def _go_on(self, stream: Stream) -> None:
        """With a session that has rested, unless the server was closed meanwhile."""
        session = self._sessions.get(stream)
        if type(session) is Session:
            scheme = session.scheme
            if preface := await self._run(session):
                del session  # of the other version nothing is needed any more
                await self._run2(stream, scheme, preface)

    async def _run2(self, stream: Stream, scheme: str, data: bytes = b"") -> None:
        from .session2 import Session2  # only who is asked for HTTP/2 loads the library

        assert self._environment is not None
        session = self._sessions[stream] = Session2(stream, self._environment, scheme, data)
        try:
            await session.run()
        finally:
            del self._sessions[stream]

    def _date_now(self) -> bytes:
        second = int(self._wall() if self._wall is not None else self._waits_here().wall())
        if second != self._second:
            self._second = second
            self._date = format_date(second).encode()
        return self._date
