cimport cython
cimport netstack.http.h1.const as hc
from netstack.http.events cimport RequestHead


@cython.final
cdef class _Sink:
    cdef list pairs


@cython.final
cdef class Reader:
    cdef object _limits, _chunks
    cdef int _mode
    cdef bytes _buffer
    cdef Py_ssize_t _at, _seen
    cdef long long _left
    cdef bint _eof, _blank
    cdef tuple _line
    cdef dict _heads
    cpdef list feed(self, bytes data)
    cpdef list resume(self)
    cpdef bytes release(self)
    cpdef void stop(self) except *
    cdef list _read(self)
    @cython.locals(mode=int)
    cdef bint _step(self, list events) except -1
    cdef void _end_of_stream(self, list events) except *
    @cython.locals(buffer=bytes, at=Py_ssize_t, limit=Py_ssize_t, size=Py_ssize_t, end=Py_ssize_t,
                   method=bytes, target=bytes, version=bytes)
    cdef bint _request_line(self) except -1
    @cython.locals(buffer=bytes, at=Py_ssize_t, limit=Py_ssize_t, stop=Py_ssize_t, end=Py_ssize_t, head=RequestHead,
                   last=RequestHead, section=bytes, method=str, target=str, minor=int)
    cdef bint _header_section(self, list events) except -1
    @cython.locals(hosts=int, lengths=int, codings=int, minor=int, keep_alive=bint, wants_close=bint, wants_keep=bint,
                   wants_upgrade=bint, expects=bint, name=bytes, value=bytes, upgrade=bytes, method=str, target=str)
    cpdef RequestHead _head(self, object fields)
    @cython.locals(at=Py_ssize_t, piece=bytes)
    cdef bint _sized(self, list events) except -1
    cdef bint _chunked(self, list events) except -1
