cimport cython
cimport netstack.raw as raw
cimport netstack.tcp.const as tc
from netstack.buffers cimport keep
from netstack.cores cimport Frame, StreamUser, Turn
from netstack.tcp.connection cimport Connection


cdef class Inbox(StreamUser):
    cdef object chunks
    cdef Turn clock
    cdef readonly Connection conn
    cdef Py_ssize_t head, read
    cdef readonly Py_ssize_t unread
    cdef public bint eof_seen, ended
    cdef public object error
    cdef public bint may_write
    cpdef void bind(self, Connection conn) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void lent(self, object data, long long now) except *
    cdef void add(self, object chunk, Py_ssize_t n) except *
    cdef void arrived(self) except *
    @cython.locals(o=Py_ssize_t, n=Py_ssize_t, parts=list)
    cpdef bytes take(self, Py_ssize_t limit)
    @cython.locals(data=bytes, parts=list, left=Py_ssize_t)
    cpdef bytes fill(self, Py_ssize_t limit)
    cpdef object take_view(self)
    @cython.locals(size=Py_ssize_t, done=Py_ssize_t, o=Py_ssize_t, n=Py_ssize_t)
    cpdef Py_ssize_t take_into(self, object buffer) except -1
    @cython.locals(o=Py_ssize_t, n=Py_ssize_t, parts=list)
    cpdef bytes peek(self, Py_ssize_t limit)
    cdef void next(self, Py_ssize_t n) except *
    cdef void advance(self, Py_ssize_t n) except *
    cdef void count(self, Py_ssize_t n) except *
    cpdef void forget(self) except *
    cpdef void shrink(self) except *
