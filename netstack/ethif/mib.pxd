cimport cython
from netstack.counters cimport Group


@cython.final
cdef class LinkMib(Group):
    cdef public long long InFrames, OutFrames, InTooShort, InOtherHost, InBadSource, InOwnEcho, InUnknownType, OutTooLong
    cdef public long long OutErrors


@cython.final
cdef class ArpMib(Group):
    cdef public long long InRequests, InReplies, OutRequests, OutReplies, OutProbes, OutAnnouncements, InTooShort, InBadFormat
    cdef public long long InBadSource, InBadAddress, InUnasked, InLocked, Conflicts, Defences, AddressesLost, Resolved
    cdef public long long ResFailed, ResRefused, UnresolvedDiscards, TableFulls, OutBadNextHop, OutNoSource
