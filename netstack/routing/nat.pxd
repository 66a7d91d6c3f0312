cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.ipv4.icmp_wire as icmp_wire
cimport netstack.routing.const as rc
from netstack.routing.sums cimport difference, patch
from netstack.routing.track cimport Flow, Host, Mapping, Table, Way


cpdef unsigned int swapped(unsigned int ports) noexcept


cdef class Nat(Table):
    cdef object rng
    cdef readonly dict by_inside, by_outside, maps_in, maps_out, outsides
    cdef public list forwards
    cdef public object occupied, owned
    cdef int filter_tcp, filter_udp
    cdef readonly int verdict
    @cython.locals(pick=int, low=int, span=int, i=int)
    cpdef int choose(self, int proto, unsigned int outside, int port) except? -1
    @cython.locals(m=Mapping)
    cpdef Mapping mapping(self, int proto, unsigned int inside, int port, unsigned int outside)
    cpdef void hold(self, Mapping m, unsigned int peer) except *
    cpdef void let_go(self, Mapping m, unsigned int peer) except *
    cpdef void forget(self, Mapping m) except *
    cdef void released(self, Flow f, Way there) except *
    @cython.locals(f=Flow, w=Way)
    cpdef void drop_outside(self, unsigned int address) except *
    @cython.locals(w=Way)
    cpdef list flows(self)
    cpdef Host host(self, unsigned int address)
    @cython.locals(m=Mapping, f=Flow, there=Way, back=Way, host=Host, to_ports="unsigned int")
    cpdef Way begin_outbound(self, int proto, unsigned int src, unsigned int dst, unsigned int ports, int flags,
                             unsigned int outside, long long now)
    cpdef Way enter(self, Flow f, Way there, Way back, Host host, unsigned int peer, unsigned int inner_peer, int flags,
                    long long now)
    cpdef object target(self, int proto, unsigned int src, unsigned int dst, unsigned int ports)
    @cython.locals(m=Mapping, f=Flow, there=Way, back=Way, host=Host, to_ports="unsigned int", inside="unsigned int", port="unsigned int")
    cpdef Way begin_inbound(self, int proto, unsigned int src, unsigned int dst, unsigned int ports, int flags, long long now)
    @cython.locals(m=Mapping, mine=Mapping, f=Flow, there=Way, back=Way, host=Host, to_ports="unsigned int", inside="unsigned int",
                   port="unsigned int", sport="unsigned int", asks="unsigned int")
    cpdef Way begin_hairpin(self, int proto, unsigned int src, unsigned int dst, unsigned int ports, int flags,
                            unsigned int outside, long long now)
    @cython.locals(src="unsigned int", dst="unsigned int", proto=int, ihl=int, ports="unsigned int", at=Py_ssize_t, kind=int, w=Way)
    cpdef Way quoted_way(self, bytearray b, Py_ssize_t o, Py_ssize_t n)
    @cython.locals(ihl=Py_ssize_t, at=Py_ssize_t, left=Py_ssize_t, ip_sum="unsigned int", l4_sum="unsigned int")
    cpdef void restore_quote(self, bytearray b, Py_ssize_t o, Py_ssize_t n, Way r) except *
    @cython.locals(l4=Py_ssize_t, r=Way, w=Way, src="unsigned int", dst="unsigned int", to_src="unsigned int")
    cpdef Way translate_error(self, bytearray b, Py_ssize_t o, Py_ssize_t ihl, Py_ssize_t n)
