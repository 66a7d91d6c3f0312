cimport cython
cimport netstack.raw as raw
cimport netstack.tcp.const as tc


@cython.final
cdef class Options:
    cdef readonly int mss, wscale, sacks
    cdef readonly Py_ssize_t sack_at
    cdef readonly bint sack_permitted
    cdef readonly long long tsval, tsecr
    cpdef void clear(self) noexcept
    @cython.locals(kind=int, n=int)
    cpdef bint parse(self, bytearray b, Py_ssize_t o, Py_ssize_t end) except -1


@cython.locals(o=Py_ssize_t, n=int)
cpdef int put_syn(bytearray b, Py_ssize_t end, int mss, int wscale, bint sack, bint ts, unsigned int tsval, unsigned int tsecr) except -1

@cython.locals(mss=int)
cpdef int send_mss(int announced, int mtu) noexcept
