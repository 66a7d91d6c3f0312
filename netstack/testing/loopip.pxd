cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.buffers cimport Pool
from netstack.checksum cimport pseudo_ip4
from netstack.cores cimport Frame, IpCore, IpError, Out, PacketSink


cdef class LoopIp(IpCore):
    cdef readonly unsigned long long address
    cdef public object wire
    cdef public int mtu, offload
    cdef public bint routed, trusted
    cdef readonly list unreachables
    cdef dict _sinks
    cdef Pool _pool
    @cython.locals(size=Py_ssize_t, data=bytes, check=int)
    cdef void send(self, Out p, long long now) except *
    cdef unsigned int pseudo_in(self, Frame f) except? 0xFFFFFFFF
    cdef unsigned int pseudo_out(self, Out p, Py_ssize_t length) except? 0xFFFFFFFF
    cdef void unreachable(self, Frame f, int code) except *
    @cython.locals(f=Frame, offset=Py_ssize_t, sink=PacketSink)
    cpdef inject(self, unsigned long long src, unsigned long long dst, int proto, bytes data, long long now, int cast=*, int gso=*)
    @cython.locals(sink=PacketSink)
    cpdef flush(self, long long now)
    @cython.locals(sink=PacketSink)
    cpdef inject_error(self, int proto, IpError e, long long now)
