"""The machine's memory: one file without a name. A page of it, a *frame*, can stand in several places of this process at once.

A mapping is a `mmap` of anonymous memory on which frames are laid one by one, since Python's own can't put pages of a file in any
order, and holds a descriptor for each. It's a buffer like any other, which can't be closed while somebody looks at it. Behind each
stands a page that nobody may touch, so that compiled code that runs over the end is stopped there.
"""

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence

from ..hypervisor import PAGE

MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 0x01, 0x02, 0x10, 0x20  # <sys/mman.h>: of Linux on all that Xen runs on
PROT_NONE = 0
KEEP_SIZE, PUNCH_HOLE = 1, 2  # <linux/falloc.h>
GROWTH = 1024  # pages that the file gets longer at a time: those that nobody touched cost nothing

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
_FAILED = ctypes.c_void_p(-1).value


def _lay(address: int, length: int, protection: int, flags: int, fd: int, offset: int) -> None:
    if _libc.mmap(address, length, protection, flags | MAP_FIXED, fd, offset) == _FAILED:
        raise OSError(ctypes.get_errno(), "mmap")


def _address(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


class Memory:
    def __init__(self) -> None:
        self._fd = os.memfd_create("xen")
        self._end = self._size = 0
        self._whole = memoryview(b"")
        self.close = weakref.finalize(self, os.close, self._fd)

    def take(self, count: int) -> range:
        """Zeroed frames that nobody had before: a number is never used again, so that a stale one is known as such."""
        first = self._end
        self._end += count
        if self._end > self._size:
            self._size = self._end + GROWTH
            os.ftruncate(self._fd, self._size * PAGE)
        return range(first, self._end)

    def give(self, frame: int) -> None:
        """Back to the system. Whoever has it mapped all the same sees zeroes."""
        if _libc.fallocate(self._fd, KEEP_SIZE | PUNCH_HOLE, frame * PAGE, PAGE):
            raise OSError(ctypes.get_errno(), "fallocate")

    def whole(self) -> memoryview:
        """All of it, frame by frame, until more is taken."""
        if self._whole.nbytes < self._size * PAGE:
            self._whole = memoryview(mmap.mmap(self._fd, self._size * PAGE))
        return self._whole

    def map(self, frames: Sequence[int], *, writable: bool = True) -> mmap.mmap:
        """The frames in this order, and a page behind them that is no memory."""
        mapping = mmap.mmap(-1, (len(frames) + 1) * PAGE)
        address = _address(mapping)
        _lay(address + len(frames) * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        start = 0
        for n in range(1, len(frames) + 1):
            if n < len(frames) and frames[n] == frames[n - 1] + 1:
                continue
            _lay(address + start * PAGE, (n - start) * PAGE, protection, MAP_SHARED, self._fd, frames[start] * PAGE)
            start = n
        return mapping

    @staticmethod
    def detach(mapping: mmap.mmap) -> None:
        """For a program that was killed: what it still does, here where it can't really be killed, it does to memory of its own."""
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        _lay(_address(mapping), len(mapping) - PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)

    def write(self, frame: int, offset: int, data: "bytes | memoryview") -> None:
        os.pwrite(self._fd, data, frame * PAGE + offset)
