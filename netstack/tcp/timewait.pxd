cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport Out
from netstack.tcp.tcb cimport Hub, Tcb
from netstack.timers cimport Timer


cdef class TimeWait(Timer):
    cdef Hub hub
    cdef unsigned long long key
    cdef readonly unsigned long long local, remote
    cdef readonly unsigned int ports, snd_nxt, rcv_nxt
    cdef int wscale
    cdef bint ts_on
    cdef unsigned int ts_offset, ts_recent
    cdef unsigned int wnd
    cdef long long answered_at
    cdef void take(self, Tcb c) except *
    @cython.locals(newer=bint, ts="unsigned int")
    cdef int input(self, unsigned int seq, unsigned int flags, Py_ssize_t n, long long tsval, long long now) except *
    cdef void answer(self, long long now) except *
    @cython.locals(hub=Hub, p=Out, hl="unsigned int", wnd="unsigned int")
    cdef void ack(self, long long now) except *
    cdef unsigned int successor_iss(self) except *
    cdef void expire(self, long long now) except *
