cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out


cdef class SendOnly(FrameSink):
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class FrameNetif(NetifCore):
    cdef public object _name, _mac, _waker
    cdef public int _mtu
    cdef Pool _pool
    cdef FrameSink _sink
    cdef void send(self, Out p, long long now) except *
    @cython.locals(f=Frame, n=Py_ssize_t)
    cpdef receive(self, object frame, long long now)
    cpdef flush(self, long long now)
    cpdef attach(self, FrameSink sink)
