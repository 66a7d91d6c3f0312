cimport cython


@cython.final
cdef class Grant:
    cdef readonly int owner, peer, entry
    cdef readonly unsigned int ref
    cdef readonly Py_ssize_t frame
    cdef readonly bint writable
    cdef public int mappings
    cdef public bint dropped
