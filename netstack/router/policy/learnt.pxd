cimport cython


cdef class _Guest:
    cdef readonly dict pairs, names


cdef class Learnt:
    cdef long long _grace
    cdef Py_ssize_t _names, _guests
    cdef object _by_guest
    cdef readonly long long forgotten
    @cython.locals(known=_Guest, names=tuple)
    cpdef tuple names(self, long long guest, long long address, long long now)
    @cython.locals(known=_Guest, gone=_Guest)
    cpdef Py_ssize_t learn(self, long long guest, str name, object addresses, long long ttl, long long now) except *
