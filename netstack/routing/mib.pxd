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
    cdef public long long Entries, Found, Invalid, Insert, InsertFailed, Drop, EarlyDrop, IcmpError, Expired, Filtered, HostFull
    cdef public long long PortsFull, NotPreserved, Hairpins, ResetsDoubted, BadProtocol, Pieces, PiecesWaited, PiecesLost
