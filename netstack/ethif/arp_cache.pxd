cimport cython
cimport netstack.const as const
from netstack.ethif.mib cimport ArpMib
from netstack.timers cimport Timer, Timers


cdef class Expiry:
    cdef void expired(self, Neighbour n, long long now) except *


@cython.final
cdef class Neighbour(Timer):
    cdef readonly unsigned long long ip
    cdef public unsigned long long mac, asker
    cdef public long long until, confirmed
    cdef public int state, tries
    cdef public bint touched
    cdef readonly list queue, sizes
    cdef readonly Py_ssize_t queued
    cdef Expiry owner
    cdef dict shelf
    cpdef int park(self, object packet, Py_ssize_t size) except -1
    @cython.locals(queue=list)
    cpdef list take(self)


@cython.final
cdef class Cache:
    cdef Timers timers
    cdef readonly long long reachable
    cdef ArpMib mib
    cdef Expiry owner
    cdef readonly dict table, asked, heard_only, known
    cpdef Neighbour find(self, unsigned long long ip)
    @cython.locals(n=Neighbour)
    cpdef Neighbour entry(self, unsigned long long ip)
    cpdef int used(self, Neighbour n, long long now) except -1
    cpdef int answered(self, Neighbour n, unsigned long long mac, long long now) except -1
    cpdef int heard(self, Neighbour n, unsigned long long mac, long long now) except -1
    cpdef void confirm(self, Neighbour n, long long now) except *
    cpdef int timeout(self, Neighbour n, long long now) except -1
    cpdef int pin(self, Neighbour n, unsigned long long mac, long long now) except -1
    cpdef void forget(self, Neighbour n) except *
    @cython.locals(before=int, state=int, action=int)
    cdef int step(self, Neighbour n, int event, long long now) except -1
    cdef void enter(self, Neighbour n, int state, long long now) except *
    cdef void schedule(self, Neighbour n, long long now) except *
    @cython.locals(shelf=dict)
    cdef void shelve(self, Neighbour n) except *
    @cython.locals(n=Neighbour)
    cdef void make_room(self, dict shelf, Py_ssize_t limit) except *
