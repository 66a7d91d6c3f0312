cimport cython


@cython.final
cdef class Listener:
    cdef object _demux
    cdef readonly unsigned long long address
    cdef readonly int port
    cdef public object accept, catcher
    cdef public Py_ssize_t backlog, waiting, half
    cdef public long long cookie_at
    cpdef bint full(self) noexcept
