cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame
from netstack.udp.mib cimport UdpMib


cdef class DatagramEnd(DatagramUser):
    cdef UdpMib mib
    cdef object face
    cdef public Py_ssize_t limit
    cdef readonly Py_ssize_t held, dropped
    cdef readonly object queue
    @cython.locals(item=tuple)
    cpdef tuple get(self)
    @cython.locals(n=Py_ssize_t)
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
