cimport cython
cimport netstack.raw as raw
from netstack.cores cimport DatagramCatcher, DatagramUser, Frame, FrameSink, IpError, NetifCore, Out, StreamUser


cdef class PySink(FrameSink):
    cdef object handler
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class FramePort:
    cdef NetifCore core
    cdef Out out
    @cython.locals(p=Out)
    cpdef send(self, object frame, long long now)
    cpdef send_out(self, Out p, long long now)


cdef class TeeSink(FrameSink):
    cdef object observer, taken
    cdef FrameSink sink
    @cython.locals(now="long long")
    cdef void input(self, Frame f) except *
    cdef void flush(self, long long now) except *


cdef class TeePort(NetifCore):
    cdef object observer
    cdef NetifCore core
    cdef void send(self, Out p, long long now) except *


cdef class PyStreamUser(StreamUser):
    cdef readonly object handler
    cdef void connected(self, long long now) except *
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void eof(self, long long now) except *
    cdef void writable(self, long long now) except *
    cdef void closed(self, object error, long long now) except *


cdef class PyDatagramUser(DatagramUser):
    cdef readonly object handler
    cdef void datagram(self, Frame f, int sport, long long now) except *
    cdef void error(self, object e, unsigned long long address, int port, long long now) except *


cdef class PyDatagramCatcher(DatagramCatcher):
    cdef readonly object handler
    cdef void caught(self, Frame f, int sport, int dport, long long now) except *
    cdef void error(self, IpError e, int sport, int dport, long long now) except *
