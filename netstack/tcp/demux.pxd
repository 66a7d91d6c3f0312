cimport cython
cimport netstack.const as const
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.siphash cimport SipHash
from netstack.tcp.connection cimport Connection
from netstack.tcp.cookies cimport Cookies
from netstack.tcp.listener cimport Listener
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.table cimport Table
from netstack.tcp.tcb cimport Hub, Tcb
from netstack.tcp.timewait cimport TimeWait
from netstack.timers cimport Timer, Timers


@cython.locals(key="unsigned long long", ports="unsigned int")
cpdef unsigned long long key_of(unsigned long long remote, unsigned int remote_port, unsigned int local_port) noexcept


cdef class Demux(Hub):
    cdef readonly dict tables, waits, listeners
    cdef readonly set reserved
    cdef readonly list half
    cdef readonly long long count
    cdef Table near
    cdef unsigned long long near_local
    cdef Connection cached
    cdef unsigned long long local0, key0
    cdef SipHash secret, where
    cdef unsigned long long line0, line_local, line_remote
    cdef unsigned int line_ports
    cdef readonly bint never, always
    cdef readonly Cookies cookies
    cdef readonly Py_ssize_t share
    cdef public long long iss_bias
    cdef public object catcher
    @cython.locals(mtu=int)
    cdef int mtu_for(self, unsigned long long remote, long long now) except *
    @cython.locals(table=Table)
    cdef Table table_of(self, unsigned long long local)
    @cython.locals(table=Table)
    cdef Timer find(self, unsigned long long local, unsigned long long key)
    cdef unsigned long long hash_of(self, unsigned long long key) except *
    @cython.locals(table=Table)
    cdef Timer find_by(self, unsigned long long local, unsigned long long h, unsigned long long key)
    @cython.locals(key="unsigned long long", table=Table)
    cdef int insert(self, Connection c) except -1
    cpdef bint taken(self, unsigned long long local, int local_port, unsigned long long remote, int remote_port) except -1
    @cython.locals(table=Table)
    cdef int drop(self, unsigned long long local, unsigned long long key) except -1
    cdef void remove(self, Tcb c) except *
    @cython.locals(tw=TimeWait, table=Table)
    cdef void rest(self, Tcb c, long long now) except *
    cdef int linger(self, TimeWait tw, long long now) except -1
    @cython.locals(wait=TimeWait)
    cdef void forget(self, Timer tw) except *
    cdef int embryo(self, Connection c, Listener listener) except -1
    @cython.locals(i=Py_ssize_t, last=Connection)
    cdef void graduate(self, Tcb c) except *
    @cython.locals(ext=TcpExt, limit=Py_ssize_t, crowded=bint, victim=Connection)
    cdef int admit(self, Listener listener, bint recycled, long long now) except -1
    @cython.locals(ext=TcpExt)
    cdef bint has_room(self, Listener listener) except -1
    cdef bint bakes(self, Listener listener, long long now) except -1
    @cython.locals(here=dict, listener=Listener)
    cdef Listener listener_for(self, unsigned long long address, int port)
    @cython.locals(c=Connection)
    cpdef void unlisten(self, Listener listener, long long now) except *
    @cython.locals(h=SipHash)
    cdef unsigned long long line(self, unsigned long long local, unsigned long long remote, unsigned int ports) except *
    @cython.locals(ports="unsigned int")
    cdef unsigned int ts_offset(self, Tcb c) except *
    @cython.locals(ports="unsigned int", line="unsigned long long")
    cpdef unsigned int iss(self, unsigned long long local, int local_port, unsigned long long remote, int remote_port, long long now) except *
