"""Files as blocks to send: what the page cache has is read at once, what it lacks in a thread.

`preadv2` with RWF_NOWAIT says which it is, so a loop never waits for a disk and doesn't pay for a thread (50 us and more) when
there is nothing to wait for. Blocks lie in buffers that are used again as soon as nobody holds a view of them, that is, for a
stream of ours, when the peer has acknowledged them: no block is copied in user space, and none comes fresh from malloc.

Not by mmap, though that saves a copy and a fifth of the time: where somebody cuts a mapped file short, the next access is a SIGBUS,
which ends the process.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from typing import Protocol

from ..buffers import Pool
from ..errors import UsageError
from .current import in_thread

BLOCK = 262144
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)  # Linux 4.14


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int: ...


def span(file: int | HasFileno, offset: int, count: int | None) -> tuple[int, int, int]:
    """Descriptor, and first and last offset, of what `send_file(file, offset, count)` sends. Raises UsageError, OSError."""
    fd = file if isinstance(file, int) else file.fileno()
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise UsageError("send_file() sends regular files: read anything else yourself, and send_all() it")
    if offset < 0 or (count is not None and count < 0):
        raise UsageError(f"offset={offset} and count={count} must not be negative")
    return fd, offset, status.st_size if count is None else offset + count


async def read_blocks(fd: int, offset: int, end: int) -> AsyncIterator[memoryview]:
    """The bytes of `fd` from `offset` to `end`, or to the end of the file if that comes first, as read-only views of at most BLOCK.

    Each view stays as it is for as long as somebody holds it. Raises OSError.
    """
    pool = Pool(min(BLOCK, max(end - offset, 1)))
    while offset < end:
        pool.reclaim()
        frame = pool.get()
        block = memoryview(frame.buf)[: end - offset]
        n = await read_at(fd, block, offset)
        if not n:
            return
        offset += n
        view = block[:n].toreadonly()
        del block
        yield view
        del view
        pool.put(frame)


async def read_at(fd: int, room: memoryview, offset: int) -> int:
    """Fill `room`, or some of it, from `offset` on. How many bytes; 0 at the end of the file. Never blocks the loop."""
    if _NOWAIT:
        try:
            n = os.preadv(fd, [room], offset, _NOWAIT)  # a part, where the page cache has a part
            if n or offset >= os.fstat(fd).st_size:  # Linux 5.9 and 5.10 say 0 of what has to be fetched, too (preadv2(2), BUGS)
                return n
        except OSError:  # EAGAIN: it has to be fetched. EOPNOTSUPP: this file system can't say. The rest the thread will say
            pass
    return await in_thread(os.preadv, fd, [room], offset)
