cimport cython
cimport netstack.const as const
from netstack.cores cimport NextHopCore


@cython.final
cdef class Interface:
    cdef readonly int index, mtu, offload
    cdef readonly bint point_to_point
    cdef readonly object link
    cdef readonly NextHopCore next_hop
    cdef public list addresses


@cython.final
cdef class Path:
    cdef readonly Interface interface
    cdef readonly unsigned long long next_hop, src
    cdef readonly int cast, mtu
    cdef readonly bint local
    cdef public int ident


cdef class Route:
    cdef readonly unsigned long long network
    cdef readonly int length
    cdef readonly object gateway
    cdef readonly Interface interface


cdef class Connected(Route):
    pass


@cython.final
cdef class Routes:
    cdef readonly list interfaces
    cdef readonly dict local, broadcasts, groups, routes
    cdef readonly list lengths
    cdef public Interface everybody
    @cython.locals(route=Route)
    cpdef Route lookup(self, unsigned long long dst)
    @cython.locals(route=Route)
    cpdef bint has_neighbour(self, unsigned long long dst) except -1
    @cython.locals(route=Route)
    cpdef bint leads_back(self, unsigned long long src, Interface interface) except -1


@cython.final
cdef class PathMtus:
    cdef readonly dict entries
