cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport DatagramCatcher, DatagramUser, Frame, IpCore, IpError, Out, PacketSink
from netstack.udp.mib cimport UdpMib


cdef class UdpPort:
    cdef UdpCore core
    cdef readonly unsigned long long local, remote
    cdef readonly int local_port, remote_port
    cdef readonly bint reuse, closed
    cdef public bint quiet
    cdef public DatagramUser user
    cdef readonly list groups
    @cython.locals(n=Py_ssize_t)
    cpdef send(self, object data, long long address, long long port, long long now, int ttl=*, int tos=*, bint df=*,
               unsigned long long source=*)
    @cython.locals(n=Py_ssize_t, unit=Py_ssize_t, o=Py_ssize_t, k=Py_ssize_t, core=UdpCore)
    cpdef Py_ssize_t send_many(self, object data, Py_ssize_t size, long long address, long long port, long long now, int ttl=*,
                               int tos=*, bint df=*) except -1
    cdef void answer(self, Frame f, int sport, object data, Py_ssize_t n, long long now) except *
    cdef (long long, long long) destination(self, long long address, long long port, int ttl, int tos) except *
    cdef bint takes(self, unsigned long long dst, unsigned long long src, int sport) except? 0


cdef class UdpCore(PacketSink):
    cdef readonly object ip
    cdef IpCore below
    cdef readonly UdpMib mib
    cdef readonly int offload
    cdef Out out
    cdef readonly dict ports, bound, connected
    cdef unsigned long long key0, dst0
    cdef UdpPort port0
    cdef readonly DatagramCatcher catcher
    cpdef void catch(self, DatagramCatcher catcher) except *
    cpdef bint send_as(self, Frame f, Py_ssize_t n, int gso, unsigned long long local, int local_port, unsigned long long address,
                       int port, long long now, int ttl=*, int tos=*) except -1
    cdef void forget(self) except *
    # ports that are shifted are unsigned: a high one would spread its sign over the address
    @cython.locals(key="unsigned long long", u=UdpPort)
    cdef UdpPort look_up(self, unsigned long long src, unsigned long long dst, unsigned int sport, unsigned int dport)
    @cython.locals(m=UdpMib, b=bytearray, o=Py_ssize_t, have=Py_ssize_t, sport="unsigned int", dport="unsigned int", length=int, check=int,
                   key="unsigned long long", u=UdpPort)
    cdef void input(self, Frame f) except *
    @cython.locals(size=Py_ssize_t, end=Py_ssize_t, o=Py_ssize_t)
    cdef void hand_over(self, UdpPort u, Frame f, int sport) except *
    @cython.locals(off=Py_ssize_t, end=Py_ssize_t, found=bint, u=UdpPort)
    cdef void spread(self, Frame f, int sport, int dport) except *
    cdef void flush(self, long long now) except *
    @cython.locals(quote=bytes, sport=int, dport=int, u=UdpPort)
    cdef void error(self, IpError e, long long now) except *
    @cython.locals(p=Out, head=Py_ssize_t, s="unsigned int")
    cdef void put(self, object data, Py_ssize_t o, Py_ssize_t n, int gso, unsigned long long local, int local_port,
                  unsigned long long address, int port, long long now, int ttl, int tos, bint df, bint quiet) except *
    @cython.locals(local="unsigned long long")
    cdef void transmit(self, UdpPort u, object data, Py_ssize_t o, Py_ssize_t n, int gso, unsigned long long address, int port, long long now,
                       int ttl, int tos, bint df, unsigned long long source) except *
