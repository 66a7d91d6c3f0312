"""Files of a folder over HTTP: GET and HEAD with conditions and ranges, listings, and PUT when that is allowed.

    server = HttpServer(tcp, StaticFiles("/srv/www"), …)          curl -C - -O http://…/big.iso
    server = HttpServer(tcp, StaticFiles("/srv/in", upload=True), …)        curl -T file http://…/

What leads where, and that nothing leads out of the root, is `folder.py`'s. It is looked up in a thread, so that no disk holds up
the loop, and the descriptor kept: who asks for it again within a second costs one `stat`. Contents go the stack's own way
(`send_file`): by sendfile(2) on the kernel's sockets, from the page cache into our queue on our TCP, where what many ask for is
held in memory: one copy in the processor's cache instead of one for each connection.
"""

from __future__ import annotations

import mimetypes
import os
from collections import OrderedDict
from collections.abc import Callable

from ...instant import SECOND
from ...runtime.aside import aside, steady_ns
from ..coding import choose
from ..conditional import precondition, requested_ranges
from ..headers import Headers
from .fileparts import FileBody, FileParts, content_range, small_file
from .folder import Folder, Found, OpenFile, join_path, refusal, split_path
from .listing import HEADERS as LISTING_HEADERS
from .listing import listing_page
from .message import HttpError, Request, Response
from .uploads import put

KEPT = 32  # paths whose descriptors are kept, four each at most: what a page consists of; a process mostly may have 1024
HELD = 1 << 24  # bytes of contents in memory
HELD_EACH = 1 << 20  # a larger one pays for its reading by the time that it is on its way
STALE = SECOND  # after so long a path is looked up anew: links may lead elsewhere, and compressed files have appeared beside it
_TYPES = mimetypes.MimeTypes(filenames=())
for _type, _ending in (
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("text/markdown", ".md"),
    ("image/avif", ".avif"),
    ("image/webp", ".webp"),
    ("font/woff", ".woff"),
    ("font/woff2", ".woff2"),
    ("application/wasm", ".wasm"),
    ("application/manifest+json", ".webmanifest"),
):
    _TYPES.add_type(_type, _ending)  # whatever the system's own table says, or an old Python's

CacheControl = str | Callable[[str], str]


class StaticFiles:
    """A handler for the files under `root`. With `upload`, PUT stores a file whole or not at all: readers never see half of one.

    `index` stands for its folder; without one there is a `listing`. `precompressed`: where `x.br`, `x.zst` or `x.gz` lies beside
    `x`, a client that takes it gets that. `cache_control` is the field's value, or gives it for a path that was asked for, "" for
    none. `charset` is that of all text; "" leaves it to the browser.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        upload: bool = False,
        listing: bool = True,
        index: str = "index.html",
        *,
        precompressed: bool = True,
        cache_control: CacheControl = "",
        charset: str = "utf-8",
    ) -> None:
        self._folder = Folder(root, index, precompressed)
        self._upload = upload
        self._listing = listing
        self._cache_control = cache_control
        self._charset = charset
        self._allow = "GET, HEAD, OPTIONS, PUT" if upload else "GET, HEAD, OPTIONS"
        self._kept: OrderedDict[str, Found] = OrderedDict()  # by the path as it came; the one that was asked for last is last

    def close(self) -> None:
        """Let go of the descriptors that are kept. It may be used on."""
        self._kept.clear()

    async def __call__(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(204, {"allow": self._allow})
        if request.method not in ("GET", "HEAD") and not (self._upload and request.method == "PUT"):
            raise HttpError(405, f"Allowed: {self._allow}.", {"allow": self._allow})
        try:
            kept = self._kept_at(request.raw_path)
            if kept is not None and request.method != "PUT":
                return await self._file(request, kept)
            segments, slash = split_path(request.raw_path)
            if request.method == "PUT":
                self._kept.pop(request.raw_path, None)
                return await put(self._folder, request, segments, slash)
            found = await aside(self._folder.find, segments, slash)
            if found.file is not None:
                self._keep(request.raw_path, found)
                return await self._file(request, found)
            if not slash:
                # made of the segments and not of the path as it came: //evil.example/.. would be a URL of another host
                there = join_path(segments) + "/"
                raise HttpError(301, "See there.", {"location": there + (f"?{request.query}" if request.query else "")})
            if not self._listing:
                raise HttpError(404, "Not found.")
            return await aside(self._list, segments)
        except OSError as error:
            answer = refusal(error)
            if answer is None:
                raise
            raise answer from None

    def _list(self, segments: list[str]) -> Response:
        rows, more = self._folder.entries(segments)
        return Response.html(listing_page("/" + "/".join(segments), bool(segments), rows, more), headers=LISTING_HEADERS)

    # -- what is kept -----------------------------------------------------------------------------------------------------------

    def _kept_at(self, path: str) -> Found | None:
        found = self._kept.get(path)
        if found is None or found.file is None:
            return None
        if steady_ns() - found.file.seen < STALE and found.file.fresh() and all(f.fresh() for f in found.coded.values()):
            self._kept.move_to_end(path)
            return found
        del self._kept[path]
        return None

    def _keep(self, path: str, found: Found) -> None:
        self._kept[path] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _hold(self, file: OpenFile) -> None:
        """Have in memory what is asked for the second time within a second, and let go of what came before it."""
        if file.content is not None or file.size > HELD_EACH or not file.again:
            file.again = True
            return
        file.again = False  # one at a time
        content = await small_file(file.fd, 0, file.size)
        others = [each for found in self._kept.values() for each in (found.file, *found.coded.values()) if each and each.content]
        room = HELD - file.size - sum(len(each.content or b"") for each in others)
        for other in others:
            if room >= 0:
                break
            room += other.size
            other.content = None
        file.content = content

    # -- the answer -------------------------------------------------------------------------------------------------------------

    async def _file(self, request: Request, found: Found) -> Response:
        file = found.file
        assert file is not None
        headers = request.headers
        kind = content_type(file.name, self._charset)
        coding = choose(headers.get("accept-encoding"), list(found.coded)) if found.coded else None
        if coding is not None:
            file = found.coded[coding]
        modified = int(file.status.st_mtime)
        fields = [("etag", file.etag), ("last-modified", file.modified)]
        if found.coded:
            fields.append(("vary", "accept-encoding"))
        control = self._cache_control(request.path) if callable(self._cache_control) else self._cache_control
        if control:
            fields.append(("cache-control", control))
        failed = precondition(request.method, headers, file.etag, modified)
        if failed is not None:
            return Response(failed, Headers(fields))  # RFC 9110 15.4.5: what a 200 would have said of these
        fields += (("accept-ranges", "bytes"), ("x-content-type-options", "nosniff"))
        if coding is not None:
            fields.append(("content-encoding", coding))
        if self._upload:
            fields.append(("content-security-policy", "sandbox"))  # a page that a stranger put here runs no script as ours
        parts = requested_ranges(headers, file.size, file.etag, modified) if request.method == "GET" else None
        if request.method == "GET":
            await self._hold(file)
        if parts is None:
            return Response(200, Headers([*fields, ("content-type", kind)]), FileBody(file, 0, file.size))
        if not parts:
            raise HttpError(416, "There are no such bytes.", {"content-range": f"bytes */{file.size}"})
        if len(parts) > 1:
            several = FileParts(file, parts, kind)
            return Response(206, Headers([*fields, ("content-type", several.content_type)]), several)
        fields += (("content-type", kind), ("content-range", content_range(parts[0], file.size)))
        return Response(206, Headers(fields), FileBody(file, parts[0].start, len(parts[0])))


def content_type(name: str, charset: str = "utf-8") -> str:
    guessed, encoding = _TYPES.guess_type(name)
    if encoding is not None:
        return {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}.get(
            encoding, "application/octet-stream"
        )  # the file as it is, not what it unpacks to
    if guessed is None:
        return "application/octet-stream"
    return f"{guessed}; charset={charset}" if charset and guessed.startswith("text/") else guessed
