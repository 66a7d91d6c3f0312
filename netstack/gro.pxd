cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Frame


@cython.final
cdef class Gatherer:
    cdef readonly bytearray head
    cdef readonly Frame frame
    cdef readonly Py_ssize_t hl
    cdef readonly long long joined
    cdef Py_ssize_t link, room, size
    cdef unsigned int addresses, seq
    cdef int count, flags
    @cython.locals(b=bytearray, ip=Py_ssize_t, n=Py_ssize_t, tcp=Py_ssize_t, offset_flags=int, hl=Py_ssize_t, size=Py_ssize_t,
                   addresses="unsigned int")
    cpdef bint begin(self, Frame f) except -1
    @cython.locals(n=Py_ssize_t)
    cdef bint has_room(self, Frame f) except -1
    @cython.locals(f=Frame, b=bytearray, h=bytearray, ip=Py_ssize_t, tcp=Py_ssize_t, hl=Py_ssize_t, size=Py_ssize_t,
                   offset_flags=int, s="unsigned int")
    cpdef int join(self, Py_ssize_t n) except -1
    @cython.locals(f=Frame, k=Py_ssize_t)
    cpdef void apart(self, Py_ssize_t n, Frame g) except *
    @cython.locals(f=Frame, b=bytearray, ip=Py_ssize_t, n=Py_ssize_t)
    cpdef Frame close(self)
