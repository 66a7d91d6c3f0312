cimport cython
cimport netstack.raw as raw
from netstack.cores cimport Frame


cpdef object keep(Frame f, Py_ssize_t n)


@cython.final
cdef class Pool:
    cdef readonly Py_ssize_t size
    cdef readonly list free, lent
    cdef readonly long made
    @cython.locals(f=Frame)
    cpdef Frame get(self)
    cpdef int put(self, Frame f) except -1
    cpdef bint can_lend(self) except -1
    @cython.locals(lent=list, f=Frame)
    cpdef void reclaim(self) except *
