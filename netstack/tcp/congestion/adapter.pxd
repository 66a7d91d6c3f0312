cimport cython
cimport netstack.tcp.const as tc
from netstack.tcp.congestion.base cimport Congestion


cdef class PyCongestion(Congestion):
    cdef readonly object strategy
    @cython.locals(cwnd=object, ssthresh=object)
    cdef void read(self) except *
    cdef void adopt(self, long long cwnd, long long ssthresh) except *
    cdef void on_start(self, int mss, bint syn_was_lost) except *
    cdef void on_mss(self, int mss) except *
    cdef void on_ack(self, long long acked, long long flight, long long srtt, long long now) except *
    cdef void on_loss(self, long long flight, long long now) except *
    cdef void on_recovered(self, long long flight, long long now) except *
    cdef void on_timeout(self, long long flight, long long now) except *
    cdef void on_restart(self, long long idle, long long rto, long long now) except *
    cdef void on_spurious(self, long long cwnd, long long ssthresh, long long now) except *
