cimport cython
cimport netstack.raw as raw
from netstack.buffers cimport keep
from netstack.cores cimport Frame, StreamUser
from netstack.runtime.base cimport Crank, Teller
from netstack.tcp.connection cimport Connection


cdef class Keeper(Teller):
    cdef readonly Crank crank
    cdef readonly object loop, on_empty
    cdef readonly set alive
    cdef list _lost
    cpdef TcpTransport take(self, object protocol)
    cdef void lose(self, TcpTransport transport) except *
    cpdef void tell_soon(self) except *
    @cython.locals(transport=TcpTransport, lost=list)
    cpdef void tell(self) except *
    cdef void forget(self, TcpTransport transport) except *


cdef class TcpTransport(StreamUser):
    # first what text asks for: of 100,000 transports none is in the cache
    cdef bint _closing, _keeps
    cdef object _get_buffer, _received, _protocol, _buffer_updated
    cdef Connection _conn
    cdef Crank _crank
    cdef Keeper _keeper
    cdef dict __dict__
    cdef object __weakref__
    cdef object _connected, _view, _error, _early
    cdef bint _early_eof, _lost, _eof_sent, _paused_reading, _paused_writing, _made
    cdef int _lost_writes
    cdef Py_ssize_t _taken
    cdef void connected(self, long long now) except *
    @cython.locals(o=Py_ssize_t, k=Py_ssize_t)
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void lent(self, object data, long long now) except *
    cdef void _take(self, object data) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *
    cdef void _lose(self, object error) except *
    cdef void _meet(self) except *
    @cython.locals(more=bint)
    @cython.locals(crank=Crank)
    cpdef write(self, object data)
