cimport cython


cdef class Episode:
    cdef readonly long long cwnd, ssthresh, flight, delivered, out, quota, fresh, resent, first_at
    cdef readonly bint progress, reduced, doubted
    cdef public bint urgent

    cpdef void arrived(self, long long n, bint progress, bint lost_more) except *
    @cython.locals(n="long long")
    cpdef void reckon(self, long long pipe, long long target, long long mss) except *
    cpdef void left(self, long long n) except *
    cpdef void again(self, long long n, long long now) except *
    cpdef bint twice(self, long long n) except *
    cpdef bint answered(self, long long echo_to) except *
