cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Frame, FrameSink, LinkCore, NetifCore, NextHopCore, Out
from netstack.ethif.mib cimport LinkMib


cdef class Demux(FrameSink):
    cdef LinkMib mib
    cdef dict attached, sinks
    cdef readonly object observer
    cdef list everybody
    cdef int et0
    cdef FrameSink up0
    cpdef attach(self, int ethertype, FrameSink sink)
    cpdef watch(self, object observer)
    @cython.locals(sink=FrameSink)
    cdef void deliver(self, Frame f, int ethertype) except *
    @cython.locals(sink=FrameSink)
    cdef void flush(self, long long now) except *


cdef class EthifRx(Demux):
    cdef unsigned long long own
    @cython.locals(dst="unsigned long long", src="unsigned long long", ethertype=int)
    cdef void input(self, Frame f) except *


cdef class EthifCore(LinkCore):
    cdef NetifCore _device, below
    cdef unsigned long long own
    cdef int _mtu
    cdef readonly LinkMib _mib
    cdef readonly EthifRx rx
    cdef void send(self, Out p, int ethertype, unsigned long long dst, long long now) except *


cdef class PointToPointRx(Demux):
    @cython.locals(version=int)
    cdef void input(self, Frame f) except *


cdef class PointToPointCore(LinkCore):
    cdef NetifCore _device, below
    cdef int _mtu
    cdef readonly LinkMib _mib
    cdef readonly PointToPointRx rx
    cdef void send(self, Out p, int ethertype, unsigned long long dst, long long now) except *


cdef class DirectHop(NextHopCore):
    cdef LinkCore link
    cdef void send(self, Out p, unsigned long long next_hop, long long now) except *
