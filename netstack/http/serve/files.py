"""Files of a folder over HTTP: GET and HEAD with conditions and a range, listings, and PUT when that is allowed.

    server = HttpServer(tcp, StaticFiles("/srv/www"), …)          curl -C - -O http://…/big.iso
    server = HttpServer(tcp, StaticFiles("/srv/in", upload=True), …)        curl -T file http://…/

A file's contents are read without blocking: at once where the page cache has them, else in a thread (runtime/fileblocks.py).
Folders are looked up and uploads written with plain calls that block: over a network file system that hangs, so does the loop.

**No way out of the root.** A path is cut at its slashes first and unescaped after, so an escaped slash stays in its segment, and
such a segment is refused like `..`, NUL and names that begin with a dot (uploads in progress have such names). Symbolic links are
followed where they end under the root. The answer of `realpath` may be stale when the file is opened, so the open walks it again
from the root, one folder at a time, and follows no link.
"""

import errno
import html
import mimetypes
import os
import stat
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote_to_bytes

from ...errors import UsageError
from ...runtime.fileblocks import read_blocks
from ..conditional import precondition, requested_range
from ..date import format_date
from ..headers import Headers
from .message import HttpError, Request, Response

LISTED = 1000  # entries of a listing: who may upload could make it grow without end
_WELL_KNOWN = ".well-known"  # RFC 8615: the one dot that is meant to be seen
_TYPES = mimetypes.MimeTypes()
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileBody:
    """Some bytes of an open file, as a response body. It owns the descriptor and closes it."""

    def __init__(self, fd: int, offset: int, length: int) -> None:
        self._file = os.fdopen(fd, "rb", buffering=0)
        self._offset = offset
        self.length = length

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        left = self.length
        async for block in read_blocks(self._file.fileno(), self._offset, self._offset + left):
            left -= len(block)
            yield block
        if left:
            raise OSError(errno.EIO, "the file became shorter while it was sent")

    async def aclose(self) -> None:
        self._file.close()


class StaticFiles:
    """A handler for the files under `root`. With `upload`, PUT stores a file whole or not at all: readers never see half of one."""

    def __init__(self, root: str | os.PathLike[str], upload: bool = False, listing: bool = True, index: str = "index.html") -> None:
        self._root = os.path.realpath(root)
        if not os.path.isdir(self._root):
            raise UsageError(f"{os.fspath(root)!r} is not a folder: StaticFiles serves one that exists")
        self._upload = upload
        self._listing = listing
        self._index = index
        self._allow = "GET, HEAD, OPTIONS, PUT" if upload else "GET, HEAD, OPTIONS"

    async def __call__(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(204, {"allow": self._allow})
        if request.method not in ("GET", "HEAD") and not (self._upload and request.method == "PUT"):
            raise HttpError(405, f"Allowed: {self._allow}.", {"allow": self._allow})
        segments, folder = split_path(request.raw_path)
        try:
            if request.method == "PUT":
                return await self._put(request, segments, folder)
            return self._get(request, segments, folder)
        except PermissionError:
            raise HttpError(403, "Forbidden.") from None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO):
                raise HttpError(404, "Not found.") from None
            if error.errno in _FULL:
                raise HttpError(507, "There is no room for it.") from None
            raise

    # -- finding ----------------------------------------------------------------------------------------------------------------

    def _open(self, segments: list[str], flags: int) -> int:
        """A descriptor of what `segments` name, wherever links lead under the root; ENOENT for what lies outside."""
        real = os.path.realpath(os.path.join(self._root, *segments))
        inside = self._root.rstrip("/") + "/"
        if real != self._root and not real.startswith(inside):
            raise FileNotFoundError(errno.ENOENT, "outside of the root")
        parts = [part for part in real[len(self._root) :].split("/") if part]
        # O_NONBLOCK: opening a named pipe must not wait for its writer
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            try:
                how = flags if last else os.O_RDONLY | os.O_DIRECTORY
                after = os.open(part, how | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            finally:
                os.close(fd)
            fd = after
        return fd

    def _look(self, segments: list[str]) -> os.stat_result:
        fd = self._open(segments, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    # -- reading ----------------------------------------------------------------------------------------------------------------

    def _get(self, request: Request, segments: list[str], folder: bool) -> Response:
        fd = self._open(segments, os.O_RDONLY)
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                if not folder:
                    # made of the segments and not of the path as it came: //evil.example/.. would be a URL of another host
                    there = join_path(segments) + "/"
                    raise HttpError(301, "See there.", {"location": there + (f"?{request.query}" if request.query else "")})
                try:
                    index = self._open([*segments, self._index], os.O_RDONLY)
                except FileNotFoundError:
                    return self._list(fd, segments)
                os.close(fd)
                fd = index
                status = os.fstat(fd)
                segments = [*segments, self._index]
            elif folder:
                raise HttpError(404, "Not found.")
            if not stat.S_ISREG(status.st_mode):
                raise HttpError(404, "Not found.")
            response = self._file(request, fd, status, segments[-1])
            if isinstance(response.body, FileBody):
                fd = -1  # it owns it now
            return response
        finally:
            if fd >= 0:
                os.close(fd)

    def _file(self, request: Request, fd: int, status: os.stat_result, name: str) -> Response:
        etag, modified, size = entity_tag(status), int(status.st_mtime), status.st_size
        fields = [
            ("etag", etag),
            ("last-modified", format_date(modified)),
            ("accept-ranges", "bytes"),
            ("content-type", content_type(name)),
            ("x-content-type-options", "nosniff"),
        ]
        if self._upload:
            fields.append(("content-security-policy", "sandbox"))  # a page that a stranger put here runs no script as ours
        failed = precondition(request.method, request.headers, etag, modified)
        if failed is not None:
            return Response(failed, Headers(fields[:2]))
        asked = requested_range(request.headers, size, etag, modified) if request.method == "GET" else None
        if asked is None:
            return Response(200, Headers(fields), FileBody(fd, 0, size))
        if not asked:
            raise HttpError(416, "There are no such bytes.", {"content-range": f"bytes */{size}"})
        fields.append(("content-range", f"bytes {asked.start}-{asked.stop - 1}/{size}"))
        return Response(206, Headers(fields), FileBody(fd, asked.start, len(asked)))

    def _list(self, fd: int, segments: list[str]) -> Response:
        if not self._listing:
            raise HttpError(404, "Not found.")
        rows: list[tuple[bool, str, int, int]] = []
        more = False
        with os.scandir(fd) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                if len(rows) == LISTED:
                    more = True
                    break
                try:
                    status = self._look([*segments, entry.name]) if entry.is_symlink() else entry.stat()
                except OSError:
                    continue  # a link to nowhere or out of the root, or gone meanwhile
                rows.append((not stat.S_ISDIR(status.st_mode), entry.name, status.st_size, int(status.st_mtime)))
        rows.sort()
        return Response.html(_listing_page("/" + "/".join(segments), bool(segments), rows, more), headers=_LISTING_HEADERS)

    # -- writing ----------------------------------------------------------------------------------------------------------------

    async def _put(self, request: Request, segments: list[str], folder: bool) -> Response:
        if folder or not segments:
            raise HttpError(409, "A folder can't be put.")
        if "content-range" in request.headers:
            raise HttpError(400, "A part of a file can't be put.")  # RFC 9110 14.5: not to be taken for the whole
        name = segments[-1]
        try:
            parent = self._open(segments[:-1], os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            raise HttpError(409, "There is no folder to put it in.") from None
        try:
            before = _stat(name, parent)
            if before is not None and not stat.S_ISREG(before.st_mode) and not stat.S_ISLNK(before.st_mode):
                raise HttpError(409, "There is something there that is not a file.")
            etag = entity_tag(before) if before is not None else None
            failed = precondition("PUT", request.headers, etag, int(before.st_mtime) if before is not None else None)
            if failed is not None:
                raise HttpError(failed, "The condition does not hold.")
            after = await self._store(request, parent, name)
        finally:
            os.close(parent)
        fields = {"etag": entity_tag(after)}
        if before is None:
            return Response(201, {**fields, "location": join_path(segments)})
        return Response(204, fields)

    @staticmethod
    async def _store(request: Request, parent: int, name: str) -> os.stat_result:
        """The body under another name, then one rename. A client that breaks off leaves nothing behind."""
        waiting = f".{os.urandom(8).hex()}.upload"
        fd = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=parent)
        try:
            try:
                async for piece in request.body:
                    view = memoryview(piece)
                    while view:
                        view = view[os.write(fd, view) :]
                after = os.fstat(fd)
            finally:
                os.close(fd)
            os.rename(waiting, name, src_dir_fd=parent, dst_dir_fd=parent)
            waiting = ""
        finally:
            if waiting:
                os.unlink(waiting, dir_fd=parent)
        return after


def split_path(raw_path: str) -> tuple[list[str], bool]:
    """The names in an escaped path, and whether it ends as a folder's does. Raises HttpError(404) where no file has such a name."""
    parts = raw_path.split("/")
    names = []
    for part in parts:
        if not part:
            continue
        raw = unquote_to_bytes(part)
        name = os.fsdecode(raw)
        if b"/" in raw or b"\0" in raw or _hidden(name):
            raise HttpError(404, "Not found.")
        names.append(name)
    return names, parts[-1] == ""


def join_path(names: list[str]) -> str:
    """The escaped path of `names`, from the root."""
    return "/" + "/".join(quote(os.fsencode(name), safe="") for name in names)


def entity_tag(status: os.stat_result) -> str:
    """Strong: it changes with the time stamp's nanoseconds, the size, and when another file takes the place."""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'


def content_type(name: str) -> str:
    guessed, encoding = _TYPES.guess_type(name)
    if encoding is not None:
        return {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}.get(
            encoding, "application/octet-stream"
        )  # the file as it is, not what it unpacks to
    if guessed is None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def _hidden(name: str) -> bool:
    return name.startswith(".") and name != _WELL_KNOWN


def _stat(name: str, parent: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


_LISTING_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
_LISTING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }}
body {{ max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
td {{ padding-right: 1.5rem; overflow-wrap: anywhere }}
td + td {{ white-space: nowrap; font-variant-numeric: tabular-nums; opacity: .7 }}
</style>
<h1>{title}</h1>
<table>
{rows}</table>{more}
</html>
"""


def _listing_page(path: str, up: bool, rows: list[tuple[bool, str, int, int]], more: bool) -> str:
    lines = ['<tr><td><a href="../">../</a></td></tr>\n'] if up else []
    for is_file, name, size, modified in rows:
        slash = "" if is_file else "/"
        link = "./" + quote(os.fsencode(name), safe="") + slash
        shown = html.escape(_printable(name)) + slash
        lines.append(
            f'<tr><td><a href="{link}">{shown}</a></td><td>{size if is_file else ""}</td><td>{format_date(modified)}</td></tr>\n'
        )
    rest = f"\n<p>Only {LISTED} entries are shown.</p>" if more else ""
    return _LISTING.format(title=html.escape(_printable(path)), rows="".join(lines), more=rest)


def _printable(name: str) -> str:
    """A name that may hold bytes which are not UTF-8, as text that can be sent."""
    return os.fsencode(name).decode("utf-8", "replace")
