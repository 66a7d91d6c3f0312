cimport cython
cimport netstack.serial as serial



cdef class Episode:
    cdef readonly long long cwnd, ssthresh, flight, delivered, out, quota, fresh, first_at
    cdef readonly bint progress, reduced, doubted, kept, many
    cdef readonly list again
    cdef public bint urgent

    cpdef void arrived(self, long long n, bint progress, bint lost_more) except *
    @cython.locals(n="long long")
    cpdef void reckon(self, long long pipe, long long target, long long mss) except *
    cdef void stalled(self) except *
    cpdef void left(self, long long n) except *
    cpdef void resent(self, unsigned int seq, unsigned int end, long long now) except *
    cdef bint outlives(self) except *
    @cython.locals(old=list, rest=list, i=Py_ssize_t, a="unsigned int", b="unsigned int")
    cpdef bint twice(self, unsigned int begin, unsigned int end) except *
    cpdef bint answered(self, long long echo_to) except *
