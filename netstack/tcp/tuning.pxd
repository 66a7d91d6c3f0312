cimport cython
cimport netstack.serial as serial
cimport netstack.tcp.const as tc


@cython.final
cdef class Tuner:
    cdef readonly long long rtt, space
    cdef unsigned int seq, echo, edge
    cdef long long at, edge_at, promised
    cpdef void sample(self, long long rtt) noexcept
    @cython.locals(ticks="long long")
    cpdef void echoed(self, unsigned int tsecr, unsigned int ts_now) noexcept
    cpdef void arrived(self, unsigned int rcv_nxt, unsigned int edge, long long now) noexcept
    @cython.locals(took="long long", n="long long", more="long long", want="long long")
    cpdef long long consumed(self, unsigned int read, long long now) noexcept


@cython.locals(high="long long")
cpdef long long send_high(long long cwnd, long long most) noexcept


cpdef long long send_low(long long high) noexcept
