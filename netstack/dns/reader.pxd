cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc


@cython.final
cdef class Reader:
    cdef readonly bytearray b
    cdef bytearray scratch
    cdef public Py_ssize_t o, end
    cdef public int section, index
    cdef Py_ssize_t last_at, jumps
    cdef public bint multicast
    cdef bytes last
    cpdef object fail(self, str what)
    cpdef void need(self, Py_ssize_t n) except *
    cpdef Py_ssize_t left(self) except -1
    @cython.locals(v=int)
    cpdef int u8(self) except -1
    @cython.locals(v=int)
    cpdef int u16(self) except -1
    @cython.locals(v="long long")
    cpdef long long u32(self) except *
    @cython.locals(v=bytes)
    cpdef bytes take(self, Py_ssize_t n)
    cpdef bytes rest(self)
    cpdef bytes string(self)
    cpdef void finish(self) except *
    @cython.locals(b=bytearray, p=Py_ssize_t, end=Py_ssize_t, first=Py_ssize_t, low=Py_ssize_t, n=Py_ssize_t, jumps=int, after=Py_ssize_t,
                   c=int, target=Py_ssize_t)
    cpdef bytes name(self)
    cpdef void skip(self, Py_ssize_t n) except *
    @cython.locals(b=bytearray, p=Py_ssize_t, end=Py_ssize_t, c=int)
    cpdef void skip_name(self) except *
    @cython.locals(b=bytearray, p=Py_ssize_t, c=int)
    cpdef bytes plain_name(self)
    @cython.locals(outer=Py_ssize_t, start=Py_ssize_t, data=bytes, layout=bytes)
    cpdef bytes rdata(self, int type, Py_ssize_t n)
    @cython.locals(op=int, parts=list)
    cpdef bytes expand(self, bytes layout)
