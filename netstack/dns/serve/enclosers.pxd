cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.dns.ask cimport Ask
from netstack.dns.authority.store cimport Store
from netstack.dns.packed cimport Packed
from netstack.dns.serve.shelf cimport Kept, kept_for


@cython.final
cdef class Encloser:
    cdef object zone
    cdef long long version
    cdef Store tree
    cdef Py_ssize_t cut
    cdef bint signed, odd
    cdef dict answers
    cdef set avoid


@cython.final
cdef class Enclosers:
    cdef readonly object filler
    cdef readonly dict table
    cdef readonly Py_ssize_t held
    cdef object hosts
    cpdef void clear(self) except *
    @cython.locals(key=bytes, n=Py_ssize_t, buf=bytearray, o=Py_ssize_t, at=Py_ssize_t, size=int, e=Encloser, kept=Kept)
    cpdef Kept find(self, Ask ask)
    @cython.locals(key=bytes, n=Py_ssize_t, cut=Py_ssize_t, at=Py_ssize_t, o=Py_ssize_t, tree=Store, e=Encloser, child=bytes)
    cpdef bint learn(self, Ask ask, Packed packed, object zone) except -1
    @cython.locals(before=Encloser)
    cpdef void note(self, bytes encloser, object zone) except *
