cimport cython
cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame
from netstack.runtime.base cimport Crank
from netstack.udp.core cimport UdpPort


cdef class UdpTransport(DatagramUser):
    cdef dict __dict__
    cdef object __weakref__
    cdef Crank _crank
    cdef UdpPort _port
    cdef object _core, _loop, _on_end, _protocol, _received, _remote, _shown
    cdef dict _chosen, _names, _peers
    cdef bint _closing
    cdef int _family
    cdef Py_ssize_t _plain
    @cython.locals(key="unsigned long long")
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef tuple _learn(self, unsigned long long key)
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
    cpdef sendto(self, object data, object addr=*)
