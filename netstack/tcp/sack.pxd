cimport cython
cimport netstack.raw as raw
cimport netstack.serial as serial


@cython.final
cdef class Sacks:
    cdef readonly list blocks
    cdef readonly bint due
    cdef readonly unsigned int dup_seq, dup_end
    @cython.locals(old=list, rest=list, i=Py_ssize_t, a="unsigned int", b="unsigned int")
    cpdef void add(self, unsigned int seq, unsigned int end) except *
    cpdef void duplicate(self, unsigned int seq, unsigned int end) except *
    @cython.locals(old=list, rest=list, i=Py_ssize_t)
    cpdef void advance(self, unsigned int rcv_nxt) except *
    @cython.locals(blocks=list, dup=int, n=Py_ssize_t, size=int, o=Py_ssize_t, i=Py_ssize_t)
    cpdef int put(self, bytearray b, Py_ssize_t end, int most) except -1
