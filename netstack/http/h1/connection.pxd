cimport cython
cimport netstack.http.h1.const as hc
from netstack.http.events cimport RequestHead
from netstack.http.h1.reader cimport Reader
from netstack.http.h1.writer cimport Writer

cdef bytes REQUESTS
cdef bytes RESPONSES


@cython.final
cdef class ServerConnection:
    cdef readonly object config
    cdef readonly int client, server
    cdef readonly Py_ssize_t requests
    cdef Reader _reader
    cdef Writer _writer
    cdef readonly str _method
    cdef int _minor
    cdef bint _keep_alive, _last, _owes_continue
    cdef object _deadline, _wait_from, _allowance, _unread
    cdef Py_ssize_t _progress, _drained
    cpdef list receive_data(self, bytes data, object now)
    cpdef list next_request(self, object now)
    @cython.locals(size=Py_ssize_t, head=RequestHead)
    cdef list _follow(self, list events)
    @cython.locals(keep_alive=bint, data=bytes)
    cpdef bytes start(self, int status, object fields, object length, bytes date)
    cpdef object body(self, object data)
    @cython.locals(data=bytes)
    cpdef tuple span(self, object count)
    cpdef bytes finish(self, object trailers=*)
    cpdef void close(self) except *
    cdef void _check(self, int step) except *
    @cython.locals(request=int, response=int)
    cdef void _step(self, int step) except *
