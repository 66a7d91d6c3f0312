"""Memory that another domain reads and writes at the same time as we do. A twin, never compiled: shm.pxd holds the same as inline
C.

`m` is a memoryview of bytes, such as `Pages.memory` or a slice of it. Whoever keeps one holds the pages; the view itself is the
buffer that is held, so that no access has to ask for it again (20 ns each, measured). A view that was let go refuses: ValueError,
never a look at memory that is no longer ours. Every function checks its bounds and raises IndexError, in both builds.

Numbers are in the byte order of the machine, as Xen has them. What the other end may change while we look is read **once**: each
`load` is one access that the compiler can't repeat. What was read is a copy; decide on the copy.

    load    store       may move past each other and past anything else
    acquire release     nothing that stands behind an acquire happens before it, nothing that stands before a release after it
    barrier             a store before it is seen by others before a load behind it is done: needed wherever two sides each write
                        one word and then look at the other's
"""

import _thread
import struct

_16 = struct.Struct("=H")
_32 = struct.Struct("=I")
_LOCK = _thread.allocate_lock()


def _check(m: memoryview, o: int, n: int) -> None:
    if o < 0 or n < 0 or n > m.nbytes - o:
        raise IndexError("past the end")


def load8(m: memoryview, o: int) -> int:
    _check(m, o, 1)
    return m[o]


def store8(m: memoryview, o: int, v: int) -> None:
    _check(m, o, 1)
    m[o] = v & 0xFF


def load16(m: memoryview, o: int) -> int:
    _check(m, o, 2)
    v: int = _16.unpack_from(m, o)[0]
    return v


def store16(m: memoryview, o: int, v: int) -> None:
    _check(m, o, 2)
    _16.pack_into(m, o, v & 0xFFFF)


def load32(m: memoryview, o: int) -> int:
    _check(m, o, 4)
    v: int = _32.unpack_from(m, o)[0]
    return v


def store32(m: memoryview, o: int, v: int) -> None:
    _check(m, o, 4)
    _32.pack_into(m, o, v & 0xFFFFFFFF)


def acquire32(m: memoryview, o: int) -> int:
    return load32(m, o)


def release32(m: memoryview, o: int, v: int) -> None:
    store32(m, o, v)


def barrier() -> None:
    # an interpreter reorders nothing, the processor below it does; taking a lock is an instruction past which nothing moves
    _LOCK.acquire()
    _LOCK.release()


def or8(m: memoryview, o: int, v: int) -> int:
    """Set bits, with both ends at it; what stood there before. A full barrier as well."""
    _check(m, o, 1)
    barrier()
    old = m[o]
    m[o] = old | v & 0xFF
    barrier()
    return old


def and8(m: memoryview, o: int, v: int) -> int:
    """Keep only the bits in `v`, with both ends at it; what stood there before. A full barrier as well."""
    _check(m, o, 1)
    barrier()
    old = m[o]
    m[o] = old & v
    barrier()
    return old


def fill(m: memoryview, o: int, data: "bytes | bytearray | memoryview", at: int, n: int) -> None:
    """Copy `n` bytes of `data` (any buffer of bytes), from `at`, into `m` at `o`."""
    _check(m, o, n)
    view = memoryview(data)
    if at < 0 or n > view.nbytes - at:
        raise IndexError("past the end")
    m[o : o + n] = view[at : at + n]


def copy(m: memoryview, o: int, b: bytearray, at: int, n: int) -> None:
    """Copy `n` bytes of `m`, from `o`, into `b` at `at`."""
    _check(m, o, n)
    if at < 0 or n > len(b) - at:
        raise IndexError("past the end")
    b[at : at + n] = m[o : o + n]


def take(m: memoryview, o: int, n: int) -> bytes:
    _check(m, o, n)
    return bytes(m[o : o + n])


def clear(m: memoryview, o: int, n: int) -> None:
    """`n` zeros at `o`."""
    _check(m, o, n)
    m[o : o + n] = bytes(n)
