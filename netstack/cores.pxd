cimport cython
cimport netstack.const as const


@cython.final
cdef class Frame:
    cdef readonly bytearray buf
    cdef public Py_ssize_t off, end, l3
    cdef public long long now
    cdef public unsigned long long src, dst, lsrc
    cdef public int proto, ttl, tos, cast, csum, gso, kept
    cdef public bint lend


@cython.final
cdef class Out:
    cdef readonly bytearray hdr
    cdef public object data
    cdef public list rest
    cdef public Py_ssize_t off, l4, o, n, rest_n
    cdef public unsigned long long src, dst
    cdef public int csum_off, gso, proto, ttl, tos, df
    cdef public bint quiet
    cpdef void reset(self) except *
    cpdef Py_ssize_t length(self) except -1
    cpdef bytes tobytes(self)
    cpdef bytes payload(self)
    cpdef int join(self) except -1


cdef class Turn:
    cpdef long long now(self) except *
    cpdef void rearm(self) except *


cdef class FrameSink:
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class NetifCore:
    cdef void send(self, Out p, long long now) except *


cdef class LinkCore:
    cdef void send(self, Out p, int ethertype, unsigned long long dst, long long now) except *


cdef class NextHopCore:
    cdef void send(self, Out p, unsigned long long next_hop, long long now) except *
    cdef void progress(self, unsigned long long next_hop, long long now) except *


@cython.final
cdef class IpError:
    cdef readonly int type, code, mtu
    cdef readonly unsigned long long src, dst, reporter
    cdef readonly bytes quote
    cdef public bint believed


cdef class PacketSink:
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *
    cdef void error(self, IpError e, long long now) except *


cdef class IpCore:
    cdef void send(self, Out p, long long now) except *
    cdef unsigned int pseudo_in(self, Frame f) except? 0xFFFFFFFF
    cdef unsigned int pseudo_out(self, Out p, Py_ssize_t length) except? 0xFFFFFFFF
    cdef void unreachable(self, Frame f, int code) except *
    cdef void progress(self, unsigned long long dst, long long now) except *


cdef class StreamUser:
    cdef void connected(self, long long now) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void lent(self, object data, long long now) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *


cdef class DatagramUser:
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *


cdef class DatagramCatcher:
    cdef void caught(self, Frame f, int sport, int dport, long long now) except *
    cdef void error(self, IpError e, int sport, int dport, long long now) except *
