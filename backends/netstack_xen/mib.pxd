from netstack.counters cimport Group


cdef class XenMib(Group):
    cdef public long long InFrames, OutFrames, OutCut, Notified, OutDown, OutNoRoom, OutTooLong, OutRefused, OutNotReached


cdef class FrontMib(XenMib):
    cdef public long long OutWaited, OutErrors, OutDropped, OutBadStatus
    cdef public long long InErrors, InBadId, InBadSize, InBadExtra, InBadGso, InTooLong, InTooShort, InUnfinished
    cdef public long long FatalProducer, FatalId, FatalNull, CtrlBad, Connects, Losses, CarrierLost, PagesRefused
