cimport cython
from netstack.tcp.congestion.base cimport Congestion


cdef class Driver:
    cdef readonly Congestion cc
    cpdef start(self, int mss, bint syn_was_lost)
    cpdef adopt(self, long long cwnd, long long ssthresh)
    cpdef new_mss(self, int mss)
    cpdef ack(self, long long acked, long long flight, long long srtt, long long now)
    cpdef loss(self, long long flight, long long now)
    cpdef recovered(self, long long flight, long long now)
    cpdef timeout(self, long long flight, long long now)
    cpdef restart(self, long long idle, long long rto, long long now)
    @cython.locals(n="long long", cc=Congestion)
    cpdef long long clock(self, long long length, long long each, long long rtt, long long now) except *
