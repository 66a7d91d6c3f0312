cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport StreamUser
from netstack.tcp.congestion.base cimport Congestion
from netstack.tcp.queues cimport SendQueue
from netstack.tcp.receive cimport Receiver
from netstack.tcp.tcb cimport Hub
from netstack.tcp.tuning cimport Tuner, send_high, send_low


cdef class Handle(Receiver):
    cdef void end(self, object error, long long now) except *
    cdef int stop(self) except -1
    cdef int drop_rx(self) except -1
    cdef bint to_read(self) except -1
    @cython.locals(user=StreamUser)
    cdef int tell(self, object error, long long now) except -1
    cdef void finish(self, long long now) except *
    cdef void delivered(self, long long now) except *
    cdef void enter_time_wait(self, long long now) except *
    cdef void fail(self, object error, long long now) except *
    cdef void kill(self, long long now) except *
    cdef void reset_by_peer(self, long long now) except *
    cdef int check_writable(self) except -1
    @cython.locals(n=Py_ssize_t, q=SendQueue)
    cpdef bint write(self, object data, long long now) except -1
    @cython.locals(q=SendQueue)
    cpdef bint write_kept(self, object parts, long long now) except -1
    @cython.locals(q=SendQueue)
    cdef int write_one(self, object data, long long now) except -1
    cdef bint below_high(self) except -1
    cdef int kick(self, long long now) except -1
    cpdef void shutdown(self, long long now) except *
    @cython.locals(unread=bint)
    cpdef void close(self, long long now) except *
    cpdef void abort(self, long long now) except *
    cpdef void hang_up(self, long long now) except *
    cpdef void vanish(self, long long now) except *
    cpdef void pause(self, long long now) except *
    cpdef void resume(self, long long now) except *
    cdef void open_window_again(self, long long now) except *
    cpdef void attach(self, StreamUser user) except *
    cdef void hold(self, Py_ssize_t n) except *
    cdef void let_go(self, Py_ssize_t n, long long now) except *
    cdef void owe(self, Handle sink, long long now) except *
    cdef void reopen(self, long long now) except *
    @cython.locals(shift=int, least="long long", offered="long long")
    cpdef void set_rcv_buf(self, long long size, long long now) except *
    @cython.locals(hub=Hub, high="long long")
    cdef long long high_mark(self) except? -1
    @cython.locals(high="long long", low="long long")
    cdef long long low_mark(self) except? -1
    cpdef void limit_mss(self, int size) except *
    cpdef void set_marks(self, long long low, long long high) except *
    cpdef void set_nodelay(self, bint on, long long now) except *
    @cython.locals(new=Congestion)
    cpdef void set_congestion(self, object name) except *
    cpdef void set_keepalive(self, long long idle, long long interval, int count, long long now) except *
    cpdef bint lingers(self) except *
