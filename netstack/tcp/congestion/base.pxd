cimport cython


cdef class Congestion:
    cdef readonly long long cwnd, ssthresh
    cdef readonly int mss
    cdef void on_start(self, int mss, bint syn_was_lost) except *
    cdef void on_mss(self, int mss) except *
    cdef void on_ack(self, long long acked, long long flight, long long now) except *
    cdef void on_loss(self, long long flight, long long now) except *
    cdef void on_recovered(self, long long flight, long long now) except *
    cdef void on_timeout(self, long long flight, long long now) except *


@cython.locals(largest=int)
cdef int initial_window(int mss) noexcept
