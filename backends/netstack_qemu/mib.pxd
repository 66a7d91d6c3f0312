cimport cython
from netstack.counters cimport Group


@cython.final
cdef class QemuMib(Group):
    cdef public long long InFrames, InJoined, OutFrames, OutCut, OutQueued
    cdef public long long InTooShort, InTooLong, InGreeting, InNameless, InBadLength
    cdef public long long OutNoRoom, OutNobody, OutRefused, OutNotReached
    cdef public long long Arrivals, Departures, TurnedAway
