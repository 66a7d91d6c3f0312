cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack.device.sysio as sysio
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out
from netstack.gro cimport Gatherer
from netstack.gso cimport Cutter
from netstack.device.mib cimport DeviceMib


cdef class DeviceCore(NetifCore):
    cdef public int fd
    cdef public int takes, gives
    cdef readonly int vnet, link
    cdef unsigned int alone
    cdef readonly DeviceMib mib
    cdef readonly Pool pool
    cdef readonly FrameSink sink
    cdef Cutter cutter
    cdef public Gatherer gatherer
    @cython.locals(fd=int, pool=Pool, mib=DeviceMib, g=Gatherer, f=Frame, run=Frame, n=Py_ssize_t, i=int, units=int, joined=int,
                   held=bint, one=bint)
    cpdef bint poll(self, long long now) except -1
    cdef void up(self, Frame f) except *
    @cython.locals(flags=int, gso_type=int, gso_size=int, start=int, offset=int, at=Py_ssize_t, vnet=int, tunnel=bint)
    cdef bint open_vnet(self, Frame f) except -1
    @cython.locals(s=int)
    cdef bint finish(self, Frame f, Py_ssize_t start, Py_ssize_t offset, int gso_type) except -1
    @cython.locals(gives=int)
    cdef bint offers(self, int gso_type) except -1
    @cython.locals(kind=int)
    cdef void send(self, Out p, long long now) except *
    cdef int kind(self, Out p) except -1
    @cython.locals(cutter=Cutter, mib=DeviceMib, complete=bint)
    cdef void cut(self, Out p) except *
    @cython.locals(off=Py_ssize_t, flags=int, start=int, n=Py_ssize_t)
    cdef bint put(self, Out p, int kind) except -1
    @cython.locals(mib=DeviceMib)
    cdef void refused(self, Py_ssize_t n) except *
    cdef void gone(self, Py_ssize_t n) except *
