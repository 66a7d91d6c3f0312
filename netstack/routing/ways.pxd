cimport cython
cimport netstack.routing.const as rc
from netstack.cores cimport Frame, FrameSink, NextHopCore
from netstack.routing.mib cimport ForwardMib


@cython.final
cdef class Egress:
    cdef readonly int kind, mtu
    cdef readonly Port port
    cdef readonly unsigned long long next_hop


cdef class Port(FrameSink):
    cdef Ways plane
    cdef readonly int index, mtu, offload
    cdef public int role
    cdef readonly str name
    cdef public list addresses
    cdef public FrameSink up
    cdef public NextHopCore next_hop
    cdef public unsigned long long src0
    cdef readonly long long rx_packets, rx_octets, tx_packets, tx_octets
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class Ways:
    cdef readonly ForwardMib mib
    cdef readonly list ports
    cdef public object resolve
    cdef public int reverse_path
    cdef readonly dict ways
    cdef unsigned long long dst0
    cdef Egress egress0
    cdef readonly long long epoch
    @cython.locals(port=Port)
    cpdef void forget(self) except *
    @cython.locals(e=Egress)
    cdef Egress ask(self, unsigned long long address)
    cpdef Egress way(self, unsigned long long dst)
    cdef void enter(self, Port port, Frame f) except *
    @cython.locals(m=ForwardMib, top=int, e=Egress)
    cdef bint source_good(self, Port port, unsigned int src) except -1
