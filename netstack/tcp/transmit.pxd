cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport Out
from netstack.tcp.options cimport put_syn
from netstack.tcp.queues cimport SendQueue
from netstack.tcp.recovery.board cimport Run
from netstack.tcp.recovery.rack cimport Flight
from netstack.tcp.tcb cimport Hub, Tcb


cdef class Transmitter(Tcb):
    cdef unsigned int offer(self) except? 0xFFFFFFFF
    cdef void settle(self) except *
    cdef void watch(self, long long length, long long now) except *
    @cython.locals(hub=Hub, hdr=bytearray, hl="unsigned int", o=Py_ssize_t, size=int, wnd="unsigned int", q=SendQueue, p=Out, sent=bint)
    cdef bint emit(self, unsigned int flags, unsigned int seq, Py_ssize_t n, long long now) except -1
    @cython.locals(hub=Hub, passive=bint, wnd="unsigned int", hl="unsigned int", flags="unsigned int", ack="unsigned int")
    cdef int emit_syn(self, long long now) except -1
    @cython.locals(seq="unsigned int")
    cdef int send_ack(self, long long now) except -1
    cdef unsigned int in_window(self) noexcept
    cdef int send_reset(self, long long now) except -1
    @cython.locals(segments=int)
    cdef int note(self, long long now, unsigned int seq, long long n, int why) except -1
    cdef object history_of(self)
    cdef Py_ssize_t pending(self) noexcept
    cdef unsigned int in_flight(self) noexcept
    @cython.locals(cwnd="long long")
    cdef long long room(self) except? -1
    @cython.locals(mss=int)
    cdef int largest(self) except -1
    @cython.locals(length="long long", fl=Flight)
    cdef void output(self, long long now) except *
    @cython.locals(fl=Flight, mss="long long", largest="long long", room="long long", runs=list, i=Py_ssize_t, run=Run, n="long long", off="long long", sent="long long")
    cdef bint resend(self, long long now) except -1
    @cython.locals(fl=Flight, run=Run, q=SendQueue, off="long long", length="long long", flags="unsigned int", text="long long", seq="unsigned int", why=int)
    cdef long long resend_run(self, Py_ssize_t i, long long n, long long now) except? -1
    @cython.locals(mss=int, largest="long long", room="long long", off="long long", left="long long", n="long long", fl=Flight)
    cdef void send_new(self, long long length, long long now) except *
    cdef bint may_send_small(self, long long n, long long left) except -1
    @cython.locals(q=SendQueue, flags="unsigned int", seq="unsigned int", end="unsigned int", fits=bint)
    cdef long long send_at(self, long long off, long long n, long long length, long long now) except? -1
    @cython.locals(length="long long", n="long long", flags="unsigned int", end="unsigned int", q=SendQueue)
    cdef void probe(self, long long now) except *
    cdef bint shrink(self, int mtu, long long now) except -1
