cimport cython
from netstack.tcp.congestion.base cimport Congestion

cdef long long TICK, LATEST, SCALE, FRACTION
cdef int BETA_TENTHS


cdef class Cubic(Congestion):
    cdef readonly long long w_max, prior, epoch_at, acked_at, k, w_est, est_credit, credit, undo
    cdef readonly bint epoch
    @cython.locals(d="long long", delta="long long", late=bint)
    cpdef long long w_cubic(self, long long t) noexcept
    cdef void begin(self, long long now) noexcept
    @cython.locals(t="long long", cwnd="long long", per_byte="long long", step="long long", target="long long", most="long long")
    cdef void on_ack(self, long long acked, long long flight, long long srtt, long long now) except *
    cdef void hold(self, long long now) noexcept
    cdef void on_restart(self, long long idle, long long rto, long long now) except *
    cdef void adopt(self, long long cwnd, long long ssthresh) except *
    cdef void on_loss(self, long long flight, long long now) except *
    cdef void on_spurious(self, long long cwnd, long long ssthresh, long long now) except *
    cdef void on_timeout(self, long long flight, long long now) except *


@cython.locals(cube="long long", most="long long", root="long long", bit="long long", trial="long long")
cpdef long long ticks_to_climb(long long n, long long mss) except *
