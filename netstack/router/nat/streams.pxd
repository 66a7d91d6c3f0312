cimport cython
cimport netstack.router.nat.const as nc
cimport netstack.router.nat.sysio as sysio
from netstack.router.conversation cimport Flow
from netstack.router.nat.mib cimport NatMib
from netstack.router.nat.poller cimport Poller
from netstack.router.nat.relay cimport Owner, Relay, Slabs
from netstack.tcp.catch cimport Request
from netstack.timers cimport Timers


cdef class TcpNat(Owner):
    cdef readonly object nat
    cdef readonly NatMib mib
    cdef readonly Slabs slabs
    cdef readonly dict relays, others, guests
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t most, most_per_guest
    cdef Poller poller
    cdef Timers timers
    @cython.locals(flow=Flow, mine=Py_ssize_t, now="long long", src=object)
    cpdef caught(self, Request request)
    cpdef never(self, Request request, Flow flow, object state, object note)
    @cython.locals(left=Py_ssize_t)
    cpdef done(self, object src, Flow flow, object state, object note=*)
    cpdef decided(self, Request request, Flow flow, object decision, long long now)
    @cython.locals(relay=Relay, fd=int, error=int, address="unsigned long long", port=int, source="unsigned long long")
    cpdef connect(self, Request request, Flow flow, object decision, object target, long long now)
    cpdef connected(self, Relay relay, int error, long long now)
    @cython.locals(flow=Flow)
    cpdef opened(self, Relay relay, long long now)
    @cython.locals(flow=Flow)
    cpdef over(self, Relay relay, object error, long long now)
    cpdef inspect(self, Relay relay, bint final, long long now)


@cython.locals(flow=Flow)
cpdef refresh(Relay relay)
