"""The dashboard: a stack at work, shown by itself.

    /                    the page; for a terminal the same in a few lines
    /events              what it lives on: server-sent events of the whole stack (?find=WORDS: of these connections)
    /events/connection   … of one connection: ?local=ADDRESS:PORT&remote=ADDRESS:PORT
    /capture.pcapng      the last frames; they are kept while a page is open
    /stats.json          all of it once, for programs
    /bytes/N             N bytes, always the same: big transfers that can be checked
    /sha256              POST or PUT: the SHA-256 of the body, as it streams by
    /echo                POST or PUT: the body, in chunks, while it comes

It knows nothing of the stack: what it shows comes through `Status`. What others have sent, names of devices and addresses of peers,
reaches the browser as JSON and is put on the page as text, never as HTML.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from urllib.parse import parse_qs

from ...instant import MILLISECOND, SECOND
from ...pcap import ETHERNET, RAW, PcapngWriter
from ...runtime.waits import waits_here
from ...testing.capture import completed
from ..serve.message import Handler, HttpError, Request, Response
from .live import Live
from .ring import Kept
from .status import Status
from .text import ROWS, comment, summary
from .trials import echo, sha256, some_bytes

ASSETS = {
    "/dashboard.css": "text/css; charset=utf-8",
    "/dashboard.js": "text/javascript; charset=utf-8",
    "/table.js": "text/javascript; charset=utf-8",
    "/draw.js": "text/javascript; charset=utf-8",
    "/words.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # nothing from elsewhere, nothing inline, and no frame around it
    "content-security-policy": "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
BLOCK = 65536  # of a capture, that is sent at once


class Dashboard:
    """The handler. `other` answers every path that isn't one of the page's; `clock` gives nanoseconds, as the stack's own."""

    def __init__(self, status: Status, *, clock: Callable[[], int], other: Handler | None = None) -> None:
        self._status = status
        self._clock = clock
        self._since = clock()
        self._other = other
        self._requests = 0
        self.live = Live(status)

    async def __call__(self, request: Request) -> Response:
        self._requests += 1
        path = request.path
        if path == "/":
            return self._page(request)
        if path in ASSETS:
            _allow(request, "GET", "HEAD")
            return Response(200, {"content-type": ASSETS[path], **HEADERS}, asset(path[1:]))
        if path in ("/events", "/events/connection"):
            _allow(request, "GET")
            return self._events(request)
        if path == "/capture.pcapng":
            _allow(request, "GET", "HEAD")
            return self._capture()
        if path == "/stats.json":
            _allow(request, "GET", "HEAD")
            return Response.json(self.stats(), headers=HEADERS)
        if path.startswith("/bytes/"):
            _allow(request, "GET", "HEAD")
            return some_bytes(path.removeprefix("/bytes/"), _text(request.remote_address))
        if path == "/sha256":
            _allow(request, "POST", "PUT")
            return await sha256(request)
        if path == "/echo":
            _allow(request, "POST", "PUT")
            return await echo(request)
        if self._other is not None:
            return await self._other(request)
        raise HttpError(404, "Not found.")

    def stats(self) -> dict[str, object]:
        """What /stats.json says."""
        return {
            **self._status.about(),
            "uptime": round((self._clock() - self._since) / SECOND, 1),
            "requests": self._requests,
            "counters": {group: dict(values) for group, values in self._status.counters().items()},
            "meanings": {group: dict(values) for group, values in self._status.meanings().items()},
            "connections": [dict(each) for each in self._status.connections()],
            "neighbours": [dict(each) for each in self._status.neighbours()],
            "routes": [dict(each) for each in self._status.routes()],
            "listeners": [dict(each) for each in self._status.listeners()],
        }

    def summary(self, host: str) -> str:
        """What a terminal gets, who asked for `host`."""
        total, _, connections = self._status.busiest(ROWS, ())
        return summary(self._status.about(), total, connections, (self._clock() - self._since) // SECOND, host)

    def _page(self, request: Request) -> Response:
        """A browser asks for HTML by name. Who takes anything, as curl does, gets the same page with a summary before it, where it
        is read first; who asks for text, the summary alone."""
        _allow(request, "GET", "HEAD")
        accept = (request.headers.get("accept") or "*/*").lower()
        headers = {**HEADERS, "vary": "accept"}
        page = asset("index.html").decode()
        if "text/html" in accept:
            return Response.html(page, headers=headers)
        text = self.summary(request.host or _text(request.local_address))
        if "text/plain" in accept:
            return Response.text(text, headers=headers)
        first, _, rest = page.partition("\n")
        return Response.html(f"{first}\n{comment(text)}{rest}", headers=headers)

    def _events(self, request: Request) -> Response:
        self.live.check()
        asked = parse_qs(request.query, max_num_fields=8)
        here, there = _text(request.local_address), _text(request.remote_address)
        hello = {"since": self._since // MILLISECOND, "here": here, "you": there}
        if request.path == "/events":
            words = " ".join(asked.get("find", ()))[:100].lower().split()
            stream = self.live.overview(hello, words, self._since)
        else:
            pair = asked.get("local", [""])[0], asked.get("remote", [""])[0]
            stream = self.live.connection(pair, hello, self._since)
        return Response(200, {"content-type": "text/event-stream", **HEADERS}, stream)

    def _capture(self) -> Response:
        ring = self.live.ring
        if not self.live.watching:
            raise HttpError(409, "Frames are kept while a page is open: open one, and ask again.")
        frames = ring.all()
        now = self._clock()
        epoch = waits_here().wall() * SECOND - now
        name = str(self._status.about().get("netif", ""))
        link = ring.link
        headers = {
            "content-type": "application/x-pcapng",
            "content-disposition": 'attachment; filename="netstack.pcapng"',
            **HEADERS,
        }
        return Response(200, headers, capture(frames, name, link, epoch))


async def capture(frames: Iterator[Kept], name: str, link: int, epoch: int) -> AsyncIterator[bytes]:
    """A pcapng file, a block at a time. `link`: length of the link header."""
    blocks: list[bytes] = []
    writer = PcapngWriter(blocks.append, epoch=epoch)
    number = writer.interface(name, ETHERNET if link else RAW)
    size = 0
    for kept in frames:
        whole = kept.partial and len(kept.data) == kept.length
        data = completed(kept.data, link) if whole else kept.data
        said = f"super-segment, cut every {kept.gso} bytes" if kept.gso else ""
        writer.packet(number, kept.time, data, kept.direction, said, kept.length)
        size += len(data)
        if size > BLOCK:
            yield b"".join(blocks)
            blocks.clear()
            size = 0
    yield b"".join(blocks)


@lru_cache(maxsize=len(ASSETS) + 1)
def asset(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise HttpError(405, f"Allowed: {', '.join(methods)}.", {"allow": ", ".join(methods)})


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
