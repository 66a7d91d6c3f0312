cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.dns.ask cimport Ask
from netstack.dns.reader cimport Reader


@cython.final
cdef class Packed:
    cdef readonly int flags, an, ns, ar
    cdef readonly Py_ssize_t question, needed
    cdef readonly bytes body
    cdef readonly bint glue
    cdef bytearray ttls
    @cython.locals(o=Py_ssize_t, n=Py_ssize_t, flags=int, an=int, ns=int, ar=int)
    cpdef Py_ssize_t patch(self, Ask ask, Py_ssize_t limit, long long age, bytes options) except -1
    @cython.locals(i=Py_ssize_t, end=Py_ssize_t, at=int, ttl="long long")
    cdef void run_down(self, bytearray b, Py_ssize_t o, Py_ssize_t n, long long age) except *
    cpdef bytes reply(self, Ask ask, Py_ssize_t limit=*, long long age=*, bytes options=*)
