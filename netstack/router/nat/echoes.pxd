cimport netstack.router.nat.const as nc
from netstack.router.nat.datagrams cimport how_of
from netstack.router.nat.poller cimport Poller, Watched


cdef class Pings(Watched):
    cdef readonly object nat, owner, sock
    cdef readonly unsigned long long src, dst, to
    cdef readonly int ident, verdict, code
    cdef int how
    cdef public long long last
    cdef public object flow
    cdef readonly long long sent, received
    cdef list early
    cpdef settle(self, unsigned long long to, long long now)
    cpdef deny(self, int code, long long now)
    cpdef request(self, unsigned int seq, bytes payload, int how, long long now)
    cdef void ready(self, int events, long long now) except *
    cdef void resume(self, long long now) except *
    cpdef close(self)
