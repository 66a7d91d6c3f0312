cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.tcp.const as tc
from netstack.cores cimport Frame, IpError, PacketSink, StreamUser
from netstack.tcp.connection cimport Connection
from netstack.tcp.demux cimport Demux, key_of
from netstack.tcp.mib cimport TcpExt, TcpMib
from netstack.tcp.options cimport Options
from netstack.tcp.timewait cimport TimeWait

cdef Options _OPTIONS


cdef class TcpCore(PacketSink):
    cdef readonly Demux hub
    cdef long long reset_at
    @cython.locals(hub=Demux, mib=TcpMib, b=bytearray, o=Py_ssize_t, have=Py_ssize_t, ports="unsigned int", seq="unsigned int", ack="unsigned int", offset_flags=int, field=int, hl=int, flags=int, key="unsigned long long", c=Connection)
    cdef void input(self, Frame f) except *
    @cython.locals(hub=Demux, ext=TcpExt, n=Py_ssize_t, mtu=int, iss="unsigned int", top="unsigned long long", local_port=int, remote_port=int, c=Connection, tw=TimeWait)
    cdef void no_connection(self, Frame f, object entry, unsigned int ports, unsigned int seq, unsigned int ack, int flags, int field, int hl) except *
    @cython.locals(now="long long", swapped="unsigned int")
    cdef void reset(self, Frame f, unsigned int ports, unsigned int seq, unsigned int ack, int flags, Py_ssize_t n) except *
    cdef void flush(self, long long now) except *
    @cython.locals(hub=Demux, todo=list, c=Connection)
    cpdef void settle(self, long long now) except *
    cdef void error(self, IpError e, long long now) except *
    @cython.locals(hub=Demux, local_port=int, remote_port=int, seq="unsigned int", c=Connection)
    cpdef void icmp(self, IpError e, long long now) except *
    cpdef int mtu_for(self, unsigned long long remote, long long now) except *
    @cython.locals(hub=Demux, c=Connection)
    cpdef Connection open(self, unsigned long long local, int local_port, unsigned long long remote, int remote_port, StreamUser user, long long now)
