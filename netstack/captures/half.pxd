cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
from netstack.tcp.budget cimport Budget
from netstack.tcp.queues cimport Reassembly


@cython.final
cdef class Half:
    cdef readonly long long isn, at, origin, fin_at
    cdef readonly unsigned int nxt, edge
    cdef readonly bint seen, anchored, has_fin, finished, edge_known
    cdef public int scale
    cdef readonly list chunks, doubtful, conflicting
    cdef readonly object starts, log, gaps
    cdef readonly Reassembly queue
    cdef readonly long long new, retransmitted, out_of_window, after_fin, late
    cdef public long long segments, urgent
    cdef readonly long long out_of_order, conflicts, keepalives
    @cython.locals(first="unsigned int", lowest="long long")
    cpdef bint syn(self, unsigned int isn) except -1
    cpdef restart(self, unsigned int isn)
    cdef begin(self)
    @cython.locals(lowest="long long")
    cdef settle(self)
    @cython.locals(ahead="long long")
    cpdef take(self, unsigned int seq, bytes text, long long n, bint fin, bint probe, object time, object number)
    @cython.locals(position="long long", room="long long", m=Py_ssize_t, old=Py_ssize_t)
    cdef place(self, unsigned int seq, long long ahead, bytes text, long long n, bint fin, object time, object number)
    cdef reached(self)
    cdef note(self, object time, long long position, Py_ssize_t n, object number)
    cdef deliver(self, bytes data)
    cdef drain(self)
    @cython.locals(n=Py_ssize_t, done=Py_ssize_t, o="long long", end="long long", start="unsigned int")
    cdef lay(self, unsigned int seq, long long position, bytes text, object time, object number)
    @cython.locals(n=Py_ssize_t, i=Py_ssize_t, skip="long long", start="long long", o="long long", have="long long", chunk=bytes)
    cdef old(self, long long position, bytes text, object number)
    cdef int byte_before(self) except -2
    cdef same(self, long long position, bytes first, bytes again, object number)
    @cython.locals(edge="unsigned int")
    cpdef acked(self, unsigned int ack, long long window)
    cdef doubt(self, unsigned int seq, bytes text, long long n, bint fin, object time, object number)
    @cython.locals(left=list, doubtful=list)
    cdef believe(self, unsigned int ack)
    @cython.locals(head="long long")
    cdef give_up(self)
    cdef gap(self, long long n)


@cython.locals(n="long long")
cdef long long _ahead(unsigned int a, unsigned int b)
