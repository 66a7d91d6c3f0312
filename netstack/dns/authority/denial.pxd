cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.dns.authority.store cimport Store


@cython.locals(found=bytes, label=bytes, o=Py_ssize_t, end=Py_ssize_t, n=Py_ssize_t)
cpdef bytes order(bytes key)

@cython.locals(o=Py_ssize_t, rest=Py_ssize_t)
cpdef bytes tail(bytes key, bytes closest)


@cython.final
cdef class Circle:
    cdef readonly Store store
    cdef readonly bint hashed
    cdef readonly bytearray ids
    @cython.locals(key=bytes)
    cdef bytes order_of(self, unsigned int id)
    @cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cdef Py_ssize_t rank(self, bytes wanted) except -1
    @cython.locals(i=Py_ssize_t)
    cpdef unsigned int before(self, bytes key) except *
    @cython.locals(i=Py_ssize_t)
    cpdef void enter(self, unsigned int id) except *
    @cython.locals(i=Py_ssize_t)
    cpdef void leave(self, unsigned int id, bytes key) except *
