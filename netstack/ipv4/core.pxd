cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack.ipv4.icmp_wire as icmp_wire
cimport netstack.ipv4.wire as wire
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, IpCore, IpError, Out, PacketSink
from netstack.ipv4.mib cimport IpMib
from netstack.ipv4.reassembly cimport Partial, Reassembly, write
from netstack.ipv4.reporter cimport Reporter
from netstack.ipv4.route cimport Interface, Path, PathMtus, Routes
from netstack.timers cimport CallTimer, Timer, Timers


cdef class Ipv4Core(IpCore):
    cdef readonly Timers timers
    cdef readonly object rng
    cdef readonly int ttl
    cdef readonly bint any_ip
    cdef readonly IpMib mib
    cdef readonly Routes routes
    cdef readonly PathMtus path_mtus
    cdef readonly Pool pool
    cdef readonly Reassembly reassembly
    cdef readonly dict paths, sinks
    cdef readonly list attached, rxs
    cdef public Reporter reporter
    cdef unsigned long long dst0
    cdef Path path0
    cdef Out fragment
    cdef readonly object loop, failed
    cdef bint owing
    cdef readonly Py_ssize_t loop_bytes
    cdef Ipv4Rx loop_rx
    cdef LoopTimer loop_timer
    cdef CallTimer reassembly_timer
    @cython.locals(rx=Ipv4Rx)
    cpdef receiver(self, bint loop)
    @cython.locals(rx=Ipv4Rx)
    cpdef void forget(self) except *
    @cython.locals(path=Path)
    cdef Path find(self, unsigned long long dst)
    @cython.locals(path=Path)
    cpdef Path way(self, unsigned long long dst)
    cpdef bint is_local(self, unsigned long long address) except -1
    @cython.locals(path=Path)
    cpdef int mtu_for(self, unsigned long long dst, long long now) except *
    @cython.locals(path=Path, total=Py_ssize_t)
    cdef void send(self, Out p, long long now) except *
    @cython.locals(ttl=int)
    cdef int put(self, Out p, Path path, Py_ssize_t total, int ident, int frag) except -1
    cdef void send_special(self, Out p, Path path, long long now) except *
    @cython.locals(m=IpMib, q=Out, ident=int, size=Py_ssize_t, at=Py_ssize_t, n=Py_ssize_t, frag=int)
    cdef void send_long(self, Out p, Path path, Py_ssize_t total, long long now) except *
    cdef unsigned int pseudo_in(self, Frame f) except? 0xFFFFFFFF
    @cython.locals(path=Path)
    cdef unsigned int pseudo_out(self, Out p, Py_ssize_t length) except? 0xFFFFFFFF
    cdef void unreachable(self, Frame f, int code) except *
    @cython.locals(path=Path)
    cdef void progress(self, unsigned long long dst, long long now) except *
    @cython.locals(sink=PacketSink)
    cdef void deliver_error(self, int proto, IpError e, long long now) except *
    cpdef neighbour_failed(self, unsigned long long next_hop, bytes packet, long long now)
    @cython.locals(n=Py_ssize_t, room=int)
    cdef void loop_back(self, Out p, long long now) except *
    @cython.locals(_=Py_ssize_t, n=Py_ssize_t, f=Frame)
    cdef void deliver_local(self, long long now) except *
    @cython.locals(e=IpError)
    cdef void tell_ourselves(self, long long now) except *
    @cython.locals(sink=PacketSink)
    cdef void flush(self, long long now) except *
    @cython.locals(idle=bint, t=Partial, deadline="long long", g=Frame)
    cdef void collect(self, Ipv4Rx rx, Frame f, Py_ssize_t ihl, int frag, int ident) except *
    @cython.locals(t=Partial, deadline="long long")
    cpdef void expire_fragments(self, long long now) except *


cdef class Ipv4Rx(FrameSink):
    cdef Ipv4Core core
    cdef IpMib mib
    cdef bint loop
    cdef public Interface interface
    cdef unsigned long long src0, dst0
    cdef int proto0
    cdef PacketSink sink0
    cdef void forget(self) except *
    @cython.locals(m=IpMib, b=bytearray, o=Py_ssize_t, have=Py_ssize_t, vihl=int, tos=int, total=int, ident=int, frag=int,
                   ttl=int, proto=int, src="unsigned int", dst="unsigned int", ihl=int)
    cdef void input(self, Frame f) except *
    @cython.locals(m=IpMib, sink=PacketSink)
    cdef void deliver(self, Frame f) except *
    @cython.locals(m=IpMib, routes=Routes, src="unsigned long long", dst="unsigned long long", cast=int)
    cdef bint acceptable(self, Frame f) except? 0
    @cython.locals(top=int)
    cdef bint martian(self, unsigned long long src, unsigned long long dst) except? 0
    @cython.locals(fault=int)
    cdef bint options_pass(self, Frame f, int ihl) except? 0
    cdef void flush(self, long long now) except *


cdef class LoopTimer(Timer):
    cdef Ipv4Core core
    cdef void expire(self, long long now) except *
