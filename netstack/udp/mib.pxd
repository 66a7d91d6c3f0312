cimport cython
from netstack.counters cimport Group


@cython.final
cdef class UdpMib(Group):
    cdef public long long InDatagrams, NoPorts, InErrors, OutDatagrams, RcvbufErrors, SndbufErrors, InCsumErrors
    cdef public long long IgnoredMulti, MemErrors, InTooShort, InBadLength, InErrorsUnmatched, InErrorsMatched
