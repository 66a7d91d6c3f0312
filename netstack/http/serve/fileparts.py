"""Files as bodies: some bytes of one, several parts, and how a session sends them.

Who reads a file that somebody cuts short meanwhile has announced more than there is: that is a failure, and only a cut of the
stream tells the client.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from ...errors import UsageError
from ...instant import Duration
from ...runtime.fileblocks import read_at, read_blocks
from ...signatures import Stream
from .folder import OpenFile

SHORTER = "the file became shorter while it was sent"
STRIDE = 67108864  # in one call of the stream's, so that counters move while a long one is on its way


class FileBody:
    """Some bytes of an open file, as a response body: a `FilePart` (application.py) for who can send one, blocks for all others."""

    def __init__(self, file: OpenFile, offset: int, length: int) -> None:
        self._file: OpenFile | None = file
        self.offset = offset
        self.length = length
        self.data = None if file.content is None else memoryview(file.content)[offset : offset + length]

    def fileno(self) -> int:
        assert self._file is not None, "this body was closed"
        return self._file.fd

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        async for block in whole_blocks(self.fileno(), self.offset, self.length):
            yield block

    async def aclose(self) -> None:
        self._file = self.data = None


class FileParts:
    """Several parts of a file as multipart/byteranges (RFC 9110 14.6)."""

    def __init__(self, file: OpenFile, parts: list[range], content_type: str) -> None:
        self._file: OpenFile | None = file
        boundary = os.urandom(12).hex()  # 96 bits that no file can foresee
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        start = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: "
        self._parts = [(f"{start}{content_range(part, file.size)}\r\n\r\n".encode(), part) for part in parts]
        self._end = f"\r\n--{boundary}--\r\n".encode()
        self.length = sum(len(head) + len(part) for head, part in self._parts) + len(self._end)

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        assert self._file is not None, "this body was closed"
        for head, part in self._parts:
            yield head
            async for block in whole_blocks(self._file.fd, part.start, len(part)):
                yield block
        yield self._end

    async def aclose(self) -> None:
        self._file = None


def content_range(part: range, size: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size}"


async def whole_blocks(fd: int, offset: int, length: int) -> AsyncIterator[memoryview]:
    """All of them, or a failure."""
    left = length
    async for block in read_blocks(fd, offset, offset + length):
        left -= len(block)
        yield block
    if left:
        raise UsageError(SHORTER)


async def small_file(fd: int, offset: int, length: int) -> bytes:
    """All of it at once."""
    data = bytearray(length)
    done = 0
    while done < length:  # of what is half in the page cache a read gives that half
        n = await read_at(fd, memoryview(data)[done:], offset + done)
        if not n:
            raise UsageError(SHORTER)
        done += n
    return bytes(data)


async def file_sent(stream: Stream, fd: int, offset: int, length: int, timeout: Duration) -> AsyncIterator[int]:
    """Send it, in the stream's own way where it has one; gives what has gone, piece by piece. `timeout` is for each block. Raises
    as `send_all` does, and what reading raises."""
    way = getattr(stream, "send_file", None)
    if way is None:
        async for block in whole_blocks(fd, offset, length):
            await stream.send_all(block, timeout)  # type: ignore[arg-type]  # a read-only view is as good
            yield len(block)
        return
    end = offset + length
    while offset < end:
        size = min(end - offset, STRIDE)
        sent = await way(fd, offset, size, timeout)
        yield sent
        offset += sent
        if sent < size:
            raise UsageError(SHORTER)
