"""PUT: a file is stored whole or not at all. Readers never see half of one, and a client that breaks off leaves nothing behind."""

from __future__ import annotations

import os
import stat

from ...runtime.aside import Hold, aside, wall_ns
from ..conditional import precondition
from .folder import Folder, entity_tag, join_path
from .message import HttpError, Request, Response

AT_ONCE = 262144  # bytes that are gathered for one turn of the thread that writes


async def put(folder: Folder, request: Request, segments: list[str], slash: bool) -> Response:
    """Store the body of `request`. Raises HttpError and OSError."""
    if slash or not segments:
        raise HttpError(409, "A folder can't be put.")
    if "content-range" in request.headers:
        raise HttpError(400, "A part of a file can't be put.")  # RFC 9110 14.5: not to be taken for the whole
    upload = Upload(folder, segments)
    try:
        before = await aside(upload.look)
        etag = entity_tag(before, wall_ns()) if before is not None else None
        failed = precondition("PUT", request.headers, etag, int(before.st_mtime) if before is not None else None)
        if failed is not None:
            raise HttpError(failed, "The condition does not hold.")
        pieces: list[bytes] = []
        size = 0
        async for piece in request.body:
            pieces.append(piece)
            size += len(piece)
            if size >= AT_ONCE:
                await aside(upload.write, pieces)
                pieces, size = [], 0
        after = await aside(upload.commit, pieces)
    finally:
        upload.leave()
    fields = {"etag": entity_tag(after, wall_ns())}
    if before is None:
        return Response(201, {**fields, "location": join_path(segments)})
    return Response(204, fields)


class Upload:
    """The body under another name, then one rename. `look`, `write` any number of times, `commit`: plain calls, one at a time, each
    from any thread. `leave` at the end of all, from the loop."""

    def __init__(self, folder: Folder, segments: list[str]) -> None:
        self._folder = folder
        self._segments = segments
        self._parent = self._fd = -1
        self._waiting = ""  # the name of what isn't whole
        self._hold = Hold(self._clean)
        self.leave = self._hold.leave

    def look(self) -> os.stat_result | None:
        """What is there now, to be replaced."""
        with self._hold.at_work():
            try:
                self._parent, _ = self._folder.open(self._segments[:-1], os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                raise HttpError(409, "There is no folder to put it in.") from None
            try:
                before = os.stat(self._segments[-1], dir_fd=self._parent, follow_symlinks=False)
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(before.st_mode) and not stat.S_ISLNK(before.st_mode):
                raise HttpError(409, "There is something there that is not a file.")
            return before

    def write(self, pieces: list[bytes]) -> None:
        with self._hold.at_work():
            self._write(pieces)

    def _write(self, pieces: list[bytes]) -> None:
        if self._fd < 0:
            waiting = f".{os.urandom(8).hex()}.upload"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(waiting, flags, 0o666, dir_fd=self._parent)
            self._waiting = waiting
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(self._fd, view) :]

    def commit(self, pieces: list[bytes]) -> os.stat_result:
        """With the last of it."""
        with self._hold.at_work():
            self._write(pieces)
            after = os.fstat(self._fd)
            os.rename(self._waiting, self._segments[-1], src_dir_fd=self._parent, dst_dir_fd=self._parent)
            self._waiting = ""
            return after

    def _clean(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        if self._waiting:
            os.unlink(self._waiting, dir_fd=self._parent)
        if self._parent >= 0:
            os.close(self._parent)
        self._fd = self._parent = -1
        self._waiting = ""
