cimport cython
cimport netstack.const as const
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.congestion.base cimport Congestion
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.recover cimport Recoverer
from netstack.tcp.recovery.board cimport Run
from netstack.tcp.recovery.episode cimport Episode
from netstack.tcp.recovery.rack cimport Flight
from netstack.tcp.tcb cimport Hub


cdef class Timekeeper(Recoverer):
    cdef void fail(self, object error, long long now) except *
    @cython.locals(fl=Flight, at="long long")
    cdef void watch(self, long long length, long long now) except *
    @cython.locals(fl=Flight, since="long long", wait="long long", flight="long long")
    cdef long long probe_at(self, long long rto_at) except? -1
    @cython.locals(fl=Flight, mss="long long", length="long long", off="long long", n="long long", runs=list, i=Py_ssize_t, run=Run)
    cdef void tail_probe(self, long long now) except *
    @cython.locals(fl=Flight)
    cdef void reorder_timeout(self, long long now) except *
    cdef bint overdue(self, long long now) except -1
    cdef object gave_up(self)
    @cython.locals(hub=Hub, limit=int, run=Run, n="long long")
    cdef void timeout(self, long long now) except *
    @cython.locals(fl=Flight, ext=TcpExt, cc=Congestion, run=Run, flight="unsigned int")
    cdef void lose_all(self, long long now) except *
    cdef void persist_timeout(self, long long now) except *
