cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Frame


cpdef object keep(Frame f, Py_ssize_t n)


@cython.final
cdef class Pool:
    cdef readonly Py_ssize_t size
    cdef readonly list lent
    cdef readonly long made
    cdef Py_ssize_t turn
    cdef Frame top
    cdef list under
    @cython.locals(f=Frame)
    cpdef Frame get(self)
    cpdef int put(self, Frame f) except -1
    cpdef bint can_lend(self) except -1
    @cython.locals(lent=list, f=Frame, last=Frame, patience=Py_ssize_t, i=Py_ssize_t)
    cpdef void reclaim(self) except *
