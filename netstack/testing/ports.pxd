cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Frame, FrameSink, LinkCore, NextHopCore, Out
from netstack.timers cimport Timer, Timers


cdef class SinkPort:
    cdef FrameSink sink
    cdef Py_ssize_t pool_size
    @cython.locals(f=Frame)
    cpdef Frame input(self, object frame, long long now)
    cpdef flush(self, long long now)


cdef class FrameTap(FrameSink):
    cdef readonly list frames
    cdef readonly int flushed
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class LinkPort:
    cdef LinkCore core
    cdef Out out
    @cython.locals(p=Out)
    cpdef send(self, object payload, int ethertype, unsigned long long dst, long long now, int gso=*)


cdef class HopPort:
    cdef NextHopCore core
    cdef Out out
    @cython.locals(p=Out)
    cpdef send(self, object payload, unsigned long long next_hop, long long now, unsigned long long src=*, bytes head=*,
               Py_ssize_t l4=*, int csum_off=*, int gso=*)
    cpdef progress(self, unsigned long long next_hop, long long now)


cdef class NullLink(LinkCore):
    cdef readonly long long count
    cdef void send(self, Out p, int ethertype, unsigned long long dst, long long now) except *


cdef class LinkTap(LinkCore):
    cdef readonly list sent
    cdef void send(self, Out p, int ethertype, unsigned long long dst, long long now) except *


cdef class NullTimer(Timer):
    cdef readonly long long fired
    cdef void expire(self, long long now) except *


@cython.locals(n=Py_ssize_t, i=Py_ssize_t, step="long long", when="long long")
cpdef rearm(Timers wheel, list timers, long long now, int rounds, long long spread)
@cython.locals(step="long long", when="long long")
cpdef rearm_one(Timers wheel, NullTimer timer, long long now, long count, long long spread)
@cython.locals(p=Out)
cpdef send_many(NextHopCore core, unsigned long long next_hop, long count, long long now)
@cython.locals(f=Frame, n=Py_ssize_t)
cpdef input_many(FrameSink sink, bytes frame, long count, long long now)
@cython.locals(n=Py_ssize_t, total="long long")
cpdef long long sum_many(bytearray data, long count) except -1
