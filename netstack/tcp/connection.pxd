cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport Frame, StreamUser
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.options cimport Options, send_mss
from netstack.tcp.handle cimport Handle
from netstack.tcp.listener cimport Listener

cdef Options _OPTIONS


cdef class Connection(Handle):
    @cython.locals(now="long long", n=Py_ssize_t, length="long long", end="unsigned int", lull=bint)
    cdef void input(self, Frame f, unsigned int seq, unsigned int ack, int flags, long long field, int hl) except *
    cdef bint overtaken_ack(self, unsigned int seq, unsigned int ack) except -1
    cdef bint options(self, Frame f, unsigned int seq, unsigned int ack, int hl, long long length, long long now) except -1
    @cython.locals(ahead="unsigned int", wnd="unsigned int")
    cdef bint acceptable(self, unsigned int seq, long long length) except -1
    @cython.locals(flight="long long", behind="long long")
    cdef bint is_news(self, unsigned int seq, unsigned int ack, int flags) except -1
    @cython.locals(ext=TcpExt)
    cdef void unacceptable(self, unsigned int seq, int flags, long long length, long long now) except *
    cdef void challenge(self, long long now) except *
    cdef bint check_ack(self, Frame f, unsigned int seq, unsigned int ack, long long wnd, long long length, long long now) except -1
    cdef void open_window(self, unsigned int seq, unsigned int ack, long long wnd) noexcept
    cdef int take_syn(self, Frame f, unsigned int seq, long long field, int hl) except -1
    @cython.locals(most="long long")
    cdef int agree(self, Options options, unsigned int seq, long long now) except -1
    cdef int passive_open(self, Frame f, unsigned int seq, long long field, int hl, bint baked) except -1
    cdef void cookie_open(self, Listener listener, Options options, unsigned int irs, long long now) except *
    @cython.locals(rtt="long long")
    cdef void time_cookie(self, long long now) except *
    @cython.locals(when="long long")
    cdef void answer_again(self, long long now) except *
    cdef int active_open(self, StreamUser user, long long now) except -1
    @cython.locals(now="long long")
    cdef void syn_sent(self, Frame f, unsigned int seq, unsigned int ack, int flags, long long field, int hl) except *
    @cython.locals(start="long long")
    cdef void established(self, long long now) except *
    @cython.locals(echo_to="long long")
    cdef bint time_syn(self, long long now) except -1
    cdef void flush(self, long long now) except *
    cdef int tell_writable(self, long long now) except -1
    cdef void expire(self, long long now) except *
    @cython.locals(due="long long")
    cdef void keep_alive(self, long long now) except *
    cdef void icmp(self, bint hard, object error, unsigned int seq, long long now) except *
    cdef bint too_big(self, int mtu, unsigned int seq, long long now) except -1
