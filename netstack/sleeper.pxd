cimport cython


@cython.final
cdef class Sleeper:
    cdef object _loop, _callback, _context, _error, _end
    cdef public bint _asyncio_future_blocking
    cdef bint _fresh
    cpdef void wake(self) except *
    cpdef void wake_soon(self) except *
