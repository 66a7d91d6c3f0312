cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack_xen.slots as slots
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out
from netstack.gso cimport Cutter
from netstack_xen.front.queue cimport Queue
from netstack_xen.mib cimport FrontMib


cdef class FrontCore(NetifCore):
    cdef public object hypervisor
    cdef public list queues
    cdef public bint up, fault
    cdef public int takes, gives, longest
    cdef public long long due, again
    cdef readonly bint polling
    cdef unsigned int polls
    cdef int turn
    cdef readonly FrontMib mib
    cdef readonly Pool pool
    cdef readonly FrameSink sink
    cdef Cutter cutter
    cdef Out spare_out
    cdef bytearray hashes
    @cython.locals(queues=list, units=int, before=int, more=bint)
    cpdef bint poll(self, long long now) except -1
    @cython.locals(queues=list, gives=int, n=int, what=int, f=Frame)
    cdef int walk(self, Queue q, int most, long long now) except -1
    @cython.locals(q=Queue, more=bint)
    cdef bint settle(self) except -1
    @cython.locals(q=Queue)
    cpdef prepare(self)
    cdef void push(self, Queue q) except *
    cdef void notify(self, object port) except *
    @cython.locals(q=Queue, kind=int)
    cdef void send(self, Out p, long long now) except *
    cdef int kind(self, Out p) except -1
    @cython.locals(cutter=Cutter, mib=FrontMib, complete=bint)
    cdef void cut(self, Queue q, Out p) except *
    @cython.locals(n=Py_ssize_t, flags=int)
    cdef bint put(self, Queue q, Out p, int kind) except -1
    @cython.locals(hdr=bytearray, ip=Py_ssize_t, a="unsigned int", w=int, h=int)
    cdef int choose(self, Out p) except -1
