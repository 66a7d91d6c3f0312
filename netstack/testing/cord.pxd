cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out

cdef Py_ssize_t QUEUE


cdef class End(NetifCore):
    cdef object _name, _mac, _waker
    cdef int _mtu, _offload
    cdef long long _delay
    cdef FrameSink sink
    cdef readonly Pool pool
    cdef list queue
    cdef Py_ssize_t head
    cdef readonly long long dropped
    cdef End peer
    cpdef void join(self, End peer) except *
    @cython.locals(peer=End)
    cpdef plain(self)
    @cython.locals(peer=End, f=Frame, head=Py_ssize_t, n=Py_ssize_t, waiting=Py_ssize_t)
    cdef void send(self, Out p, long long now) except *
    @cython.locals(queue=list, sink=FrameSink, pool=Pool, i=int, f=Frame)
    cpdef bint poll(self, long long now) except *
    @cython.locals(f=Frame)
    cdef bint due(self, long long now) except *
    @cython.locals(end=Py_ssize_t, piece=object, n=Py_ssize_t)
    cdef Py_ssize_t gather(self, Frame f, Py_ssize_t at, Out p) except -1
    cpdef attach(self, FrameSink sink)
