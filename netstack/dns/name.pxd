cimport cython


cpdef bytes key(bytes name)

@cython.locals(o=Py_ssize_t, end=Py_ssize_t, n=int)
cpdef bytes check(bytes name)

@cython.locals(o=Py_ssize_t, n=int)
cpdef list labels(bytes name)

@cython.locals(o=Py_ssize_t, n=int, c=int)
cpdef int count(bytes name) except -1

@cython.locals(n=int)
cpdef bytes parent(bytes name)

@cython.locals(o=Py_ssize_t, skip=int)
cpdef bytes tail(bytes name, int n)

@cython.locals(o=Py_ssize_t, rest=Py_ssize_t)
cpdef bint under(bytes name, bytes zone) except -1
