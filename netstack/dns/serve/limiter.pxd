cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.siphash cimport SipHash


@cython.final
cdef class Limiter:
    cdef readonly long long over, dropped, slipped
    cdef list _costs, _exempt
    cdef long long _window
    cdef int _slip
    cdef bint _log_only
    cdef unsigned long long _low, _high, _sets
    cdef bytearray _accounts
    cdef SipHash _hash
    @cython.locals(at=Py_ssize_t, worst=Py_ssize_t, cost="long long", n="unsigned int")
    cpdef int judge(self, int kind, unsigned long long question, unsigned long long high, unsigned long long low, bint six,
                    long long now) except -1
    @cython.locals(b=bytearray, h=SipHash, hashed="unsigned long long", o=Py_ssize_t, tag="unsigned int", found=Py_ssize_t,
                   oldest=Py_ssize_t, least="long long", at=Py_ssize_t, paid="long long", over=bint)
    cdef Py_ssize_t charge(self, int kind, unsigned long long question, unsigned long long high, unsigned long long low, bint six,
                           long long cost, long long now) except -2
    cpdef bint is_exempt(self, unsigned long long high, unsigned long long low, bint six) except *

cpdef int kind_of(int flags, int an) except -1
