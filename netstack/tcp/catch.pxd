cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.tcp.const as tc
from netstack.cores cimport Frame
from netstack.tcp.connection cimport Connection
from netstack.tcp.demux cimport Demux, key_of
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.options cimport Options
from netstack.tcp.timewait cimport TimeWait
from netstack.timers cimport Timer

cdef Options _OPTIONS


cdef class Request(Timer):
    cdef Held held
    cdef readonly unsigned long long src, dst
    cdef readonly int src_port, dst_port, ttl, tos, mss
    cdef unsigned long long key
    cdef readonly unsigned int seq
    cdef int field, hl
    cdef Py_ssize_t n
    cdef readonly long long began
    cdef readonly bytes quote
    cdef tuple place
    cdef readonly bint live
    cdef public object tag, on_end
    cdef int read(self, Frame f, unsigned int ports, unsigned int seq, int field, int hl) except -1
    cpdef Connection accept(self, object make_user, long long now)
    cpdef void refuse(self, long long now) except *
    cpdef void unreachable(self, int code, long long now) except *
    cpdef void drop(self) except *
    cpdef void forget(self) except *
    cdef void expire(self, long long now) except *


@cython.final
cdef class Held:
    cdef Demux hub
    cdef readonly dict requests, sources
    cdef Frame frame
    @cython.locals(hub=Demux, ext=TcpExt, request=Request, mine=dict, place=tuple)
    cdef void syn(self, Frame f, object catcher, unsigned int ports, unsigned int seq, int flags, int field, int hl) except *
    @cython.locals(mine=dict, most=dict, theirs=dict)
    cdef bint make_room(self, unsigned long long src) except -1
    @cython.locals(mine=dict)
    cdef void forget(self, Request request) except *
    cdef void end(self, Request request) except *
    cdef void timed_out(self, Request request) except *
    @cython.locals(request=Request)
    cdef bint reset(self, unsigned long long dst, unsigned long long key, unsigned int seq) except -1
    cpdef void clear(self) except *
    @cython.locals(f=Frame, n=Py_ssize_t)
    cdef Frame again(self, Request request, long long now)
    @cython.locals(hub=Demux, mtu=int, iss="unsigned int", c=Connection, tw=TimeWait)
    cdef Connection accept(self, Request request, object make_user, long long now)
    @cython.locals(swapped="unsigned int", ack="unsigned int")
    cdef void refuse(self, Request request, long long now) except *
    cdef void unreachable(self, Request request, int code, long long now) except *
