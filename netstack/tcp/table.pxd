cimport cython
cimport netstack.const as const
cimport netstack.tcp.lines as lines
from netstack.siphash cimport SipHash


@cython.final
cdef class Table:
    cdef SipHash hash
    cdef Py_ssize_t count, mask
    cdef bytearray keys
    cdef list entries
    cdef int shift
    @cython.locals(size=Py_ssize_t)
    cdef int clear(self, int bits) except -1
    cdef Py_ssize_t place(self, unsigned long long key) except -1
    @cython.locals(i=Py_ssize_t, there="unsigned long long")
    cdef Py_ssize_t seek(self, unsigned long long h, unsigned long long key) except -1
    @cython.locals(i=Py_ssize_t)
    cpdef object get(self, unsigned long long key)
    cdef object at(self, unsigned long long h, unsigned long long key)
    cdef void ask(self, unsigned long long h) noexcept
    cdef void ask_entry(self, unsigned long long h, unsigned long long key) except *
    @cython.locals(i=Py_ssize_t)
    cpdef void put(self, unsigned long long key, object entry) except *
    @cython.locals(keys=bytearray, entries=list, at=Py_ssize_t, key="unsigned long long", i=Py_ssize_t)
    cdef int grow(self) except -1
    @cython.locals(i=Py_ssize_t, free=Py_ssize_t, home=Py_ssize_t)
    cpdef void remove(self, unsigned long long key) except *
