"""httpx on any stack: unchanged programs that take a `transport`. httpx is imported here, and nowhere else.

    async with httpx.AsyncClient(transport=HttpxTransport(net)) as client: …           asyncio, trio
    with netstack.open_blocking("tap:tap0", …) as net:
        with httpx.Client(transport=BlockingHttpxTransport(net)) as client: …           no loop anywhere in the program

httpx follows redirections, keeps cookies and decodes bodies by itself: here it asks for one response at a time. Its time-outs are
heeded for each request. HTTP errors are its own exceptions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import httpx
from attrs import evolve

from ...errors import ClosedError, UsageError
from ...instant import Duration, seconds
from ...runtime.threads.portal import Portal
from ...signatures import StreamStack
from ..config import HttpClientConfig
from .client import HttpClient
from .errors import BadResponse, ConnectFailed, FetchError, FetchTimedOut, ProxyFailed, TlsFailed
from .response import ClientResponse

_LATE = {"pool": httpx.PoolTimeout, "write": httpx.WriteTimeout, "first byte": httpx.ReadTimeout, "read": httpx.ReadTimeout}


@contextmanager
def _translated(request: httpx.Request) -> Iterator[None]:
    """Our errors as httpx's."""
    try:
        yield
    except FetchTimedOut as error:
        raise _LATE.get(error.phase, httpx.ConnectTimeout)(str(error.strerror), request=request) from error
    except ProxyFailed as error:
        raise httpx.ProxyError(str(error.strerror), request=request) from error
    except (ConnectFailed, TlsFailed) as error:
        raise httpx.ConnectError(str(error.strerror), request=request) from error
    except BadResponse as error:
        raise httpx.RemoteProtocolError(str(error.strerror), request=request) from error
    except FetchError as error:
        if getattr(error, "unanswered", False):
            raise httpx.RemoteProtocolError(str(error.strerror), request=request) from error
        raise httpx.ReadError(str(error.strerror), request=request) from error
    except ClosedError as error:
        raise httpx.CloseError(str(error), request=request) from error
    except UsageError as error:
        raise httpx.UnsupportedProtocol(str(error), request=request) from error


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated(self._request):
            async for piece in self._response:
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


class HttpxTransport(httpx.AsyncBaseTransport):
    """Over `stack`; what else `HttpClient` takes may be said, too. Time-outs of `config` hold where httpx has none."""

    def __init__(self, stack: StreamStack, *, config: HttpClientConfig = HttpClientConfig(), **options: Any) -> None:  # noqa: B008
        self._config = config
        self._client = HttpClient(stack, config=config, decode=False, user_agent="", **options)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with _translated(request):
            response = await self._client.request(
                request.method,
                str(request.url.copy_with(userinfo=b"")),
                headers=[
                    (name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw if not _framing(name)
                ],
                body=_content(request),
                length=_length(request),
                redirects=0,
                config=self._timed(request),
            )
        extensions: dict[str, Any] = {
            "http_version": f"HTTP/{response.version}".encode(),
            "reason_phrase": response.reason.encode("latin-1"),
        }
        if response.head.switched:
            extensions["network_stream"] = response.detach()
        return httpx.Response(
            response.status, headers=list(response.head.fields), stream=_Body(response, request), extensions=extensions
        )

    def _timed(self, request: httpx.Request) -> HttpClientConfig:
        said: dict[str, float | None] = request.extensions.get("timeout", {})
        names: dict[str, tuple[str, ...]] = {"write": ("write_timeout",), "pool": ("pool_timeout",)}
        names |= {"connect": ("connect_timeout", "tls_timeout"), "read": ("read_timeout", "first_byte_timeout")}
        changes: dict[str, Duration] = {}
        for word, settings in names.items():
            value = said.get(word)
            if value is not None:
                changes |= dict.fromkeys(settings, Duration(max(seconds(value), 1)))
        return evolve(self._config, **changes)  # type: ignore[arg-type]  # settings of these names

    async def aclose(self) -> None:
        await self._client.aclose()


def _framing(name: bytes) -> bool:
    return name.lower() in (b"transfer-encoding", b"content-length")


def _length(request: httpx.Request) -> int | None:
    stated = request.headers.get("content-length")
    return int(stated) if stated is not None and stated.isdigit() else None


def _content(request: httpx.Request) -> Any:
    """At once, where httpx has it at once: then it can be repeated."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        return None
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream)
    return request.stream


class _BlockingBody(httpx.SyncByteStream):
    def __init__(self, portal: Portal, body: httpx.AsyncByteStream) -> None:
        self._portal = portal
        self._body = body
        self._pieces: Any = None

    def __iter__(self) -> Iterator[bytes]:
        self._pieces = self._body.__aiter__()
        while True:
            piece = self._portal.run(_next(self._pieces))
            if piece is None:
                return
            yield piece

    def close(self) -> None:
        self._portal.run(self._body.aclose())


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


class BlockingHttpxTransport(httpx.BaseTransport):
    """The same for threads, over a net of `netstack.open_blocking`, or over one whose loop runs in another thread."""

    def __init__(self, net: Any, **options: Any) -> None:
        self._portal = Portal(net)
        self._transport = HttpxTransport(self._portal.net, **options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._portal.run(self._transport.handle_async_request(_asynchronous(request)))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_BlockingBody(self._portal, response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        if self._portal.alive:
            self._portal.run(self._transport.aclose())

    def __exit__(
        self, kind: type[BaseException] | None = None, error: BaseException | None = None, tb: TracebackType | None = None
    ) -> None:
        self.close()


def _asynchronous(request: httpx.Request) -> httpx.Request:
    """The same request: its body, an iterable of the thread's, is read here, in the thread."""
    if isinstance(request.stream, httpx.SyncByteStream) and not isinstance(request.stream, httpx.ByteStream):
        request.read()
    return request
