cimport cython
cimport netstack.const as const
from netstack.testing.inbox cimport InboxNetif


@cython.final
cdef class Outbox:
    cdef InboxNetif _netif
    cdef object _hold
    cdef int _link
    cdef dict _flows
    cdef list _frames
    cpdef put(self, bytes frame, long long now)
    @cython.locals(frames=list, flows=dict, new=list, item=tuple)
    cpdef release(self)


@cython.locals(proto=int, fragment=int, ports=int, flow=bytes)
cpdef bytes flow_of(bytes frame, int link)
