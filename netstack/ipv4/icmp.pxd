cimport cython
cimport netstack.checksum as checksum
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.ipv4.icmp_wire as icmp_wire
from netstack.cores cimport Frame, IpError, Out, PacketSink
from netstack.ipv4.core cimport Ipv4Core
from netstack.ipv4.mib cimport IcmpMib
from netstack.ipv4.reassembly cimport Partial
from netstack.ipv4.reporter cimport Reporter


@cython.final
cdef class Bucket:
    cdef object rng
    cdef readonly long long credit, full, share, since
    cpdef bint take(self, long long now) except *


cdef class Reporter4(Reporter):
    cdef readonly Bucket bucket
    cdef Ipv4Core core
    cdef readonly IcmpMib mib
    cdef Out out
    @cython.locals(b=bytearray, n=Py_ssize_t)
    cdef void report(self, Frame f, int type, int code, unsigned int rest) except *
    cdef void timed_out(self, Partial t, long long now) except *
    @cython.locals(m=IcmpMib, p=Out)
    cdef void send(self, bytes quote, unsigned long long src, unsigned long long dst, int type, int code,
                   unsigned int rest, long long now) except *
    @cython.locals(top=int, ihl=int)
    cdef bint allowed(self, bytes quote, unsigned long long src) except *


cdef class Icmp(PacketSink):
    cdef Ipv4Core core
    cdef readonly IcmpMib mib
    cdef public bint answer
    cdef Out out
    cdef readonly dict handlers
    cdef readonly object catcher
    cpdef void catch_echo(self, object catcher) except *
    @cython.locals(p=Out)
    cdef void send_echo(self, int kind, unsigned long long src, unsigned long long dst, unsigned int ident, unsigned int seq,
                        bytes payload, long long now, int ttl, int tos, bint df) except *
    cpdef void echo_reply(self, unsigned long long src, unsigned long long dst, unsigned int ident, unsigned int seq, bytes payload,
                          long long now, int ttl=*, int tos=*) except *
    @cython.locals(p=Out)
    cdef void send_echo(self, int kind, unsigned long long src, unsigned long long dst, unsigned int ident, unsigned int seq,
                        bytes payload, long long now, int ttl, int tos, bint df) except *
    cpdef void report(self, bytes quote, unsigned long long src, unsigned long long dst, int type, int code, unsigned int rest,
                      long long now) except *
    @cython.locals(m=IcmpMib, b=bytearray, o=Py_ssize_t, n=Py_ssize_t, kind=int)
    cdef void input(self, Frame f) except *
    @cython.locals(m=IcmpMib)
    cdef void ignore(self, int kind) except *
    @cython.locals(m=IcmpMib, b=bytearray, o=Py_ssize_t, p=Out)
    cdef void echo(self, Frame f, Py_ssize_t n) except *
    @cython.locals(o=Py_ssize_t)
    cdef void reply(self, Frame f, Py_ssize_t n) except *
    cdef bint is_ours(self, unsigned long long src, unsigned long long reporter) except -1
    @cython.locals(b=bytearray, o=Py_ssize_t, core=Ipv4Core, src="unsigned long long", dst="unsigned long long", proto=int,
                   total=int, ihl=int, code=int, mtu=int, e=IpError)
    cdef void fault(self, Frame f, Py_ssize_t n, int kind) except *
    cdef void flush(self, long long now) except *
    @cython.locals(quote=bytes)
    cdef void error(self, IpError e, long long now) except *
