cimport cython


@cython.locals(o=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, op=int, layout=bytes, out=bytearray)
cpdef bytes canonical(int type, bytes rdata)


@cython.final
cdef class Set:
    cdef readonly long long ttl
    cdef readonly tuple rdatas, signatures
    cpdef list records(self, bytes owner, int type)


@cython.final
cdef class Node:
    cdef readonly bytes name
    cdef readonly dict sets
