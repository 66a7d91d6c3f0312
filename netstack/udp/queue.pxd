cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame
from netstack.udp.mib cimport UdpMib


cdef class DatagramQueue(DatagramUser):
    cdef readonly UdpMib mib
    cdef public object wake
    cdef readonly Py_ssize_t limit, held, dropped
    cdef readonly object queue, errors
    @cython.locals(item=tuple, data=bytes)
    cpdef tuple get(self)
    @cython.locals(n=Py_ssize_t)
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
