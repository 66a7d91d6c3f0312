cimport cython
cimport netstack.const as const


@cython.final
cdef class SipHash:
    cdef unsigned long long k0, k1, v0, v1, v2, v3
    cpdef void start(self) except *
    cpdef void word(self, unsigned long long m) except *
    cpdef unsigned long long finish(self, unsigned long long m) except *
    @cython.locals(a="unsigned long long", b="unsigned long long", c="unsigned long long", d="unsigned long long")
    cdef void rounds(self, int n) except *
