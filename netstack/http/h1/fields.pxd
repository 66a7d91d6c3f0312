cimport cython


@cython.final
cdef class _Sink:
    cdef list pairs
