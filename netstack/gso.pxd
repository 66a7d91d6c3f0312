cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Out


@cython.locals(at=Py_ssize_t, s="unsigned int")
cpdef void complete(Out p) except *


@cython.final
cdef class Cutter:
    cdef Py_ssize_t ip, head, end, left, size
    cdef int checksum, proto, flags, ident
    cdef unsigned int seq, addresses, count
    @cython.locals(ip=Py_ssize_t, l4=Py_ssize_t)
    cpdef bint begin(self, Out p, Py_ssize_t link) except -1
    @cython.locals(hdr=bytearray, ip=Py_ssize_t, l4=Py_ssize_t, n=Py_ssize_t, length=Py_ssize_t, flags=int)
    cpdef bint next(self, Out p) except -1
    cpdef Py_ssize_t remaining(self) except -1
