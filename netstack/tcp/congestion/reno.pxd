cimport cython
from netstack.tcp.congestion.base cimport Congestion


cdef class Reno(Congestion):
    cdef long long acked
    @cython.locals(whole="long long")
    cdef void on_ack(self, long long acked, long long flight, long long srtt, long long now) except *
    cdef void on_loss(self, long long flight, long long now) except *
    cdef void on_timeout(self, long long flight, long long now) except *
