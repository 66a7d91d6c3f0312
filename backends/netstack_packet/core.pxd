cimport cython
cimport netstack.const as const
cimport netstack_packet.sysio as sysio
cimport netstack.device.sysio as deviceio
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink
from netstack_packet.mib cimport PacketMib
from netstack.device.core cimport DeviceCore


cdef class PacketCore(DeviceCore):
    cdef readonly PacketMib counts
    cdef public object ring
    cdef readonly Py_ssize_t size, at
    cdef readonly int blocks, block, left
    cdef unsigned int busy
    @cython.locals(more=bint)
    cpdef bint poll(self, long long now) except -1
    @cython.locals(pool=Pool, f=Frame, units=int, n=Py_ssize_t, step=Py_ssize_t, status=int)
    cdef bint walk(self, long long now) except -1
    cdef void offer(self, Frame f, Py_ssize_t n, long long now) except *
    @cython.locals(base=Py_ssize_t, count=Py_ssize_t, first=Py_ssize_t)
    cdef bint open(self) except -1
    cdef void turn(self) except *
    cdef void gone(self, Py_ssize_t n) except *
