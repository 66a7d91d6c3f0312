from netstack.counters cimport Group


cdef class DeviceMib(Group):
    cdef public long long InFrames, OutFrames, InTruncated, InTooShort, InBadGso, OutNoRoom, OutDown, OutGone, OutRefused
    cdef public long long InJoined, OutCut, OutNotReached
