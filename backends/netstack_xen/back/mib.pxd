from netstack.counters cimport Group


cdef class BackMib(Group):
    cdef public long long InFrames, InGso, InBlank, InMulticast, InSlots, InShort, InTooManySlots, InLengths, InBadRef
    cdef public long long InBadBlank, InBadGso, InGroupsFull, FatalRing, FatalPageBorder, FatalSlots, FatalMissing
    cdef public long long FatalExtra, FatalGso, OutFrames, OutGso, OutBlank, OutSlots, OutCut, OutQueued, OutDown
    cdef public long long OutFiltered, OutNoRoom, OutExpired, OutPurged, OutStalled, OutTooLong, OutBadRef, OutRefused
    cdef public long long OutNotReached, Stalls, Notified, Connects, Refusals, ControlRequests
