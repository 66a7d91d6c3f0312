cimport cython


@cython.final
cdef class StackSelector:
    cdef object _epoll, _poll, _map
    cdef dict _keys, _served, _armed
    cdef long long _soonest
    cdef public object on_error
    @cython.locals(when="long long")
    cdef void _find_soonest(self) except *
    @cython.locals(now="long long")
    cdef void _expire(self) except *
    cdef void _turn(self, object turn) except *
