cimport cython


@cython.locals(p=bytes, at=Py_ssize_t, total=Py_ssize_t, offset=Py_ssize_t, start=Py_ssize_t, flags=int, scale=int, seq="unsigned long long", ack="unsigned long long", src=bytes, dst=bytes)
cpdef segment(object item, bint check=*)
@cython.locals(length=int)
cdef int _scale(bytes p, Py_ssize_t at, Py_ssize_t end) except -2
