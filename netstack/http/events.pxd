cimport cython


@cython.final
cdef class RequestHead:
    cdef readonly str method, target
    cdef readonly tuple version
    cdef readonly object fields, length
    cdef readonly bint keep_alive, expects_continue
    cdef readonly bytes upgrade
