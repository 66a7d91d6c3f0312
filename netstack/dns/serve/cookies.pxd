cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.siphash cimport SipHash


@cython.final
cdef class Cookies:
    cdef readonly bint required
    cdef readonly bytearray option
    cdef bytearray _made
    cdef long long _ahead
    cdef list _keys
    @cython.locals(t="unsigned int", made="unsigned int", age="unsigned int", i=Py_ssize_t)
    cpdef int judge(self, bytearray b, Py_ssize_t o, Py_ssize_t n, unsigned long long high, unsigned long long low, bint six,
                    long long now) except -1
    @cython.locals(wrong="long long")
    cdef bint is_ours(self, Py_ssize_t i, unsigned long long high, unsigned long long low, bint six) except -1
    cdef void make(self, unsigned int t, unsigned long long high, unsigned long long low, bint six) except *
    @cython.locals(key=SipHash, h="unsigned long long")
    cdef void put_hash(self, Py_ssize_t i, unsigned long long high, unsigned long long low, bint six, bytearray b,
                      Py_ssize_t o) except *

cdef unsigned long long little(unsigned long long first, unsigned long long second) noexcept
cdef unsigned long long turned(unsigned long long v) noexcept
