cimport cython
cimport netstack.tcp.const as tc
from netstack.tcp.congestion.base cimport Congestion


cdef class Reno(Congestion):
    cdef long long acked
    cdef bint careful
    @cython.locals(room="long long", grow="long long")
    cdef void on_ack(self, long long acked, long long flight, long long now) except *
    @cython.locals(half="long long")
    cdef void halve(self, long long flight) except *
    cdef void on_loss(self, long long flight, long long now) except *
    @cython.locals(cwnd="long long")
    cdef void on_recovered(self, long long flight, long long now) except *
    cdef void on_timeout(self, long long flight, long long now) except *
