cimport cython
cimport netstack.raw as raw
cimport netstack.tcp.const as tc


@cython.final
cdef class Rope:
    cdef bytearray flat
    cdef object chunks
    cdef Py_ssize_t head, behind
    @cython.locals(n=Py_ssize_t)
    cpdef extend(self, data)
    @cython.locals(have=Py_ssize_t, o=Py_ssize_t, parts=list)
    cdef bytes front(self, Py_ssize_t n)
    @cython.locals(have=Py_ssize_t)
    cdef void drop(self, Py_ssize_t n) except *
    cpdef clear(self)
    @cython.locals(o=Py_ssize_t)
    cdef bytearray whole(self)
    cpdef find(self, what, start=*)
