cimport cython
from netstack.http.events cimport RequestHead
from netstack.http.h1.connection cimport ServerConnection


@cython.final
cdef class Session:
    cdef readonly object stream, since, env, refusal
    cdef public object lost, upgraded
    cdef readonly ServerConnection conn
    cdef readonly str scheme, serving
    cdef readonly bytes preface
    cdef list _events
    cdef object _arrived
    cdef object _local_address, _remote_address
    cdef readonly bint resting
    cdef bint _receiving, _rests
    cdef list _watchers
    cdef void _take(self, object data) except *
    cdef void _wake(self) except *


@cython.final
cdef class Exchange1:
    cdef readonly RequestHead head
    cdef readonly object trailers
    cdef public int status
    cdef readonly long long sent
    cdef public bint over
    cdef readonly bint finished, aborted, upgraded
    cdef public object ending
    cdef Session _session
    cdef object _fields, _length
    cdef bint _held, _started, _ended
    cdef bytes _head(self)
    cdef void _check(self, bint started) except *
