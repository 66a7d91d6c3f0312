cimport cython
from netstack.cores cimport Turn
from netstack.sleeper cimport Sleeper
from netstack.timers cimport Timers


cdef class Teller:
    cpdef void tell(self) except *
    cpdef void tell_soon(self) except *


cdef class Edges:
    cdef public list events
    cpdef void on_frames(self) except *


cdef class Crank(Turn):
    cdef readonly object stack, clock
    cdef public object failure, on_failure, after_turn
    cdef readonly bint turning, owing
    cdef Timers timers
    cdef object _reactor, _fd, _poll, _device_deadline
    cdef long long _armed, _instant
    cdef bint _running
    cdef readonly object roused
    cdef list _tellers
    cpdef long long now(self) except *
    cpdef void on_frames(self) except *
    cpdef void rouse(self, Sleeper sleeper) except *
    cpdef void after(self, Teller teller) except *
    @cython.locals(tellers=list, teller=Teller)
    cdef void _tell(self, bint called) except *
    @cython.locals(roused=object, sleeper=Sleeper)
    cdef void _wake(self) except *
    cpdef void owe(self) except *
    cpdef void pay(self) except *
    @cython.locals(more=bint)
    cdef void _turn(self, object work, long long now) except *
    @cython.locals(deadline="long long")
    cpdef void rearm(self) except *
