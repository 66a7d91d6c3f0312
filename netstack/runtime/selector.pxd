cimport cython
cimport netstack.const as const


@cython.final
cdef class StackSelector:
    cdef object _clock, _epoll, _poll, _map, _loop, _ready
    cdef dict _keys, _served, _armed
    cdef long long _soonest
    cdef int _timer
    cpdef arm(self, object crank, long long when)
    @cython.locals(due="long long", when="long long")
    cdef void _expire(self) except *
    cdef void _turn(self, object turn) except *
    cdef object _next_timer(self)
    @cython.locals(wait=double, until=double)
    cpdef list select(self, object timeout=*)
