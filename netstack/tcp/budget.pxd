cimport cython
from netstack.tcp.mib cimport TcpExt


@cython.final
cdef class Budget:
    cdef TcpExt ext
    cdef readonly long long soft, low, hard, used
    cdef readonly bint pressed
    cpdef void charge(self, long long n) noexcept
    cpdef void refund(self, long long n) noexcept
    cpdef bint fits(self, long long n) noexcept
