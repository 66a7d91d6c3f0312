cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.routing.const as rc
from netstack.routing.mib cimport ConntrackMib
from netstack.routing.sums cimport difference
from netstack.timers cimport Timer, Timers


cdef class Host:
    cdef readonly unsigned int address
    cdef readonly Py_ssize_t count
    cdef readonly Flow loose, assured


cdef class Mapping:
    cdef readonly int proto, inside_port, outside_port
    cdef readonly unsigned int inside, outside
    cdef readonly bint fixed
    cdef public Py_ssize_t count
    cdef readonly dict peers


cdef class Way:
    cdef readonly int proto, scale
    cdef readonly unsigned int src, dst, ports, to_src, to_dst, to_ports
    cdef readonly unsigned int ip_sum, l4_sum
    cdef public long long packets, octets
    cdef readonly unsigned int nxt, acked, edge
    cdef readonly bint spoke, first
    cdef public long long epoch
    cdef public object port, egress
    cdef Way chain
    cdef readonly Way reply
    cdef readonly Flow flow


cdef class Flow(Timer):
    cdef Table table
    cdef Flow older, newer
    cdef readonly int ring, proto
    cdef public int state
    cdef readonly Way there
    cdef readonly Host host
    cdef public Mapping mapping, inner
    cdef public bint inbound
    cdef readonly bint seen
    cdef readonly long long began, last, stamp, timeout
    cdef void expire(self, long long now) except *


cdef class Table:
    cdef readonly Timers timers
    cdef readonly Py_ssize_t limit, per_host, count
    cdef unsigned long long mask, key0, key1, key2, key3, key4
    cdef readonly list buckets
    cdef readonly ConntrackMib mib
    cdef readonly dict hosts
    cdef Host heaviest
    cdef Way hot
    cdef readonly long long config_established, config_transitory, config_udp, config_udp_known, config_icmp, config_other
    @cython.locals(h="unsigned long long")
    cdef Py_ssize_t slot(self, int proto, unsigned int src, unsigned int dst, unsigned int ports) except -1
    @cython.locals(w=Way)
    cpdef Way find(self, int proto, unsigned int src, unsigned int dst, unsigned int ports)
    @cython.locals(i=Py_ssize_t)
    cdef void link(self, Way w) except *
    @cython.locals(i=Py_ssize_t, at=Way)
    cdef void unlink(self, Way w) except *
    @cython.locals(f=Flow)
    cpdef Flow oldest(self, Host host, bint any)
    @cython.locals(mib=ConntrackMib, victim=Flow, share=Py_ssize_t, payer=Host)
    cpdef bint admit(self, Host host) except -1
    @cython.locals(last=Flow)
    cdef void append(self, Flow f, Flow head) except *
    cdef void take_out(self, Flow f) except *
    cdef void place(self, Flow f, bint assured) except *
    cpdef bint insert(self, Flow f, Way there, Way back, Host host, long long now) except -1
    @cython.locals(w=Way, back=Way, host=Host)
    cpdef void remove(self, Flow f) except *
    cdef void released(self, Flow f, Way there) except *
    @cython.locals(due="long long")
    cdef void lapse(self, Flow f, long long now) except *
    @cython.locals(f=Flow)
    cdef void touch(self, Way w, Py_ssize_t n, long long now) except *
    cdef void settle(self, Flow f, long long now, bint assured) except *
    cdef long long patience(self, Flow f) except *
    @cython.locals(seq="unsigned int", ack="unsigned int", offset_flags=int, window=int, hl=Py_ssize_t, flags=int, f=Flow,
                   size=Py_ssize_t, end="unsigned int", scale=int)
    cdef void tcp(self, Way w, bytearray b, Py_ssize_t o, Py_ssize_t n, long long now) except *
    @cython.locals(f=Flow, what=int, state=int, hl=Py_ssize_t)
    cdef bint turn(self, Way w, bytearray b, Py_ssize_t o, Py_ssize_t n, int flags, unsigned int seq, unsigned int ack,
                   long long now) except -1
    @cython.locals(r=Way)
    cdef bint plausible(self, Way w, int flags, unsigned int seq, unsigned int ack) except -1
