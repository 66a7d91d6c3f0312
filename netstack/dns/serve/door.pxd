cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame
from netstack.dns.serve.quick cimport Quick
from netstack.udp.core cimport UdpPort


cdef class Door(DatagramUser):
    cdef readonly Quick quick
    cdef public object desk
    cdef readonly unsigned long long asked
    cdef public UdpPort port
    @cython.locals(q=Quick, n=Py_ssize_t)
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
