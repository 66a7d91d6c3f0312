cimport cython
cimport netstack.http.h1.const as hc


@cython.final
cdef class ChunkReader:
    cdef object _limits
    cdef int _mode
    cdef long long _left, _total, _overhead
    cdef Py_ssize_t _seen
    cdef readonly bytes trailers
    @cython.locals(mode=int, end=Py_ssize_t, stop=Py_ssize_t, limit=Py_ssize_t, piece=bytes, mark=bytes)
    cpdef Py_ssize_t read(self, bytes buffer, Py_ssize_t at, list pieces) except *
    cdef void _size(self, bytes buffer, Py_ssize_t at, Py_ssize_t end) except *
