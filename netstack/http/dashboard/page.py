"""The page of the demo, and a few paths to try a stack with.

    /               which stack served this, its counters and connections, refreshed every second
    /stats.json     the same for programs
    /bytes/N        N bytes, always the same: big transfers that can be checked
    /sha256         POST or PUT: the SHA-256 of the body, as it streams by
    /echo           POST or PUT: the body, in chunks, while it comes

It knows nothing of the stack: what it shows comes through `Status`.
"""

import hashlib
import html
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from ...instant import SECOND
from ..serve.message import Handler, HttpError, Request, Response
from .page_html import CSS, PAGE, SCRIPT, connection_table, count_text, counter_table, uptime_text

_MOST = 1 << 40  # of /bytes/N: it costs no memory, and a client that wants more can ask twice
_PERIOD = 1048573  # prime, so that a block lost, doubled or moved shows wherever blocks have an even size
_BLOCK = 262144
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # nothing from elsewhere, and no frame around it
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


class Status(Protocol):
    """What the page shows of a stack."""

    def addresses(self) -> Sequence[str]: ...
    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Group to name to value."""

    def meanings(self) -> Mapping[str, Mapping[str, str]]:
        """Group to name to what it counts: each group's `MEANING`."""

    def connections(self) -> Sequence[Mapping[str, object]]:
        """One mapping for each, with the same keys: those of page_html.COLUMNS are drawn, all are in /stats.json."""


@lru_cache(maxsize=1)
def _pattern() -> bytes:
    return hashlib.shake_256(b"netstack").digest(_PERIOD) * 2


def fixed_bytes(start: int, stop: int) -> bytes:
    """Bytes `start` to `stop` of the stream of /bytes: at most 1 MiB at once."""
    assert 0 <= stop - start <= _PERIOD
    at = start % _PERIOD
    return _pattern()[at : at + stop - start]


class FixedBytes:
    """`length` bytes of the same stream, as a response body."""

    def __init__(self, length: int) -> None:
        self.length = length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, self.length, _BLOCK):
            yield fixed_bytes(at, min(at + _BLOCK, self.length))


class DemoPage:
    """The handler. `netif` and `build` are shown as they are; `other` answers every path that isn't one of the page's."""

    def __init__(
        self, status: Status, *, clock: Callable[[], int], netif: str = "", build: str = "", other: Handler | None = None
    ) -> None:
        self._status = status
        self._clock = clock
        self._since = clock()
        self._netif = netif
        self._build = build
        self._other = other
        self._requests = 0

    async def __call__(self, request: Request) -> Response:
        self._requests += 1
        path = request.path
        if path == "/":
            _allow(request, "GET", "HEAD")
            return Response.html(self.render(request.host), headers=_HEADERS)
        if path == "/stats.json":
            _allow(request, "GET", "HEAD")
            return Response.json(self.stats(), headers=_HEADERS)
        if path.startswith("/bytes/"):
            _allow(request, "GET", "HEAD")
            return _bytes(path.removeprefix("/bytes/"))
        if path == "/sha256":
            _allow(request, "POST", "PUT")
            return await _sha256(request)
        if path == "/echo":
            _allow(request, "POST", "PUT")
            return await _echo(request)
        if self._other is not None:
            return await self._other(request)
        raise HttpError(404, "Not found.")

    def stats(self) -> dict[str, object]:
        """What /stats.json says."""
        return {
            "netif": self._netif,
            "addresses": list(self._status.addresses()),
            "build": self._build,
            "uptime": round((self._clock() - self._since) / SECOND, 1),
            "requests": self._requests,
            "counters": {group: dict(values) for group, values in self._status.counters().items()},
            "meanings": {group: dict(values) for group, values in self._status.meanings().items()},
            "connections": [dict(each) for each in self._status.connections()],
        }

    def render(self, host: str) -> str:
        """The page with the numbers of this moment in it, for one who asked for `host`: it says the same without its script."""
        connections = self._status.connections()
        addresses = self._status.addresses()
        return PAGE.format(
            css=CSS,
            script=SCRIPT,
            netif=html.escape(self._netif or "a network device"),
            addresses=html.escape(", ".join(addresses) or "none"),
            build=html.escape(self._build or "unknown"),
            uptime=uptime_text((self._clock() - self._since) // SECOND),
            requests=f"{self._requests:,}",
            count=count_text(len(connections)),
            connections=connection_table(connections),
            counters=counter_table(self._status.counters(), self._status.meanings()),
            host=html.escape(host or "".join(addresses[:1]).partition("/")[0]),
        )


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise HttpError(405, f"Allowed: {', '.join(methods)}.", {"allow": ", ".join(methods)})


def _bytes(number: str) -> Response:
    if not re.fullmatch("[0-9]{1,13}", number) or int(number) > _MOST:
        raise HttpError(404, f"A number of bytes up to {_MOST} follows /bytes/.")
    return Response(200, {"content-type": "application/octet-stream"}, FixedBytes(int(number)))


async def _sha256(request: Request) -> Response:
    digest = hashlib.sha256()
    async for piece in request.body:
        digest.update(piece)
    return Response.text(digest.hexdigest() + "\n")


async def _echo(request: Request) -> Response:
    # the first piece before the answer begins: a client that waits for 100 (Continue) would never send it after
    first = await anext(request.body, b"")

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in request.body:
            yield piece

    return Response(200, {"content-type": request.headers.get("content-type") or "application/octet-stream"}, pieces())
