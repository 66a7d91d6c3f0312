cimport cython
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.recovery.board cimport Board, Run


cdef int GRAIN


cdef class Flight(Board):
    cdef Flight after
    cdef readonly long long rack_at, rack_rtt, rack_min, echo_to, now, reo_due, rto_from, busy_at, delivered, delivered_at
    cdef readonly long long rate_bytes, rate_ns
    cdef readonly unsigned int rack_end, fack, fack_before, rtt_seq, dsack_round, reordered_by
    cdef readonly bint partial, dsack_open

    cpdef void open(self, unsigned int una, long long now, long long min_rtt) noexcept
    cpdef void hear(self, long long now, long long echo_to, long long min_rtt) noexcept
    @cython.locals(run=Run, before=Py_ssize_t)
    cpdef void leave(self, unsigned int seq, unsigned int end, long long now) except *
    @cython.locals(run=Run)
    cpdef Py_ssize_t leave_again(self, Py_ssize_t i, long long now) except *
    @cython.locals(rtt="long long")
    cdef void deliver(self, Run run, unsigned int end) noexcept
    @cython.locals(run=Run, sending="long long", hearing="long long")
    cdef void rate(self) noexcept
    @cython.locals(limit="long long", run=Run)
    cpdef void detect(self, long long window) except *
    @cython.locals(first=bint, run=Run)
    cpdef void late(self, long long window, long long now) except *
    @cython.locals(head=Run)
    cdef void doubt_head(self) noexcept
