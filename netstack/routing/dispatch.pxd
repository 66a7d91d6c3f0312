cimport cython
cimport netstack.routing.const as rc
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack.ipv4.wire as wire
from netstack.cores cimport Frame, Out
from netstack.gso cimport Cutter
from netstack.routing.mib cimport ForwardMib
from netstack.routing.reports cimport Reports
from netstack.routing.sums cimport patch
from netstack.routing.ways cimport Egress, Port


cdef class Dispatch(Reports):
    cdef public bint clamp
    cdef Out out, small
    cdef Cutter cutter
    @cython.locals(n=Py_ssize_t, hl=int)
    cdef int header(self, Frame f, int ihl) except -1
    @cython.locals(m=ForwardMib, fault=int, n=Py_ssize_t)
    cdef bint passes(self, Port port, Frame f, int ihl, int frag, Egress e) except -1
    @cython.locals(b=bytearray, at=Py_ssize_t, most=int, i=Py_ssize_t, end=Py_ssize_t, kind=int, length=int, mss=int,
                   change="unsigned int")
    cdef void clamp_mss(self, Port port, Frame f, int ihl, int hl, Egress e) except *
    cdef void age(self, Frame f) except *
    @cython.locals(m=ForwardMib, b=bytearray, o=Py_ssize_t, n=Py_ssize_t, k=Py_ssize_t, to=Port, p=Out, hop="unsigned long long",
                   need=int)
    cdef void emit(self, Frame f, int ihl, int hl, int frag, Egress e) except *
    @cython.locals(cutter=Cutter, to=Port, off=Py_ssize_t)
    cdef void cut_super(self, Out p, unsigned long long hop, long long now, Egress e) except *
    @cython.locals(m=ForwardMib, q=Out, piece=bytes, to=Port)
    cdef void fragment(self, Out p, unsigned long long hop, long long now, Egress e) except *
