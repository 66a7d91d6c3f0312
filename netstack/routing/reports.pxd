cimport cython
cimport netstack.routing.const as rc
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.ipv4.icmp_wire as icmp_wire
from netstack.cores cimport Frame, IpCore, Out
from netstack.ipv4.mib cimport IcmpMib
from netstack.routing.mib cimport ForwardMib
from netstack.routing.ways cimport Egress, Port, Ways


cdef class Reports(Ways):
    cdef public IcmpMib icmp
    cdef public object bucket
    cdef public IpCore ip
    cdef Out quoted
    @cython.locals(n=Py_ssize_t)
    cdef void report(self, Port port, Frame f, int type, int code, unsigned int rest) except *
    @cython.locals(m=ForwardMib, p=Out)
    cdef void complain(self, Port port, bytes quote, unsigned int to, int type, int code, unsigned int rest, long long now) except *
    @cython.locals(top=int, ihl=int, e=Egress)
    cdef bint may_complain(self, bytes quote, unsigned int to) except -1
    cpdef unsigned int address_for(self, Port port, unsigned int to) except *
    @cython.locals(hop="unsigned int")
    cdef void redirect(self, Port port, Frame f, Egress e) except *
