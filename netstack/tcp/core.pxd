cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
cimport netstack.tcp.lines as lines
from netstack.cores cimport Frame, IpError, Out, PacketSink, StreamUser
from netstack.tcp.catch cimport Held
from netstack.tcp.connection cimport Connection
from netstack.tcp.cookies cimport Cookies, read_stamp, stamp
from netstack.tcp.demux cimport Demux, key_of
from netstack.tcp.listener cimport Listener
from netstack.tcp.lookahead cimport Lookahead, Waiting
from netstack.tcp.mib cimport TcpExt, TcpMib
from netstack.tcp.options cimport Options, put_syn
from netstack.tcp.resets cimport Resets
from netstack.tcp.tcb cimport Tcb
from netstack.tcp.timewait cimport TimeWait

cdef Options _OPTIONS


cdef class TcpCore(PacketSink):
    cdef readonly Demux hub
    cdef readonly Resets resets
    cdef readonly Held held
    cdef readonly Lookahead ahead
    @cython.locals(hub=Demux, mib=TcpMib, b=bytearray, o=Py_ssize_t, have=Py_ssize_t, ports="unsigned int", seq="unsigned int", ack="unsigned int", offset_flags=int, field=int, hl=int, flags=int, key="unsigned long long", c=Connection)
    cdef void input(self, Frame f) except *
    @cython.locals(hub=Demux, ahead=Lookahead)
    cdef bint put_off(self, Frame f, unsigned long long key) except -1
    @cython.locals(ahead=Lookahead)
    cdef void drain(self) except *
    @cython.locals(hub=Demux, f=Frame, ports="unsigned int", seq="unsigned int", ack="unsigned int", offset_flags=int, field=int, hl=int, flags=int, key="unsigned long long", c=Connection)
    cdef void resume(self, Waiting w) except *
    @cython.locals(hub=Demux, ext=TcpExt, listener=Listener, n=Py_ssize_t, mtu=int, fate=int, iss="unsigned int", top="unsigned long long", local_port=int, remote_port=int, c=Connection, tw=TimeWait)
    cdef void no_connection(self, Frame f, object entry, unsigned int ports, unsigned int seq, unsigned int ack, int flags, int field, int hl) except *
    @cython.locals(mss=int)
    cdef unsigned int cookie_iss(self, Frame f, unsigned long long line, unsigned int ports, unsigned int seq, int hl) except *
    @cython.locals(hub=Demux, now="long long", line="unsigned long long", iss="unsigned int", wscale=int, sack=bint, tsval="unsigned int", ts=bint, p=Out, o=Py_ssize_t, wnd="unsigned int", swapped="unsigned int", flags="unsigned int")
    cdef void cookie_syn(self, Frame f, Listener listener, int mtu, unsigned int ports, unsigned int seq, int hl) except *
    @cython.locals(hub=Demux, ext=TcpExt, iss="unsigned int", irs="unsigned int", line="unsigned long long", mss=int, mtu=int, tsecr="unsigned int", c=Connection)
    cdef void cookie_ack(self, Frame f, Listener listener, unsigned int ports, unsigned int seq, unsigned int ack, int flags, int field, int hl) except *
    @cython.locals(now="long long", swapped="unsigned int")
    cdef void reset(self, Frame f, unsigned int ports, unsigned int seq, unsigned int ack, int flags, Py_ssize_t n) except *
    cdef void flush(self, long long now) except *
    cpdef void gather(self) except *
    @cython.locals(hub=Demux, c=Tcb)
    cpdef void settle(self, long long now) except *
    cdef void error(self, IpError e, long long now) except *
    @cython.locals(hub=Demux, local_port=int, remote_port=int, seq="unsigned int", c=Connection)
    cpdef void icmp(self, IpError e, long long now) except *
    cpdef int mtu_for(self, unsigned long long remote, long long now) except *
    @cython.locals(hub=Demux, c=Connection)
    cpdef Connection open(self, unsigned long long local, int local_port, unsigned long long remote, int remote_port, StreamUser user, long long now,
                          object prepare=*)
