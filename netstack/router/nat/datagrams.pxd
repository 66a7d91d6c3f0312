cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.router.nat.const as nc
cimport netstack.router.nat.sysio as sysio
from netstack.cores cimport DatagramCatcher, Frame, IpError
from netstack.router.nat.mib cimport NatMib
from netstack.router.nat.poller cimport Poller, Watched
from netstack.udp.core cimport UdpCore


cpdef int how_of(Frame f) except -1


cdef class Chooser:
    cpdef owner(self, unsigned long long src)
    cpdef begun(self, Session session, long long now)
    cpdef ended(self, Session session, long long now)


@cython.final
cdef class Session:
    cdef readonly Mapping mapping
    cdef readonly unsigned long long dst, to
    cdef readonly int dport, to_port
    cdef public long long idle, last
    cdef long long used, purse, purse_at
    cdef public object flow
    cdef readonly long long sent, received, rate
    cdef readonly int verdict, code
    cdef list early
    @cython.locals(f=Frame, n=Py_ssize_t)
    cpdef settle(self, unsigned long long to, int to_port, long long rate, long long now)
    cpdef deny(self, int code, long long now)
    @cython.locals(most="long long")
    cdef bint affords(self, Py_ssize_t n, long long now) except -1


cdef class Mapping(Watched):
    cdef readonly UdpNat nat
    cdef readonly unsigned long long src
    cdef readonly object owner
    cdef readonly int port, fd
    cdef int how
    @cython.locals(new=int, old=int)
    cdef void become(self, int how) except *
    cdef readonly dict sessions, back
    cdef open(self, long long now)
    cdef close(self)
    cdef void ready(self, int events, long long now) except *
    cdef void resume(self, long long now) except *
    @cython.locals(nat=UdpNat, f=Frame, n=Py_ssize_t, size=int, address="unsigned int", port=int, tos=int)
    cdef void pull(self, long long now) except *
    @cython.locals(nat=UdpNat, udp=UdpCore, key="unsigned long long", session=Session)
    cdef void deliver(self, Frame f, Py_ssize_t n, int size, unsigned long long address, unsigned int port, int tos,
                      long long now) except *
    @cython.locals(session=Session)
    cdef unsigned long long known(self, unsigned long long address) except? 0
    @cython.locals(nat=UdpNat, session=Session, mtu=int)
    cdef int errors(self, long long now) except -1


cdef class UdpNat(DatagramCatcher):
    cdef UdpCore udp
    cdef readonly object icmp, shares
    cdef readonly Poller poller
    cdef readonly Chooser chooser
    cdef readonly NatMib mib
    cdef readonly unsigned long long gateway
    cdef bint units
    cdef readonly int most
    cdef readonly Frame frame
    cdef readonly dict mappings
    cdef public int filtering
    cdef public long long idle, short, max_sessions, max_sockets
    cdef public unsigned long long outbound
    cdef unsigned long long key0, dkey0
    cdef Session session0
    cdef void forget(self) except *
    @cython.locals(key="unsigned long long", dkey="unsigned long long", session=Session, mapping=Mapping, n=Py_ssize_t, size=int, how=int)
    cdef void caught(self, Frame f, int sport, int dport, long long now) except *
    @cython.locals(mapping=Mapping, session=Session)
    cdef Session begin(self, Frame f, int sport, int dport, long long now)
    @cython.locals(mib=NatMib, mapping=Mapping, k=Py_ssize_t, part=Py_ssize_t)
    cdef void pass_on(self, Session session, Frame f, Py_ssize_t o, Py_ssize_t n, int size, int how, long long now) except *
    @cython.locals(mib=NatMib, mapping=Mapping, k=Py_ssize_t)
    cdef void send_again(self, Session session, Frame f, Py_ssize_t o, Py_ssize_t n, long long now) except *
    @cython.locals(mapping=Mapping)
    cdef void report(self, Session session, bytes payload, int type, int code, long long now, int rest=*) except *
    @cython.locals(mapping=Mapping, session=Session)
    cdef void error(self, IpError e, int sport, int dport, long long now) except *
    @cython.locals(mapping=Mapping)
    cpdef end(self, Session session, long long now)
    @cython.locals(session=Session)
    cpdef void sweep(self, long long now) except *
    cpdef list sessions(self)
    cpdef void close(self, long long now) except *
