cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc


@cython.final
cdef class Ask:
    cdef readonly bytearray buf
    cdef readonly int id, flags, type, rclass, version, verdict, payload, limit
    cdef readonly bint edns, do, nsid
    cdef readonly bytes key
    cdef readonly Py_ssize_t cookie_at, cookie_n, end, n
    cpdef void clear(self) except *
    cpdef int read(self, object data) except -1
    cpdef int read_at(self, object data, Py_ssize_t o, Py_ssize_t n) except -1
    @cython.locals(b=bytearray, qd=int, additional=int, o=Py_ssize_t, c=int)
    cdef int parse(self, Py_ssize_t n) except -1
    @cython.locals(b=bytearray, size=int, code=int)
    cdef int parse_opt(self, Py_ssize_t o, Py_ssize_t n) except -1
    cdef void head(self, int flags, int an, int ns, int ar) except *
    @cython.locals(b=bytearray)
    cdef Py_ssize_t put_opt(self, Py_ssize_t o, int ext_rcode, bytes options) except -1
    @cython.locals(n=Py_ssize_t)
    cpdef bytes refuse(self, int rcode, int flags=*, bytes options=*)
