cimport cython
cimport netstack.const as const


@cython.final
cdef class Resets:
    cdef readonly object rng
    cdef list at
    cdef unsigned int odd, salt
    cdef long long shuffled
    @cython.locals(x="unsigned int", i=Py_ssize_t, at="long long")
    cdef bint take(self, unsigned long long address, long long now) except *
    cdef void shuffle(self, long long now) except *
