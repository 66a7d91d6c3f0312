from netstack.cores cimport Frame
from netstack.ipv4.reassembly cimport Partial


cdef class Reporter:
    cdef void report(self, Frame f, int type, int code, unsigned int rest) except *
    cdef void timed_out(self, Partial t, long long now) except *
    cdef void send(self, bytes quote, unsigned long long src, unsigned long long dst, int type, int code, unsigned int rest,
                   long long now) except *
