cimport cython
cimport netstack.http.h1.const as hc
from netstack.http.h1.incoming cimport Incoming


@cython.final
cdef class ResponseReader(Incoming):
    cdef object _limits
    cdef str _method
    cdef bint _upgrading
    cdef tuple _line
    cdef int _interims
    cdef readonly bint began
    cpdef void expect(self, str method, bint upgrading) except *
    cpdef list feed(self, bytes data)
    @cython.locals(mode=int)
    cdef bint _step(self, list events) except -1
    cdef void _end_of_stream(self, list events) except *
    @cython.locals(buffer=bytes, at=Py_ssize_t, limit=Py_ssize_t, size=Py_ssize_t, end=Py_ssize_t, beginning=bytes, minor=int)
    cdef bint _status_line(self) except -1
    @cython.locals(buffer=bytes, at=Py_ssize_t, stop=Py_ssize_t, end=Py_ssize_t, section=bytes, status=int)
    cdef bint _header_section(self, list events) except -1
    @cython.locals(minor=int, name=bytes, value=bytes)
    cpdef tuple _framing(self, object fields)
    cdef object _head(self, object fields, bytes section)
