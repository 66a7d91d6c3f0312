cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame


cdef class Received(DatagramUser):
    cdef object take
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
