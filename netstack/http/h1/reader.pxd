cimport cython
cimport netstack.http.h1.const as hc
from netstack.http.events cimport RequestHead
from netstack.http.h1.incoming cimport Incoming


@cython.final
cdef class Reader(Incoming):
    cdef object _limits
    cdef bint _blank
    cdef tuple _line
    cdef dict _heads
    cpdef list feed(self, bytes data)
    cpdef list resume(self)
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
