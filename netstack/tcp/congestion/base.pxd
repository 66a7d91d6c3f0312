cimport cython
cimport netstack.tcp.const as tc

cdef int INITIAL_SEGMENTS, INITIAL_BYTES
cdef long long UNLIMITED


cdef class Congestion:
    cdef public object name
    cdef readonly long long cwnd, ssthresh
    cdef readonly int mss
    cdef bint careful
    cdef long long peak, peak_at
    cdef void adopt(self, long long cwnd, long long ssthresh) except *
    cdef void on_start(self, int mss, bint syn_was_lost) except *
    cdef void on_mss(self, int mss) except *
    cdef void on_ack(self, long long acked, long long flight, long long srtt, long long now) except *
    cdef void on_loss(self, long long flight, long long now) except *
    cdef void on_recovered(self, long long flight, long long now) except *
    cdef void on_timeout(self, long long flight, long long now) except *
    cdef void on_spurious(self, long long cwnd, long long ssthresh, long long now) except *
    @cython.locals(restart="long long", known="long long")
    cdef void on_restart(self, long long idle, long long rto, long long now) except *
    cdef bint used(self, long long flight, long long now) except -1
    @cython.locals(grow="long long", room="long long")
    cdef void slow_start(self, long long acked) noexcept
    @cython.locals(least="long long", ssthresh="long long")
    cdef void reduce(self, long long flight, int tenths, long long now) noexcept


@cython.locals(largest=int)
cdef int initial_window(int mss) noexcept
