cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.budget cimport Budget


@cython.final
@cython.freelist(64)
cdef class SendQueue:
    cdef Budget budget
    cdef SendQueue after
    cdef list chunks
    cdef readonly Py_ssize_t length
    cdef Py_ssize_t head, cursor, at
    cdef readonly object data
    cdef readonly Py_ssize_t o, n, rest_n
    cdef readonly list rest
    @cython.locals(n=Py_ssize_t, chunks=list)
    cpdef int append(self, object data) except -1
    @cython.locals(chunks=list, i=Py_ssize_t, size=Py_ssize_t)
    cpdef int release(self, Py_ssize_t n) except -1
    cpdef void clear(self) except *
    @cython.locals(o=Py_ssize_t, first=Py_ssize_t, have=Py_ssize_t)
    cpdef Py_ssize_t view(self, Py_ssize_t offset, Py_ssize_t n, Py_ssize_t mss, bint gather) except -1
    @cython.locals(chunks=list, i=Py_ssize_t, end=Py_ssize_t)
    cdef Py_ssize_t reach(self, Py_ssize_t have, Py_ssize_t n) except -1
    @cython.locals(rest=list, i=Py_ssize_t)
    cdef int spread(self, Py_ssize_t n) except -1
    @cython.locals(parts=list, i=Py_ssize_t, left=Py_ssize_t, take=Py_ssize_t)
    cdef int join(self, Py_ssize_t o, Py_ssize_t n) except -1
    cpdef void drop(self) noexcept


@cython.final
cdef class Piece:
    cdef unsigned int seq
    cdef bytes data


@cython.final
cdef class Reassembly:
    cdef Budget budget
    cdef public Py_ssize_t limit
    cdef Py_ssize_t first
    cdef readonly list pieces
    cdef readonly Py_ssize_t nbytes
    cpdef Py_ssize_t count(self) noexcept
    cpdef Py_ssize_t cost(self) noexcept
    @cython.locals(pieces=list, lo=Py_ssize_t, hi=Py_ssize_t, middle=Py_ssize_t, probe=Piece)
    cdef Py_ssize_t find(self, unsigned int seq) except -1
    @cython.locals(before=Py_ssize_t, new=Py_ssize_t)
    cpdef Py_ssize_t insert(self, unsigned int seq, bytes data) except -2
    @cython.locals(pieces=list, end="unsigned int", i=Py_ssize_t, left=Piece, left_end="unsigned int", gone=Py_ssize_t, before=Py_ssize_t, right=Piece, n=Py_ssize_t)
    cdef Py_ssize_t place(self, unsigned int seq, bytes data) except -2
    @cython.locals(pieces=list, piece=Piece, data=bytes, n=Py_ssize_t, old=Py_ssize_t, before=Py_ssize_t)
    cpdef bytes pop(self, unsigned int rcv_nxt)
    @cython.locals(piece=Piece)
    cpdef long long head(self) except *
    @cython.locals(found=list, end="unsigned int", i=Py_ssize_t, piece=Piece)
    cpdef list held(self, unsigned int seq, Py_ssize_t n)
    cpdef void clear(self) except *
