cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc


@cython.final
cdef class Builder:
    cdef readonly bytearray buf
    cdef dict names
    cdef list trail
    cdef readonly Py_ssize_t n, limit
    cdef readonly int qd, an, ns, ad, section
    cdef bytes last, opt
    cdef Py_ssize_t last_at
    cdef bint exact, multicast
    cdef object edns
    cpdef void begin(self, unsigned int id, unsigned int flags) except *
    cpdef void truncated(self) except *
    cpdef bint room(self, Py_ssize_t n) except -1
    @cython.locals(key=bytes, rest=bytes, o=Py_ssize_t, n=Py_ssize_t, start=Py_ssize_t, at=Py_ssize_t)
    cpdef bint put_name(self, bytes name) except -1
    @cython.locals(mark=Py_ssize_t)
    cpdef bint question(self, bytes name, unsigned int type, unsigned int rclass) except -1
    @cython.locals(mark=Py_ssize_t, at=Py_ssize_t, layout=bytes, fits=bint)
    cpdef bint record(self, int section, bytes name, unsigned int type, unsigned int rclass, unsigned int ttl, bytes rdata) except -1
    @cython.locals(o=Py_ssize_t, end=Py_ssize_t, op=int, keep=bytes, keep_at=Py_ssize_t)
    cpdef bint put_data(self, bytes layout, bytes rdata) except -1
    @cython.locals(mark=Py_ssize_t, was=int, done=int, rdata=bytes)
    cpdef bint rrset(self, int section, bytes name, unsigned int type, unsigned int rclass, unsigned int ttl, list rdatas) except -1
    cpdef void forget(self, int section, int n) except *
    cpdef void back(self, Py_ssize_t mark) except *
    @cython.locals(opt=bytes, n=Py_ssize_t, most=Py_ssize_t, missing=Py_ssize_t)
    cpdef bytes finish(self, int pad=*)


@cython.locals(start=Py_ssize_t, end=Py_ssize_t, n=int)
cdef Py_ssize_t _name_end(bytes data, Py_ssize_t o) except -2
