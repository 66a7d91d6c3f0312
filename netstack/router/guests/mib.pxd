cimport cython
from netstack.counters cimport Group


@cython.final
cdef class PortMib(Group):
    cdef public long long InFrames, InForwarded, InFlooded, OutFrames, InTooShort, InSpoofedMac, InSpoofedIp, InSpoofedArp
    cdef public long long InForeignIp, InOtherType, InRogueDhcp, InIsolated, InUnknown, InFloodLimited
    cdef public long long MacsForgotten, IpsForgotten, OutTooLong, OutRefused, OutCut
