cimport cython
cimport netstack.router.nat.const as nc
from netstack.cores cimport StreamUser

cdef class Watched(StreamUser):
    cdef void ready(self, int events, long long now) except *
    cdef void resume(self, long long now) except *


@cython.final
cdef class Poller:
    cdef readonly object epoll
    cdef object poll, soon
    cdef readonly int fd
    cdef readonly dict watched
    cdef list later
    cpdef watch(self, int fd, Watched who)
    cpdef forget(self, int fd)
    cpdef drop(self, int fd)
    cpdef void again(self, Watched who) except *
    @cython.locals(later=list, who=Watched, one=Watched, events=int)
    cpdef void serve(self, long long now) except *
