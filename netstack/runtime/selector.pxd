cimport cython
cimport netstack.const as const
from netstack.runtime.base cimport Crank, Edges


@cython.final
cdef class StackSelector:
    cdef object _clock, _epoll, _poll, _map, _loop, _ready
    cdef dict _keys, _served, _edges, _armed
    cdef list _debts
    cdef long long _soonest
    cdef int _timer
    cpdef arm(self, object crank, long long when)
    @cython.locals(due="long long", when="long long")
    cdef void _expire(self) except *
    cdef void _turn(self, object turn) except *
    cpdef watch_edges(self, int fd, Edges whose, unsigned int mask)
    cpdef forget_edges(self, int fd, bint closing)
    @cython.locals(whose=Edges)
    cdef void _tell(self, list told) except *
    @cython.locals(crank=Crank)
    cdef void _frames(self, object turned) except *
    cdef void _complain(self, object error) except *
    cdef void _pay(self) except *
    cdef object _next_timer(self)
    @cython.locals(wait=double, until=double, sockets=Py_ssize_t, whose=Edges, told=list, pair=tuple)
    cpdef list select(self, object timeout=*)
