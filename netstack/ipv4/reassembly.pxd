cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Frame
from netstack.ipv4.mib cimport IpMib


@cython.final
cdef class Partial:
    cdef readonly tuple key
    cdef readonly unsigned long long src, lsrc
    cdef readonly long long since
    cdef readonly bytes header
    cdef readonly list starts, parts
    cdef readonly Py_ssize_t filled, length, cost
    cdef readonly int ecn, cast
    cdef readonly bint dead


@cython.final
cdef class Reassembly:
    cdef readonly IpMib mib
    cdef readonly Py_ssize_t bytes
    cdef readonly dict partials, sources
    @cython.locals(m=IpMib, key=tuple, t=Partial, start=Py_ssize_t, n=Py_ssize_t, more=int)
    cpdef Partial add(self, Frame f, Py_ssize_t ihl, int frag, int ident)
    @cython.locals(t=Partial)
    cdef Partial begin(self, tuple key, Frame f)
    @cython.locals(last=Py_ssize_t)
    cdef bint fits(self, Partial t, Py_ssize_t end, int more) except? 0
    @cython.locals(m=IpMib, i=Py_ssize_t, part=bytes, before=Py_ssize_t)
    cdef Partial insert(self, Partial t, Frame f, Py_ssize_t ihl, Py_ssize_t start, Py_ssize_t n)
    cdef Partial complete(self, Partial t)
    @cython.locals(mine=dict, held=Py_ssize_t, other=Partial, oldest=Partial)
    cdef void make_room(self, Partial t) except *
    cdef void give_up(self, Partial t) except *
    cdef void evict(self, Partial t) except *
    cdef void remove(self, Partial t) except *
    @cython.locals(t=Partial)
    cpdef long long next_deadline(self) except *
    @cython.locals(t=Partial)
    cpdef list expire(self, long long now)


@cython.locals(b=bytearray, ihl=Py_ssize_t, i=Py_ssize_t)
cpdef void write(Partial t, Frame f) except *
