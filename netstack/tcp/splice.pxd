cimport cython
from netstack.buffers cimport keep
from netstack.cores cimport Frame, StreamUser
from netstack.tcp.connection cimport Connection


cdef class Half(StreamUser):
    cdef Joint joint
    cdef Connection source, sink
    cdef readonly long long count
    cdef readonly bint over
    cdef void connected(self, long long now) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void lent(self, object data, long long now) except *
    @cython.locals(sink=Connection)
    cdef void forward(self, object data, Py_ssize_t n, long long now) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *


@cython.final
cdef class Joint:
    cdef readonly Half a, b
    cdef object on_end, nudge
    cdef readonly object error
    cdef readonly bint live
    cdef bint done
    cdef public bint stirred
    @cython.locals(half=Half)
    cpdef void start(self, long long now) except *
    cdef void stir(self) except *
    @cython.locals(other=Half)
    cdef void ended(self, Half half, object error, long long now) except *
    @cython.locals(half=Half)
    cpdef void abort(self, long long now) except *
