cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame
from netstack.udp.core cimport UdpPort


cdef class EchoPort(DatagramUser):
    cdef public UdpPort port
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
