cimport cython
cimport netstack.tcp.const as tc


@cython.final
cdef class Rtt:
    cdef readonly long long floor, srtt, rttvar
    cdef readonly int backoff
    @cython.locals(error="long long")
    cpdef void sample(self, long long rtt) except *
    cpdef void handshake_was_lossy(self) except *
    @cython.locals(rto="long long", spread="long long", i=int)
    cpdef long long rto(self) except *
    cpdef void forgive(self) except *
    cpdef void back_off(self) except *
