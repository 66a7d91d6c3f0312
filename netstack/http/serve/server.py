"""An HTTP/1.1 server over any StreamStack: our TCP, the kernel's sockets, TLS over either.

    async def hello(request: Request) -> Response:
        return Response.text(f"Hello, {request.remote_address[0]}\\n")

    server = HttpServer(tcp, hello, clock=runtime.now, wall=lambda: int(time.time()), sleep=runtime.sleep)
    await server.listen(80)

It imports no runtime: tasks, waiting and time-outs are the stack's, and clocks are arguments.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ...errors import UsageError
from ...instant import MILLISECOND, SECOND, Duration, Instant
from ...signatures import Address, Stream, StreamListener, StreamStack
from ..config import HttpConfig
from ..date import format_date
from ..mib import HttpMib
from .message import Handler
from .session import Environment, Session

S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

GRACE = Duration(5 * SECOND)  # for requests in flight: longer than a page takes, shorter than who stops a service waits
_POLL = Duration(20 * MILLISECOND)  # between looks at what is still in flight while closing


class HttpServer(Generic[S_co]):
    """Serves `handler` on every port that `listen` opens.

    `clock` gives nanoseconds that never go back. `wall` gives the seconds since 1970, for Date; without it none is sent (RFC 9110
    6.6.1). `sleep` is what `aclose` waits with; without it `aclose` does not wait for requests in flight.
    """

    def __init__(
        self,
        stack: S_co,
        handler: Handler,
        *,
        clock: Callable[[], int],
        config: HttpConfig = HttpConfig(),  # noqa: B008 (frozen)
        wall: Callable[[], int] | None = None,
        sleep: Callable[[Duration], Awaitable[None]] | None = None,
    ) -> None:
        self._stack = stack
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._second = -1
        self._date = b""
        self._listeners: list[StreamListener] = []
        self._sessions: set[Session] = set()
        self._closing_at: Instant | None = None
        self.mib = HttpMib()
        self._environment = Environment(
            handler, config, lambda: Instant(clock()), self._date_now, self.mib, lambda: self._closing_at
        )

    @property
    def stack(self) -> S_co:
        return self._stack

    async def listen(self, port: int = 80, host: str = "", backlog: int = 128) -> Address:
        """Accept connections from now on; the address says on which port, when `port` was 0. May be called again for another."""
        if self._closing_at is not None:
            raise UsageError("this server was closed: make another one")
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
        for session in [each for each in self._sessions if each.conn.idle]:
            await session.stream.aclose()
        if self._sleep is None:
            return
        while self._sessions and self._clock() < self._closing_at:
            await self._sleep(_POLL)
        for session in list(self._sessions):
            session.stream.abort()

    def connections(self) -> list[dict[str, object]]:
        """Who is connected: address, requests so far, the request being served, and for how many seconds."""
        now = self._clock()
        return [
            {
                "remote": "{}:{}".format(*each.stream.remote_address),
                "requests": each.conn.requests,
                "serving": each.serving,
                "seconds": round((now - each.since) / SECOND, 1),
            }
            for each in sorted(self._sessions, key=lambda each: each.since)
        ]

    async def _serve(self, stream: Stream) -> None:
        self.mib.Connections += 1
        session = Session(stream, self._environment)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    def _date_now(self) -> bytes:
        if self._wall is None:
            return b""
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self._date = format_date(second).encode()
        return self._date
