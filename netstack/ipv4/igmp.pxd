cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.ipv4.wire as wire
from netstack.cores cimport Frame, IpError, Out, PacketSink
from netstack.ipv4.core cimport Ipv4Core
from netstack.ipv4.mib cimport IgmpMib
from netstack.ipv4.route cimport Interface
from netstack.timers cimport Timer


cdef class Membership(Timer):
    cdef Igmp igmp
    cdef readonly unsigned long long group
    cdef readonly int left
    cdef readonly bint ours
    cdef void expire(self, long long now) except *


cdef class Igmp(PacketSink):
    cdef Ipv4Core core
    cdef readonly IgmpMib mib
    cdef Out out
    cdef readonly dict members
    cdef readonly long long v1_until
    @cython.locals(t=Membership)
    cpdef join(self, unsigned long long group)
    @cython.locals(t=Membership)
    cpdef leave(self, unsigned long long group)
    @cython.locals(v1=bint)
    cdef void due(self, Membership t, long long now) except *
    cdef long long random(self, long long most) except *
    @cython.locals(interface=Interface, src="unsigned long long", p=Out, b=bytearray, o=Py_ssize_t)
    cdef void tell(self, unsigned int type, unsigned long long group, unsigned long long dst, long long now) except *
    @cython.locals(m=IgmpMib, b=bytearray, o=Py_ssize_t, n=Py_ssize_t, kind=int, group="unsigned long long", t=Membership)
    cdef void input(self, Frame f) except *
    @cython.locals(span="long long", when="long long", t=Membership)
    cdef void query(self, int most, unsigned long long group, Py_ssize_t n, long long now) except *
    cdef void flush(self, long long now) except *
    cdef void error(self, IpError e, long long now) except *
