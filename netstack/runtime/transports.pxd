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
    cdef dict __dict__
    cdef object __weakref__
    cdef Keeper _keeper
    cdef Crank _crank
    cdef Connection _conn
    cdef object _connected, _view, _error, _protocol, _get_buffer, _buffer_updated, _data_received
    cdef object _early
    cdef bint _closing, _early_eof, _keeps, _lost, _eof_sent, _paused_reading, _paused_writing, _made
    cdef int _lost_writes
    cdef Py_ssize_t _taken
    cdef void connected(self, long long now) except *
    @cython.locals(o=Py_ssize_t, k=Py_ssize_t)
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void lent(self, object data, long long now) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *
    cdef void _lose(self, object error) except *
    cdef void _meet(self) except *
    @cython.locals(more=bint)
    @cython.locals(crank=Crank)
    cpdef write(self, object data)
