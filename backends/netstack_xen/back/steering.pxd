cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack_xen.back.const as own


@cython.final
cdef class Steering:
    cdef public int lanes, algorithm, flags
    cdef public list mapping
    cdef readonly bytearray key
    cdef readonly int kind
    cdef readonly unsigned int value
    @cython.locals(value="unsigned int")
    cpdef int choose(self, bytearray b, Py_ssize_t o, Py_ssize_t end) except -1
    @cython.locals(l4=Py_ssize_t, kind=int, s="unsigned int", proto=int, ported=bint)
    cdef int flow(self, bytearray b, Py_ssize_t o, Py_ssize_t end) except -1
    @cython.locals(l4=Py_ssize_t, kind=int, whole=bint)
    cdef void hash(self, bytearray b, Py_ssize_t o, Py_ssize_t end) except *
    @cython.locals(key=bytearray, window="unsigned int", value="unsigned int", k=int, left=Py_ssize_t, byte=int, follows=int, bit=int)
    cdef unsigned int toeplitz(self, bytearray b, Py_ssize_t o, Py_ssize_t n, Py_ssize_t ports) except? 0xFFFFFFFF
