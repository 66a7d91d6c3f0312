cimport cython
cimport netstack.const as const
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.tcb cimport Hub, Tcb
from netstack.timers cimport Timer


cdef class TimeWait(Timer):
    cdef Hub hub
    cdef unsigned long long key
    cdef readonly unsigned long long local, remote
    cdef readonly unsigned int ports, snd_nxt, rcv_nxt
    cdef int wscale
    cdef unsigned int wnd
    cdef long long answered_at
    cdef void take(self, Tcb c) except *
    cdef int input(self, unsigned int seq, unsigned int flags, Py_ssize_t n, long long now) except *
    cdef void answer(self, long long now) except *
    @cython.locals(wnd="unsigned int")
    cdef void ack(self, long long now) except *
    cdef unsigned int successor_iss(self) except *
    cdef void expire(self, long long now) except *
