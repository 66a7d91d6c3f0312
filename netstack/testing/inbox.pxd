cimport cython
cimport netstack.const as const
from netstack.cores cimport Out
from netstack.netif cimport FrameNetif


@cython.final
cdef class Inbox:
    cdef readonly long long soonest
    cdef long long _order, _newest
    cdef object _queue
    cdef list _heap
    @cython.locals(item=tuple)
    cpdef bint put(self, long long arrival, object frame) except *
    @cython.locals(due=list)
    cpdef list take(self, long long now, Py_ssize_t most)
    @cython.locals(item=tuple, heap=list, first=tuple, other=tuple, soonest="long long")
    cdef object _pop(self)


cdef class InboxNetif(FrameNetif):
    cdef public Inbox inbox
    cdef public object outbox
    cdef void send(self, Out p, long long now) except *
