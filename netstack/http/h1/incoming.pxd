cimport cython
cimport netstack.http.h1.const as hc
from netstack.http.h1.chunks cimport ChunkReader


cdef class Incoming:
    cdef ChunkReader _chunks
    cdef int _mode
    cdef bytes _buffer
    cdef Py_ssize_t _at, _seen
    cdef long long _left
    cdef bint _eof
    cpdef bytes release(self)
    cpdef void stop(self) except *
    cdef void _keep(self, bytes data) except *
    cdef void _begin_body(self, object length, object limits) except *
    @cython.locals(at=Py_ssize_t, piece=bytes)
    cdef bint _sized(self, list events) except -1
    cdef bint _chunked(self, list events) except -1
