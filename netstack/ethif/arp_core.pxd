cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport Frame, FrameSink, LinkCore, NextHopCore, Out
from netstack.ethif.arp_cache cimport Cache, Expiry, Neighbour
from netstack.ethif.mib cimport ArpMib
from netstack.timers cimport CallTimer, Timers


cdef class ArpExpiry(Expiry):
    cdef ArpCore arp
    cdef void expired(self, Neighbour n, long long now) except *


cdef class ArpRx(FrameSink):
    cdef ArpCore arp
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class ArpCore(NextHopCore):
    cdef LinkCore below
    cdef readonly unsigned long long own
    cdef Timers timers
    cdef object rng
    cdef bint keep
    cdef readonly ArpMib _mib
    cdef readonly Cache cache
    cdef readonly dict claims
    cdef dict deadlines
    cdef long long attempted
    cdef Neighbour hot
    cdef Out out, relay
    cdef readonly ArpRx rx
    cdef public object on_unreachable, on_conflict, on_lost, on_ready
    @cython.locals(n=Neighbour)
    cdef void send(self, Out p, unsigned long long next_hop, long long now) except *
    cdef void send_group(self, Out p, unsigned long long next_hop, long long now) except *
    @cython.locals(action=int)
    cdef void resolve(self, Out p, Neighbour n, long long now) except *
    @cython.locals(head=bytes, data=bytes)
    cdef void park(self, Out p, Neighbour n) except *
    @cython.locals(p=Out, off=Py_ssize_t, head=bytes, data=bytes, l4=Py_ssize_t, csum_off=int, gso=int)
    cdef void release(self, Neighbour n, long long now) except *
    @cython.locals(n=Neighbour, known=Neighbour)
    cdef void progress(self, unsigned long long next_hop, long long now) except *
    @cython.locals(action=int)
    cdef void expired(self, Neighbour n, long long now) except *
    cdef object ask(self, Neighbour n, unsigned long long to, long long now)
    @cython.locals(p=Out)
    cdef void emit(self, unsigned long long to, object packet, long long now) except *
    @cython.locals(mib=ArpMib)
    cdef void receive(self, Frame f) except *
    cdef void probed(self, object a, long long now) except *
    @cython.locals(n=Neighbour, action=int, ours=bint)
    cdef void spoken(self, object a, long long now) except *
    cdef void answer(self, object a, long long now) except *
    cdef void announce(self, unsigned long long ip, long long now) except *
    cdef void conflict(self, object claim, unsigned long long mac, long long now) except *
