cimport cython
cimport netstack.raw as raw
from netstack.cores cimport DatagramUser, Frame, StreamUser
from netstack.tcp.connection cimport Connection
from netstack.udp.core cimport UdpPort


cdef class Quiet(StreamUser):
    cdef readonly Connection conn
    cdef readonly bint opened, ended
    cdef readonly long long received
    cdef readonly object error
    cpdef void bind(self, Connection conn) except *
    cdef void connected(self, long long now) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *


cdef class Sink(Quiet):
    cdef bint copy
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *


cdef class Echo(Quiet):
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *


cdef class Source(Quiet):
    cdef bytes chunk
    cdef readonly long long left
    cdef void connected(self, long long now) except *
    cdef void writable(self, long long now) except *


cdef class Pinger(Quiet):
    cdef bytes message
    cdef readonly long long left
    cpdef void kick(self, long long now) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *


cdef class Once(Quiet):
    cdef bytes message
    cdef bint reset
    cdef void connected(self, long long now) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *


cdef class Bounce(DatagramUser):
    cdef readonly UdpPort port
    cdef readonly long long received
    cpdef void bind(self, UdpPort port) except *
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *
