cimport cython
cimport netstack.const as const
from netstack.testing.mib cimport NodeMib
from netstack.testing.nodes cimport Node, Way


cdef class Router(Node):
    @cython.locals(mib=NodeMib, way=Way, head=int, total=int, ttl=int, old=int, check=int)
    cpdef forward(self, bytes datagram, long long now)
    @cython.locals(word=int, step=int, offset=int, more=int, at=int, frag=int)
    cdef _squeeze(self, bytes sent, bytes datagram, int head, Way way, long long now)
    cdef _answer(self, bytes datagram, int head, long long now)
    cdef _report(self, int kind, int code, long long rest, bytes datagram, int head, long long now)
    cdef _send(self, long long dst, bytes message, long long now)


@cython.locals(head=int, total=int)
cdef int _header(bytes datagram) except *
cdef bytes _rewritten(bytes head, int total, int frag)
