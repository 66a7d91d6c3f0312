cimport cython
from netstack.counters cimport Group


@cython.final
cdef class FaultMib(Group):
    cdef public long long Frames, TooLong, QueueFull, Picked, AckLost, Lost, Corrupted, Duplicated, Reordered, Cut, Tampered
    cdef public long long InboxFull


@cython.final
cdef class NodeMib(Group):
    cdef public long long Forwarded, Fragmented, BadHeader, TimeExceeded, NoRoute, TooBig, NotForwarded, Local, Errors
