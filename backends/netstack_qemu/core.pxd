cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack_qemu.sysio as sysio
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out
from netstack.gro cimport Gatherer
from netstack.gso cimport Cutter
from netstack_qemu.mib cimport QemuMib

cdef Py_ssize_t LENGTH, FRAME_LIMIT, STAGE, OUT_ROOM, HEADERS, GATHER_LIMIT, DATAGRAMS
cdef long long VFKT


cdef class EmulatorCore(NetifCore):
    cdef public int fd
    cdef readonly Py_ssize_t longest
    cdef readonly QemuMib mib
    cdef readonly Pool pool
    cdef FrameSink sink
    cdef Cutter cutter
    cdef public Gatherer gatherer
    cdef readonly bytearray stage, out, peer
    cdef readonly Py_ssize_t out_o, out_n
    @cython.locals(mib=QemuMib, g=Gatherer, f=Frame, run=Frame, joined=int)
    cdef void offer(self, Py_ssize_t o, Py_ssize_t n, long long now) except *
    @cython.locals(g=Gatherer)
    cdef void over(self, long long now) except *
    cdef void up(self, Frame f) except *
    cdef void send(self, Out p, long long now) except *
    @cython.locals(cutter=Cutter, mib=QemuMib)
    cdef void cut(self, Out p, long long now) except *
    cdef bint put(self, Out p, long long now) except -1
    cdef bint put_part(self, Out p, long long now) except -1
    cpdef void write_out(self, long long now) except *
    @cython.locals(head=Py_ssize_t, n=Py_ssize_t, at=Py_ssize_t, first=Py_ssize_t, out=bytearray)
    cdef bint queue(self, Out p, Py_ssize_t skip) except -1
    cpdef void forget(self) except *


cdef class StreamCore(EmulatorCore):
    cdef readonly Py_ssize_t have
    @cython.locals(stage=bytearray, room=Py_ssize_t, n=Py_ssize_t, end=Py_ssize_t, o=Py_ssize_t, length="long long")
    cpdef bint read(self, long long now) except -1
    @cython.locals(off=Py_ssize_t, total=Py_ssize_t, n=Py_ssize_t)
    cdef bint put(self, Out p, long long now) except -1
    cdef bint put_part(self, Out p, long long now) except -1
    @cython.locals(n=Py_ssize_t)
    cpdef void write_out(self, long long now) except *


cdef class DgramCore(EmulatorCore):
    cdef public object sock
    cdef public bint learns, ends
    cdef readonly bytearray came
    @cython.locals(stage=bytearray, n=Py_ssize_t, i=int)
    cpdef bint read(self, long long now) except -1
    @cython.locals(n=Py_ssize_t)
    cdef bint put(self, Out p, long long now) except -1
    cdef bint put_part(self, Out p, long long now) except -1
    cdef void refused(self) except *
    @cython.locals(n=Py_ssize_t, length=Py_ssize_t)
    cpdef void write_out(self, long long now) except *
