"""An HTTP client over any StreamStack: our TCP, the kernel's sockets.

    async with HttpClient(net) as client:
        response = await client.get("https://example.com/")
        async for piece in response:
            …

Connections are kept and used again; a response has its connection until it was read to its end or closed. It imports no runtime:
waiting is the stack's, tasks and clocks come from `Waits`, so it is the same on asyncio and on trio. Errors: errors.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, cast

from attrs import evolve

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import Duration, check_timeout
from ...runtime.waits import Waits, waits_here
from ...signatures import Stream, StreamStack
from ..config import HttpClientConfig
from ..h2.windows import Room
from ..headers import Headers, HeadersLike
from .connection import Connection, Deadline, Exchange, Watcher
from .connection1 import Connection1
from .errors import ConnectFailed, ConnectionLost, FetchError, TlsFailed, TooManyRedirects
from .pool import Pool, Slot
from .proxy import Proxy, tunnel
from .redirects import REDIRECTS, Follow, follow
from .request import BodyLike, Outgoing, outgoing
from .response import ClientResponse
from .url import Url, parse

if TYPE_CHECKING:
    from ...tls.contexts import ClientContext
    from ...tls.stack import Tls
    from .cookies import CookieJar

S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]
"""Host and port to the addresses to try, in their order; none: leave it to the stack. Raises OSError."""

Protocols: TypeAlias = Literal["auto", "1.1", "2", "2 prior knowledge"]
"""auto and 2: what the server chooses by ALPN, of what is installed; prior knowledge: HTTP/2 without asking, also in clear."""

USER_AGENT = "netstack"


class HttpClient(Generic[S_co]):
    """Fetches over `stack`. To be entered with `async with`, or closed with `aclose`.

    `context` is for TLS: whom to trust, and what ALPN offers; without one it is the system's trust. `proxy` is a URL, or a function
    of the requested URL that gives one or None. `headers` go with every request, unless that has its own. `resolver` says where a
    host is; without one the stack does, with all it knows of names. `cookies` keeps what servers set (cookies.py).
    """

    def __init__(
        self,
        stack: S_co,
        resolver: Resolver | None = None,
        *,
        config: HttpClientConfig = HttpClientConfig(),  # noqa: B008 (frozen)
        context: ClientContext | None = None,
        proxy: str | Proxy | Callable[[Url], str | Proxy | None] | None = None,
        protocols: Protocols = "auto",
        headers: HeadersLike = (),
        user_agent: str = USER_AGENT,
        decode: bool = True,
        cookies: CookieJar | None = None,
        watcher: Watcher | None = None,
        waits: Waits | None = None,
    ) -> None:
        self._stack = stack
        self._resolver = resolver
        self._config = config
        self._context = context
        self._proxy = proxy if callable(proxy) else _proxy(proxy)
        self._protocols = protocols
        self._headers = Headers(headers)
        self._user_agent = user_agent
        self._decode = decode
        self._cookies = cookies
        self._watcher = watcher or Watcher()
        self._waits = waits
        self._pool: Pool | None = None
        self._tls: dict[bool, Tls[S_co]] = {}
        self._room = Room(config.limits.window_growth_of_all)  # for windows of HTTP/2
        self._closed = False

    @property
    def stack(self) -> S_co:
        return self._stack

    @property
    def connections(self) -> int:
        """How many are open, or being opened."""
        return 0 if self._pool is None else len(self._pool)

    @property
    def idle(self) -> int:
        """How many of them wait for the next request."""
        return 0 if self._pool is None else self._pool.idle

    # -- asking ---------------------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        url: str | Url,
        *,
        headers: HeadersLike = (),
        body: BodyLike = None,
        json: object = None,
        length: int | None = None,
        auth: tuple[str, str] | None = None,
        timeout: Duration | None = None,
        redirects: int | None = None,
        expect: bool = False,
        decode: bool | None = None,
        config: HttpClientConfig | None = None,
        following: Follow = follow,
        protocol: str = "",
    ) -> ClientResponse:
        """The response, as soon as its head is here.

        `body`: bytes, or pieces (an async or a plain iterable, or a function that gives one); `length` where that is known, and
        then it isn't sent in chunks. `timeout` for all of it, in place of `config.total_timeout`; `redirects`: how many to
        follow, 0 for none. `expect`: ask before the body is sent (100-continue). `config` in place of the client's: time-outs
        and limits of this request. `following` says what a redirection leads to (redirects.py). `protocol`, with the fields
        that ask for it on HTTP/1.1: the server is to switch to it, and the response is detached then; on HTTP/2 the same by
        extended CONNECT (RFC 8441).

        Any status is a response. Raises FetchError, UsageError, ClosedError; what the body's pieces raise goes through.
        """
        check_timeout(timeout)
        parsed = parse(url) if isinstance(url, str) else url
        given = Headers(headers)
        merged = Headers((*(pair for pair in self._headers if pair[0] not in given), *given)) if len(self._headers) else given
        decoding = self._decode if decode is None else decode
        request = outgoing(method, parsed, merged, body, json, length, auth, expect, decoding, self._user_agent)
        if protocol:
            request = evolve(request, protocol=protocol)
        if self._closed:
            raise ClosedError("this client is closed")
        if self._pool is None:
            self._waits = self._waits or waits_here()
            self._pool = Pool(self._config, self._waits)
        config = config or self._config
        deadline = Deadline(self._waits_here(), timeout or config.total_timeout, str(parsed), config)
        return await self._follow(request, deadline, config.redirects if redirects is None else redirects, following)

    async def get(self, url: str | Url, *, headers: HeadersLike = (), timeout: Duration | None = None) -> ClientResponse:
        return await self.request("GET", url, headers=headers, timeout=timeout)

    async def head(self, url: str | Url, *, headers: HeadersLike = (), timeout: Duration | None = None) -> ClientResponse:
        return await self.request("HEAD", url, headers=headers, timeout=timeout)

    async def post(
        self,
        url: str | Url,
        body: BodyLike = None,
        *,
        json: object = None,
        headers: HeadersLike = (),
        timeout: Duration | None = None,
    ) -> ClientResponse:
        return await self.request("POST", url, body=body, json=json, headers=headers, timeout=timeout)

    async def put(
        self, url: str | Url, body: BodyLike = None, *, headers: HeadersLike = (), timeout: Duration | None = None
    ) -> ClientResponse:
        return await self.request("PUT", url, body=body, headers=headers, timeout=timeout)

    async def delete(self, url: str | Url, *, headers: HeadersLike = (), timeout: Duration | None = None) -> ClientResponse:
        return await self.request("DELETE", url, headers=headers, timeout=timeout)

    async def aclose(self) -> None:
        """What idles is closed, what is in use is cut off."""
        self._closed = True
        if self._pool is not None:
            await self._pool.aclose()

    async def __aenter__(self) -> HttpClient[S_co]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    # -- one request after another --------------------------------------------------------------------------------------------

    async def _follow(self, request: Outgoing, deadline: Deadline, limit: int, following: Follow) -> ClientResponse:
        history: list[Url] = []
        while True:
            asked = request if self._cookies is None else self._cookies.add(request)
            exchange, version = await self._send(asked, deadline)
            head = exchange.head
            if self._cookies is not None:
                self._cookies.keep(request.url, head)
            location = next((value for name, value in head.fields if name == b"location"), None)
            if head.status not in REDIRECTS or location is None or not limit:
                return ClientResponse(exchange, request, version, tuple(history), deadline.config.limits)
            try:
                if len(history) >= limit:
                    raise TooManyRedirects(f"{deadline.url} redirects more than {limit} times", "redirect", str(request.url))
                next_request = following(request, head.status, location.decode("latin-1"))
            except BaseException:
                await exchange.aclose()
                raise
            if next_request is None:
                return ClientResponse(exchange, request, version, tuple(history), deadline.config.limits)
            await self._spend(exchange)
            history.append(request.url)
            request = next_request

    async def _spend(self, exchange: Exchange) -> None:
        """The body of a redirection is a line of HTML: reading it is cheaper than a new connection."""
        if exchange.head.length is not None and exchange.head.length <= 16384:
            try:
                while await exchange.receive():
                    pass
            except FetchError:
                return
        await exchange.aclose()

    async def _send(self, request: Outgoing, deadline: Deadline) -> tuple[Exchange, str]:
        """One request, and once more where that is safe."""
        proxy = self._proxy_for(request.url)
        if proxy is not None and request.protocol and not proxy.tunnel:
            proxy = evolve(proxy, tunnel=True)  # RFC 6455 4.1: proxies switch to nothing
        if proxy is not None and not request.url.secure and not proxy.tunnel:
            request = _through(request, proxy)
        # a proxy that asks for us has one connection for whatever lies behind it
        key: Hashable = proxy if request.absolute else (request.url.origin, proxy)
        pool = self._pool
        assert pool is not None
        attempts = self._config.retries
        while True:
            slot = await pool.acquire(key, deadline)
            reused = slot.connection is not None
            connection = slot.connection
            try:
                if connection is None:
                    connection = slot.connection = await self._open(request.url, proxy, deadline)
                else:
                    self._watcher.reused(connection)
                exchange = await connection.request(request, deadline)
            except ConnectionLost as error:
                pool.release(slot)
                # RFC 9110 9.2.2: who repeats what isn't idempotent does it twice, unless the server says that it did nothing. And a
                # new connection that breaks is no accident
                untouched = error.unprocessed and request.content.replayable
                if not attempts or not (untouched or (reused and error.unanswered and request.repeatable)):
                    raise
                attempts -= 1
                pool.forget(key)
                continue
            except BaseException:
                pool.release(slot)
                raise
            exchange.on_over = _releasing(pool, slot)
            if exchange.head.status == 417 and request.expect and request.content.replayable:
                await exchange.aclose()  # RFC 9110 10.1.1: repeat it without
                request = evolve(request, expect=False)
                continue
            return exchange, connection.version

    # -- opening --------------------------------------------------------------------------------------------------------------

    async def _open(self, url: Url, proxy: Proxy | None, deadline: Deadline) -> Connection:
        waits, config = self._waits_here(), deadline.config
        to = url if proxy is None else proxy.url
        stream = await self._connect(to, deadline)
        try:
            if proxy is not None:
                if proxy.url.secure:
                    stream = await self._secure(stream, proxy.url, deadline, plain=True)
                if url.secure or proxy.tunnel:
                    left = deadline.left(config.tls_timeout)
                    stream = await tunnel(stream, proxy, url, config, waits, self._user_agent, left)
                    self._watcher.tunnelled(stream)
            chosen = None
            if url.secure:
                stream = await self._secure(stream, url, deadline)
                chosen = stream.selected_alpn_protocol  # type: ignore[attr-defined]  # a TlsStream
            if chosen == "h2" or self._protocols == "2 prior knowledge":
                return await self._open2(stream, deadline)
            return Connection1(stream, config, waits, self._watcher)
        except BaseException:
            stream.abort()
            raise

    async def _connect(self, url: Url, deadline: Deadline) -> Stream:
        host, port, watcher = url.host, url.port, self._watcher
        waits, limit = self._waits_here(), deadline.left(deadline.config.connect_timeout)
        end = waits.now() + limit
        name = str(url)
        try:
            addresses: Sequence[tuple[str, int]] = ()
            if self._resolver is not None:
                addresses = await self._resolver(host, port)
            failure: OSError | None = None
            for address in addresses or ((host, port),):
                watcher.connecting(*address)
                try:
                    stream = await self._stack.connect_stream(*address, Duration(max(end - waits.now(), 0)))
                except TimedOut:
                    raise
                except OSError as error:
                    failure = failure or error
                    continue
                watcher.connected(stream)
                return stream
            assert failure is not None
            raise failure
        except TimedOut as error:
            raise deadline.late(
                "name" if _of_names(error) else "connect", f"{host}:{port} did not answer in time", error
            ) from error
        except FetchError:
            raise
        except OSError as error:
            phase: Literal["name", "connect"] = "name" if _of_names(error) else "connect"
            raise ConnectFailed(f"no connection to {host}:{port}: {error.strerror or error}", phase, name) from error
        except UsageError as error:  # a net that knows no names
            raise ConnectFailed(f"no connection to {host}:{port}: {error}", "name", name) from error

    async def _secure(self, stream: Stream, url: Url, deadline: Deadline, plain: bool = False) -> Stream:
        """TLS over it. `plain`: with a proxy, to which HTTP/2 is not spoken."""
        from ...tls.errors import TlsError

        tls = self._tls_for(plain)
        try:
            secured = await tls.wrap_client(stream, url.host, deadline.left(deadline.config.tls_timeout))
        except TlsError as error:
            raise TlsFailed(f"no TLS with {url.host}: {error.strerror or error}", "tls", str(url)) from error
        except TimedOut as error:
            raise deadline.late("tls", f"{url.host} did not finish the TLS handshake in time", error) from error
        except (OSError, ClosedError) as error:
            raise TlsFailed(f"the connection broke in the TLS handshake with {url.host}: {error}", "tls", str(url)) from error
        self._watcher.secured(secured)
        return secured

    def _tls_for(self, plain: bool) -> Tls[S_co]:
        tls = self._tls.get(plain)
        if tls is None:
            from ...tls.contexts import client_context
            from ...tls.stack import Tls

            context = self._context
            if context is None:
                context = client_context(("http/1.1",) if plain or not self._speaks2() else ("h2", "http/1.1"))
            tls = self._tls[plain] = Tls(self._stack, client=context, waits=self._waits_here())
        return tls

    def _speaks2(self) -> bool:
        return self._protocols != "1.1" and speaks_http2()

    async def _open2(self, stream: Stream, deadline: Deadline) -> Connection:
        """HTTP/2 on a stream that is ready for it."""
        try:
            open_ = import_module(f"{__package__}.connection2").Connection2.open
        except ImportError as error:
            raise UsageError(f"HTTP/2 needs the library h2: pip install h2 ({error})") from error
        return cast(Connection, await open_(stream, deadline.config, self._waits_here(), self._watcher, self._room))

    # -- little things --------------------------------------------------------------------------------------------------------

    def _proxy_for(self, url: Url) -> Proxy | None:
        proxy = self._proxy
        return _proxy(proxy(url)) if callable(proxy) else proxy

    def _waits_here(self) -> Waits:
        if self._waits is None:
            self._waits = waits_here()
        return self._waits


def speaks_http2() -> bool:
    """Is what HTTP/2 takes installed?"""
    try:
        return find_spec(f"{__package__}.connection2") is not None and find_spec("h2") is not None
    except (ImportError, ValueError):
        return False


def _proxy(proxy: str | Proxy | None) -> Proxy | None:
    return Proxy.parse(proxy) if isinstance(proxy, str) else proxy


def _through(request: Outgoing, proxy: Proxy) -> Outgoing:
    """To a proxy that asks for us: the whole URL (RFC 9112 3.2.2), and who we are."""
    return evolve(request, absolute=True, fields=(*request.fields, *proxy.fields))


def _releasing(pool: Pool, slot: Slot) -> Callable[[], None]:
    return lambda: pool.release(slot)


def _of_names(error: BaseException | None) -> bool:
    """Was it a name that had no address?"""
    while error is not None:
        if any(kind.__name__ == "gaierror" for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False
