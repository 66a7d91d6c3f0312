cimport cython
cimport netstack.tcp.const as tc


@cython.final
cdef class Rtt:
    cdef readonly long long floor, srtt, rttvar
    cdef readonly int backoff
    @cython.locals(error="long long")
    cpdef void sample(self, long long rtt) noexcept
    cpdef void handshake_was_lossy(self) noexcept
    @cython.locals(rto="long long", spread="long long", i=int)
    cpdef long long rto(self) noexcept
    cpdef void forgive(self) noexcept
    cpdef void back_off(self) noexcept
