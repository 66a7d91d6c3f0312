cimport cython


@cython.final
cdef class _Call:
    cdef object _exchange
    cdef bint _asked, _wants_trailers
    cdef list _trailers
