cimport cython


@cython.final
cdef class Routes:
    cdef dict _answers, _tables
    cdef list _lengths
    cpdef object lookup(self, unsigned int dst)
