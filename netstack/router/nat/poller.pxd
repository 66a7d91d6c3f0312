cimport cython
cimport netstack.router.nat.const as nc
from netstack.cores cimport StreamUser
from netstack.runtime.base cimport Crank, Edges
from netstack.runtime.selector cimport StackSelector
from netstack.tcp.core cimport TcpCore

cdef class Watched(StreamUser):
    cdef void ready(self, int events, long long now) except *
    cdef void resume(self, long long now) except *


@cython.final
cdef class Poller(Edges):
    cdef readonly object epoll
    cdef object poll, soon, complain
    cdef readonly StackSelector selector
    cdef Crank crank
    cdef TcpCore tcp
    cdef readonly int fd
    cdef readonly dict watched
    cdef list later
    cdef public bint running
    cpdef watch(self, int fd, Watched who)
    cpdef forget(self, int fd)
    cpdef drop(self, int fd)
    cpdef void again(self, Watched who) except *
    cpdef bint serve(self, long long now) except -1
    @cython.locals(later=list, heard=list, who=Watched, one=Watched, events=int)
    cdef void look(self, long long now) except *
