cimport cython
from netstack.counters cimport Group


@cython.final
cdef class ForwardMib(Group):
    cdef public long long InReceives, InDelivers, ForwDatagrams, ForwOctets, FragOKs, FragFails, FragCreates, OutNoRoutes
    cdef public long long InTtlExceeded, InMartians, InSpoofed, InSourceRoute, InBadOptions, InLinkCast, InDirectedBcast, InWrongSide
    cdef public long long InUnsolicited, InCutShort, InBadOffload, OutTooLong, OutRedirects, OutErrorsLimited, OutErrorsForbidden
    cdef public long long OutErrors, OutNoNeighbour, MssClamped


@cython.final
cdef class ConntrackMib(Group):
    cdef public long long entries, found, invalid, insert, insert_failed, drop, early_drop, icmp_error, expired, filtered, host_full
    cdef public long long ports_full, not_preserved, hairpins, resets_doubted, bad_protocol, pieces, pieces_waited, pieces_lost
