cimport cython
from netstack.counters cimport Group


@cython.final
cdef class DoorMib(Group):
    cdef public long long Queries, Hits, Alike, Fills, HandedOn, Truncated, CookieKnown, CookieNew, RateSlipped
    cdef public long long RateDropped, InSilence, InBadPort, InTooLong, OutFailed
