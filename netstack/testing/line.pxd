cimport cython
cimport netstack.const as const
from netstack.testing.mib cimport FaultMib


@cython.final
cdef class Held:
    cdef readonly bytes frame
    cdef Py_ssize_t left
    cdef readonly long long latest


cpdef object landed(object thing)


cdef class Line:
    cdef readonly object faults
    cdef readonly FaultMib mib
    cdef object _rng, _begins, _look, _picker
    cdef list _held
    cdef bint _burst, _bad
    cdef Py_ssize_t _header, _mtu, _queue, _reorder_past
    cdef long long _rate, _delay, _jitter, _reorder_by, _busy_until, _last_arrival
    cdef long long _loss, _ack_loss, _corrupt, _duplicate, _reorder, _enter, _leave, _bad_loss
    cdef _read(self, object faults)
    @cython.locals(mib=FaultMib, length=Py_ssize_t, departure="long long", arrival="long long")
    cpdef tuple carry(self, bytes frame, long long now)
    @cython.locals(mib=FaultMib, arrival="long long", bit="long long", copies=int, held=Held)
    cdef tuple _mistreat(self, bytes frame, Py_ssize_t length, long long departure)
    @cython.locals(held=Held)
    cdef _overtake(self, long long arrival, list arrivals)
    cdef str _pick(self, bytes frame)
    cdef bint _loses(self) except *
    @cython.locals(begin="long long")
    cdef long long _serialise(self, Py_ssize_t length, long long now) except *
    @cython.locals(drawn="long long")
    cdef bint _befalls(self, long long chance) except *
    @cython.locals(drawn="long long")
    cdef long long _below(self, long long n) except *


cdef long long _threshold(double chance) except *
