"""A folder of the host's file system, and no way out of it. Plain calls that may wait for a disk: who has a loop makes them aside.

A path is cut at its slashes first and unescaped after, so an escaped slash stays in its segment, and such a segment is refused
like `..`, NUL and names that begin with a dot (uploads in progress have such names). Symbolic links are followed where they end
under the root. The answer of `realpath` may be stale when the file is opened, so the open walks it again from the root, one folder
at a time, and follows no link.
"""

from __future__ import annotations

import errno
import os
import stat
from urllib.parse import quote, unquote_to_bytes

from ...errors import UsageError
from ...instant import SECOND
from ...runtime.aside import steady_ns, wall_ns
from ..coding import CODINGS
from ..date import format_date
from .listing import LISTED, Row
from .message import HttpError

_WELL_KNOWN = ".well-known"  # RFC 8615: the one dot that is meant to be seen
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refusal(error: OSError) -> HttpError | None:
    """What a client hears of it, which is nothing of the server's disks; None: it is not the client's business."""
    if isinstance(error, PermissionError):
        return HttpError(403, "Forbidden.")
    if error.errno in _MISSING:
        return HttpError(404, "Not found.")
    if error.errno in _FULL:
        return HttpError(507, "There is no room for it.")
    return None


class OpenFile:
    """A regular file. The descriptor is closed with the last who has this: a cache, and any number of responses."""

    __slots__ = ("again", "content", "etag", "fd", "modified", "name", "path", "seen", "size", "status")

    def __init__(self, fd: int, status: os.stat_result, path: str, name: str) -> None:
        self.fd = fd
        self.status = status
        self.path = path  # without links
        self.name = name  # by which it was asked for, or its index
        self.size = status.st_size
        self.modified = format_date(int(status.st_mtime))
        self.etag = entity_tag(status, wall_ns())
        self.seen = steady_ns()
        self.again = False  # it was asked for before
        self.content: bytes | None = None  # all of it, where that is worth the memory

    def fresh(self) -> bool:
        """Is it still what lies at its path, and as it was?"""
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        was = self.status
        return (
            now.st_mtime_ns == was.st_mtime_ns
            and now.st_size == was.st_size
            and now.st_ino == was.st_ino
            and now.st_ctime_ns == was.st_ctime_ns
            and now.st_dev == was.st_dev
        )

    def __del__(self) -> None:
        os.close(self.fd)


class Found:
    """What lies at a path: a file, with the others that hold the same in another coding; or a folder."""

    __slots__ = ("coded", "file")

    def __init__(self, file: OpenFile | None, coded: dict[str, OpenFile]) -> None:
        self.file = file
        self.coded = coded


class Folder:
    """What is under `root`. `index`: the file that stands for its folder. `precompressed`: whether to look for `x.br`, `x.zst`
    and `x.gz` beside `x`."""

    def __init__(self, root: str | os.PathLike[str], index: str, precompressed: bool) -> None:
        self.root = os.path.realpath(root)
        if not os.path.isdir(self.root):
            raise UsageError(f"{os.fspath(root)!r} is not a folder: StaticFiles serves one that exists")
        self._inside = self.root.rstrip("/") + "/"
        self._index = index
        self._precompressed = precompressed

    def open(self, segments: list[str], flags: int) -> tuple[int, str]:
        """A descriptor of what `segments` name, wherever links lead under the root, and its path without them; ENOENT for what lies
        outside."""
        real = os.path.realpath(os.path.join(self.root, *segments))
        if real != self.root and not real.startswith(self._inside):
            raise FileNotFoundError(errno.ENOENT, "outside of the root")
        parts = [part for part in real[len(self.root) :].split("/") if part]
        # O_NONBLOCK: opening a named pipe must not wait for its writer
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            try:
                how = flags if last else os.O_RDONLY | os.O_DIRECTORY
                after = os.open(part, how | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            finally:
                os.close(fd)
            fd = after
        return fd, real

    def find(self, segments: list[str], slash: bool) -> Found:
        """Raises OSError for what can't be served, ENOENT for what isn't there."""
        fd, real = self.open(segments, os.O_RDONLY)
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            os.close(fd)
            if not slash:
                return Found(None, {})
            try:
                found = self.find([*segments, self._index], False)
            except FileNotFoundError:
                return Found(None, {})
            if found.file is None:
                raise FileNotFoundError(errno.ENOENT, "the index is a folder")
            return found
        if slash or not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, "no regular file")
        return Found(OpenFile(fd, status, real, segments[-1]), self._coded(segments) if self._precompressed else {})

    def _coded(self, segments: list[str]) -> dict[str, OpenFile]:
        found = {}
        beside = os.path.join(self.root, *segments)
        for coding, suffix in CODINGS:
            if not os.path.lexists(beside + suffix):
                continue  # what most files have; the walk would cost more
            try:
                fd, real = self.open([*segments[:-1], segments[-1] + suffix], os.O_RDONLY)
            except OSError:
                continue  # it can't be read, or leads out: then the file itself has to do
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode):
                found[coding] = OpenFile(fd, status, real, segments[-1])
            else:
                os.close(fd)
        return found

    def entries(self, segments: list[str]) -> tuple[list[Row], bool]:
        """The entries that may be seen, and whether there are more."""
        rows: list[Row] = []
        fd, _ = self.open(segments, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(fd) as listed:
                for entry in listed:
                    if hidden(entry.name):
                        continue
                    if len(rows) == LISTED:
                        return sorted(rows), True
                    try:
                        status = self._look([*segments, entry.name]) if entry.is_symlink() else entry.stat()
                    except OSError:
                        continue  # a link to nowhere or out of the root, or gone meanwhile
                    rows.append((not stat.S_ISDIR(status.st_mode), entry.name, status.st_size, int(status.st_mtime)))
        finally:
            os.close(fd)
        return sorted(rows), False

    def _look(self, segments: list[str]) -> os.stat_result:
        fd, _ = self.open(segments, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)


def split_path(raw_path: str) -> tuple[list[str], bool]:
    """The names in an escaped path, and whether it ends as a folder's does. Raises HttpError(404) where no file has such a name."""
    parts = raw_path.split("/")
    names = []
    for part in parts:
        if not part:
            continue
        raw = unquote_to_bytes(part)
        name = os.fsdecode(raw)
        if b"/" in raw or b"\0" in raw or hidden(name):
            raise HttpError(404, "Not found.")
        names.append(name)
    return names, parts[-1] == ""


def join_path(names: list[str]) -> str:
    """The escaped path of `names`, from the root."""
    return "/" + "/".join(quote(os.fsencode(name), safe="") for name in names)


def hidden(name: str) -> bool:
    return name.startswith(".") and name != _WELL_KNOWN


def entity_tag(status: os.stat_result, now_ns: int) -> str:
    """It changes with the time stamp's nanoseconds, the size, and when another file takes the place. Weak (RFC 9110 8.8.1) where
    the stamp has whole seconds, or two of them (FAT), and is so new that a second change could leave the same."""
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'
    whole = status.st_mtime_ns % SECOND == 0
    return f"W/{tag}" if whole and now_ns - status.st_mtime_ns < 2 * SECOND else tag
