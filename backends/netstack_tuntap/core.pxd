cimport cython
cimport netstack.const as const
cimport netstack_tuntap.sysio as sysio
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out
from netstack_tuntap.mib cimport TapMib


cdef class TapCore(NetifCore):
    cdef public int fd
    cdef readonly int vnet
    cdef int last
    cdef readonly TapMib mib
    cdef readonly Pool pool
    cdef FrameSink sink
    @cython.locals(fd=int, sink=FrameSink, pool=Pool, mib=TapMib, f=Frame, n=Py_ssize_t, i=int)
    cpdef bint poll(self, long long now) except -1
    @cython.locals(flags=int, gso_type=int, gso_size=int)
    cdef bint open_vnet(self, Frame f) except -1
    @cython.locals(off=Py_ssize_t, flags=int, start=int, kind=int, n=Py_ssize_t)
    cdef void send(self, Out p, long long now) except *
    @cython.locals(mib=TapMib)
    cdef void refused(self, Py_ssize_t n) except *
    cdef void gone(self, Py_ssize_t n) except *
