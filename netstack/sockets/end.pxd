from netstack.sockets.inbox cimport Inbox


cdef class StreamEnd(Inbox):
    cdef public object face, told
    cdef readonly bint open
    cdef public bint shut
    cdef void connected(self, long long now) except *
    cdef void arrived(self) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *
    cdef void tell(self) except *
