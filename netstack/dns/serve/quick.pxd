cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.dns.ask cimport Ask
from netstack.dns.packed cimport Packed
from netstack.dns.serve.cookies cimport Cookies
from netstack.dns.serve.enclosers cimport Enclosers
from netstack.dns.serve.limiter cimport Limiter
from netstack.dns.serve.mib cimport DoorMib
from netstack.dns.serve.shelf cimport Kept, Shelf, kept_for


@cython.final
cdef class Quick:
    cdef readonly object filler
    cdef readonly Ask ask
    cdef readonly Shelf shelf
    cdef readonly Enclosers enclosers
    cdef readonly Cookies cookies
    cdef readonly Limiter limiter
    cdef readonly DoorMib mib
    cdef bytes _nsid
    cdef long long _version, _checked
    cpdef void changed(self) except *
    @cython.locals(ask=Ask, m=DoorMib, verdict=int, kept=Kept, packed=Packed, found=tuple, options=bytes, known=bint)
    cpdef Py_ssize_t turn(self, object data, Py_ssize_t o, Py_ssize_t n, unsigned long long high, unsigned long long low, bint six,
                          long long now) except -2
    @cython.locals(ask=Ask)
    cdef Py_ssize_t bare(self, int flags, bytes options) except -2
    cdef Kept keep(self, Packed packed, object zone)
    cdef void check(self) except *
