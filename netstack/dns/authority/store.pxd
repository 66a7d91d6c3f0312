cimport cython
cimport netstack.raw as raw
from netstack.dns.authority.node cimport Node, Set


@cython.final
cdef class Store:
    cdef readonly bytes suffix
    cdef readonly bytearray heap, places, table, free
    cdef readonly Py_ssize_t mask, count, garbage, floor
    @cython.locals(n=Py_ssize_t, i=Py_ssize_t, found="unsigned int", o=Py_ssize_t)
    cpdef unsigned int find(self, bytes key) except *
    @cython.locals(o=Py_ssize_t)
    cpdef bytes key(self, unsigned int id)
    @cython.locals(o=Py_ssize_t)
    cpdef bytes name(self, unsigned int id)
    @cython.locals(heap=bytearray, o=Py_ssize_t, n=int)
    cdef Py_ssize_t seek(self, unsigned int id, int type) except -1
    @cython.locals(o=Py_ssize_t)
    cpdef bint has(self, unsigned int id, int type) except -1
    @cython.locals(o=Py_ssize_t)
    cpdef Set get(self, unsigned int id, int type)
    @cython.locals(id="unsigned int", found=list)
    cpdef list numbers(self, int type)
    cpdef Node node(self, unsigned int id)
    @cython.locals(n=int, found=Node)
    cpdef Node node_at(self, bytearray heap, Py_ssize_t o)
    @cython.locals(n=Py_ssize_t)
    cdef Py_ssize_t skip(self, bytearray heap, Py_ssize_t o) except -1
    @cython.locals(ttl="long long", n=Py_ssize_t, m=Py_ssize_t, i=Py_ssize_t, size=Py_ssize_t, rdatas=list, signatures=list)
    cdef Set read(self, bytearray heap, Py_ssize_t o)
    @cython.locals(n=int)
    cdef Py_ssize_t number(self, bytearray heap, Py_ssize_t o) except -1
    @cython.locals(n=int)
    cdef Py_ssize_t width(self, bytearray heap, Py_ssize_t o) except -1
    @cython.locals(key=bytes, found="unsigned int", below="unsigned int")
    cpdef unsigned int put(self, bytes name, dict sets) except *
    @cython.locals(o=Py_ssize_t)
    cdef unsigned int below(self, unsigned int id) except *
    @cython.locals(found="unsigned int", upper="unsigned int", i=Py_ssize_t, n=Py_ssize_t)
    cdef unsigned int insert(self, bytes name, bytes key, unsigned int below, dict sets) except *
    @cython.locals(o=Py_ssize_t, node=Node)
    cdef unsigned int adopt(self, unsigned int id, int more) except *
    @cython.locals(o=Py_ssize_t, upper=bytes, above="unsigned int")
    cdef void drop(self, unsigned int id, bytes key) except *
    @cython.locals(o=Py_ssize_t)
    cdef bint empty(self, unsigned int id) except -1
    @cython.locals(i=Py_ssize_t, j=Py_ssize_t, home=Py_ssize_t, other="unsigned int")
    cdef void unlist(self, unsigned int id, bytes key) except *
    @cython.locals(found="unsigned int", i=Py_ssize_t)
    cdef void grow(self) except *
    @cython.locals(heap=bytearray, n=int)
    cdef Py_ssize_t end(self, Py_ssize_t o) except -1
    @cython.locals(o=Py_ssize_t, end=Py_ssize_t, out=bytearray, type=object, kept=Set, value=bytes)
    cdef void write(self, unsigned int id, bytes name, unsigned int below, dict sets) except *
    cdef void put_number(self, bytearray out, Py_ssize_t n) except *
    @cython.locals(fresh=bytearray, i=Py_ssize_t, o=Py_ssize_t)
    cdef void compact(self) except *
