cimport cython
from netstack.counters cimport Group


@cython.final
cdef class LinkMib(Group):
    cdef public long long InFrames, OutFrames, InTooShort, InOtherHost, InBadSource, InOwnEcho, InUnknownType, OutTooLong
