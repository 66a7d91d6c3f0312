cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
from netstack.cores cimport Frame, FrameSink, NetifCore, Out
from netstack.gso cimport Cutter
from netstack.router.guests.mib cimport PortMib

cdef long long FLOOD_CREDIT, FLOOD_COST
cdef int DHCP_SERVER


cdef class Port(FrameSink):
    cdef readonly SwitchCore switch
    cdef readonly int number
    cdef readonly str name
    cdef readonly object netif
    cdef NetifCore core
    cdef public Py_ssize_t mtu
    cdef public int offload
    cdef readonly PortMib mib
    cdef readonly dict macs, ips
    cdef public long long mac0, ip0
    cdef readonly long long credit, seen
    @cython.locals(switch=SwitchCore, mib=PortMib, n=Py_ssize_t, dst="long long", src="long long", ethertype=int,
                   ip="long long")
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *
    @cython.locals(switch=SwitchCore)
    cdef bint claim_mac(self, long long mac) except -1
    @cython.locals(oldest="long long", each="long long", said=bint)
    cdef bint take_mac(self, long long mac, bint sure) except -1
    @cython.locals(switch=SwitchCore)
    cdef bint claim_ip(self, long long ip) except -1
    @cython.locals(oldest="long long", each="long long", said=bint)
    cdef bint take_ip(self, long long ip, bint sure) except -1
    @cython.locals(at=Py_ssize_t, mac="long long", ip="long long")
    cdef bint honest_arp(self, Frame f, Py_ssize_t n) except -1
    @cython.locals(b=bytearray, ip=Py_ssize_t, l4=Py_ssize_t)
    cdef int is_dhcp(self, Frame f, Py_ssize_t n) except -1
    @cython.locals(kind=int)
    cdef bint may_flood(self, Frame f, Py_ssize_t n) except -1
    @cython.locals(switch=SwitchCore, port=Port)
    cdef void flood(self, Frame f) except *
    @cython.locals(port=Port)
    cdef void forward(self, Frame f, long long dst, int ethertype, Py_ssize_t n) except *
    @cython.locals(p=Out)
    cdef void carry(self, Frame f) except *
    @cython.locals(b=bytearray, ip=Py_ssize_t, ihl=Py_ssize_t, total=Py_ssize_t, proto=int, l4=Py_ssize_t, hl=Py_ssize_t, csum_off=int,
                   length=Py_ssize_t, head=Py_ssize_t)
    cdef bint lay_out(self, Out p, Frame f) except -1
    @cython.locals(mib=PortMib, size=Py_ssize_t)
    cdef void deliver(self, Out p, long long now) except *
    @cython.locals(cutter=Cutter)
    cdef void cut(self, Out p, long long now) except *


cdef class SwitchCore(NetifCore):
    cdef readonly long long own
    cdef public long long network, mask
    cdef public bint isolate, strict
    cdef public FrameSink sink
    cdef readonly list ports
    cdef readonly dict macs, ips
    cdef readonly set reserved
    cdef Out out
    cdef Cutter cutter
    @cython.locals(dst="long long", port=Port)
    cdef void send(self, Out p, long long now) except *
    cdef void lift(self, Out p) except *
    @cython.locals(q=Out, port=Port, payload=bytes)
    cdef void spread(self, Out p, long long now) except *
    cpdef Port port(self, str name)
    @cython.locals(owner=Port)
    cpdef void reserve(self, long long ip) except *
    @cython.locals(owner=Port, port=Port)
    cpdef void bind_ip(self, str name, long long ip) except *
    @cython.locals(owner=Port)
    cpdef void release_ip(self, long long ip) except *
    @cython.locals(owner=Port, port=Port)
    cpdef void bind_mac(self, str name, long long mac) except *
    cpdef void leave(self, Port port) except *
