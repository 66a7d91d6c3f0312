cimport cython
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.options cimport Options


cdef int mss_index(int mss) except -1

@cython.locals(bits=int, low=int)
cpdef unsigned int stamp(unsigned int clock, int wscale, bint sack) except *

@cython.locals(wscale=int)
cpdef void read_stamp(Options options, unsigned int tsecr) except *


@cython.final
cdef class Cookies:
    cdef list keys
    cdef readonly long long period
    cdef readonly object rng
    @cython.locals(period="long long")
    cdef long long turn(self, long long now) except *
    cdef unsigned int mac(self, long long period, unsigned long long local, unsigned long long remote, unsigned int ports, unsigned int seq, int index) except *
    @cython.locals(period="long long", i=int)
    cpdef unsigned int iss(self, unsigned int line, unsigned long long local, unsigned long long remote, unsigned int ports, unsigned int seq, int mss, long long now) except *
    @cython.locals(period="long long", d="unsigned int", age=int, i=int)
    cpdef int check(self, unsigned int line, unsigned long long local, unsigned long long remote, unsigned int ports, unsigned int seq, unsigned int iss, long long now) except -2
