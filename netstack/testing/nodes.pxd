cimport cython
cimport netstack.const as const
from netstack.testing.inbox cimport Inbox, InboxNetif
from netstack.testing.line cimport Held, Line
from netstack.testing.mib cimport FaultMib, NodeMib
from netstack.testing.routes cimport Routes


cdef class Way:
    cdef readonly Line line
    cdef readonly Link link
    cdef readonly FaultMib mib
    cdef readonly str name
    cdef readonly Node source, target
    cdef public long long metric
    cdef object _parts
    cdef int _interface
    @cython.locals(link=Link, arrivals=list)
    cpdef carry(self, bytes frame, long long now)


cdef class Link:
    cdef readonly str name
    cdef readonly Way there, back
    cdef public bint is_cut, is_down
    cdef public object tampers, file


cdef class Node:
    cdef readonly str name
    cdef public bint forwards
    cdef readonly long long number, ip
    cdef public list prefixes, ways, by_hand
    cdef readonly Inbox inbox
    cdef readonly NodeMib node_mib
    cdef public Routes routes
    @cython.locals(way=Way, each=Way)
    cpdef send(self, bytes datagram, long long now)
    cpdef Way way_to(self, long long dst)
