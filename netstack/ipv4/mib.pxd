cimport cython
from netstack.counters cimport Group


@cython.final
cdef class IpMib(Group):
    cdef public long long InReceives, InHdrErrors, InAddrErrors, ForwDatagrams, InUnknownProtos, InDiscards, InDelivers
    cdef public long long OutRequests, OutDiscards, OutNoRoutes, ReasmTimeout, ReasmReqds, ReasmOKs, ReasmFails, FragOKs
    cdef public long long FragFails, FragCreates, InTruncatedPkts, InMcastPkts, OutMcastPkts, InBcastPkts, OutBcastPkts
    cdef public long long InOctets, OutOctets, InCsumErrors, InTooShort, InBadVersion, InBadLength, InMartians, InLinkCast
    cdef public long long InOtherGroup, InSourceRoute, InBadOptions, ReasmOverlaps, ReasmTooBig, ReasmInconsistent, ReasmTiny
    cdef public long long ReasmEcn, ReasmLimit, ReasmLate, OutNoNeighbour, LoopDrops, InReversePath


@cython.final
cdef class IcmpMib(Group):
    cdef public long long InMsgs, InErrors, InCsumErrors, InDestUnreachs, InTimeExcds, InParmProbs, InSrcQuenchs, InRedirects
    cdef public long long InEchos, InEchoReps, InTimestamps, InTimestampReps, InAddrMasks, InAddrMaskReps, OutMsgs, OutErrors
    cdef public long long OutRateLimitGlobal, OutDestUnreachs, OutTimeExcds, OutParmProbs, OutEchos, OutEchoReps
    cdef public long long InUnknownTypes, InEchosIgnored, InEchoRepsUnasked, InBadQuote, InForeignReports, InBadMtu, OutForbidden


@cython.final
cdef class IgmpMib(Group):
    cdef public long long InMsgs, InErrors, InQueries, InReports, InOther, OutReports, OutLeaves
