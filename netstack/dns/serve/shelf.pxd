cimport cython
cimport netstack.const as const
cimport netstack.dns.const as dc
from netstack.dns.packed cimport Packed
from netstack.dns.serve.limiter cimport kind_of


@cython.final
cdef class Kept:
    cdef readonly bytes key
    cdef readonly Packed plain, secure
    cdef readonly int kind
    cdef readonly unsigned long long question
    cdef readonly Py_ssize_t cost
    cdef readonly bint trial, used
    cdef readonly long long version
    cdef readonly object zone


@cython.final
cdef class Shelf:
    cdef readonly Py_ssize_t octets, answers, held, trial_held
    cdef readonly long long evicted
    cdef dict table
    cdef object trial, main
    @cython.locals(found=Kept)
    cpdef Kept find(self, bytes key)
    @cython.locals(size=Py_ssize_t, kept=Kept, moved=int)
    cpdef Kept put(self, bytes key, bint do, Packed packed, object zone)
    @cython.locals(version="long long")
    cdef void fill(self, Kept kept, bint do, Packed packed, object zone) except *
    @cython.locals(kept=Kept)
    cdef void make_room(self, bint may_move) except *
    cpdef void clear(self) except *

cdef Py_ssize_t size_of(Packed packed) except -1

@cython.locals(kept=Kept)
cpdef Kept kept_for(bytes key, Packed packed)
