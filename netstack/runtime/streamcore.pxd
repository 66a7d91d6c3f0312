from netstack.runtime.base cimport Crank
from netstack.sleeper cimport Sleeper
from netstack.sockets.inbox cimport Inbox


cdef class StreamCore(Inbox):
    cdef object face
    cdef Crank crank
    cdef public bint asleep, resting
    cdef public object reader, writer
    cdef void connected(self, long long now) except *
    cdef void arrived(self) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *
    cdef void wake_reader(self) except *
    cdef void wake_writer(self) except *
    cpdef void wake(self) except *
