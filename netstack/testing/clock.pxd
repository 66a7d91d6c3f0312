cimport cython
cimport netstack.const as const
from netstack.testing.inbox cimport Inbox
from netstack.timers cimport Timers


@cython.final
cdef class Seat:
    cdef readonly object actor
    cdef readonly str name
    cdef Timers timers
    cdef Inbox inbox
    @cython.locals(soonest="long long", deadline="long long", timers=Timers)
    cpdef long long deadline(self) except *


cdef class VirtualClock:
    cdef long long _now, _earliest, _order, _turns, _spin
    cdef list _seats, _calendar
    cdef dict _suspects
    @cython.locals(deadline="long long")
    cpdef run_ahead(self, long long start, long long end, object moved, object enough)
    cdef _run_to(self, long long end)
    cdef void _move(self, long long when) except *
    @cython.locals(ran=bint, now="long long", earliest="long long", deadline="long long", seat=Seat)
    cdef bint _pass(self, object goal) except *
    @cython.locals(seat=Seat)
    cdef void _count(self, Seat seat, object action) except *
