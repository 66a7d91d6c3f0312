cimport cython


cdef class TokenBucket:
    cdef readonly long long rate, burst
    cdef long long _level, _at
    cpdef long long take(self, long long count, long long now) except *
    cpdef long long wait(self, long long now) except *
    cpdef bint grab(self, long long count, long long now) except *
    cpdef bint full(self, long long now) except *
    @cython.locals(passed="long long", lacking="long long")
    cdef void _fill(self, long long now) except *


cdef class Share:
    cdef readonly TokenBucket there, back
    cpdef bint full(self, long long now) except *
