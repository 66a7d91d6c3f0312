cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.options cimport put_syn
from netstack.tcp.queues cimport SendQueue
from netstack.tcp.tcb cimport Hub, Tcb


cdef class Transmitter(Tcb):
    cdef unsigned int offer(self) except *
    cdef void fail(self, object error, long long now) except *
    @cython.locals(hub=Hub, hdr=bytearray, hl="unsigned int", o=Py_ssize_t, size=int, wnd="unsigned int", sent=bint)
    cdef void emit(self, unsigned int flags, unsigned int seq, object data, Py_ssize_t at, Py_ssize_t n, long long now) except *
    @cython.locals(hub=Hub, passive=bint, wnd="unsigned int", hl="unsigned int", flags="unsigned int", ack="unsigned int")
    cdef void emit_syn(self, long long now) except *
    @cython.locals(seq="unsigned int")
    cdef void send_ack(self, long long now) except *
    cdef void send_reset(self, long long now) except *
    cdef Py_ssize_t pending(self) noexcept
    @cython.locals(length="long long", mss=int, largest=int, window="long long", off="long long", left="long long", n="long long")
    cdef void output(self, long long now) except *
    cdef bint may_send_small(self, long long n, long long left) except *
    @cython.locals(o=Py_ssize_t, q=SendQueue, flags="unsigned int", seq="unsigned int", end="unsigned int")
    cdef void send_at(self, long long off, long long n, long long length, long long now) except *
    cdef void watch(self, long long length, long long now) except *
    @cython.locals(acked="long long", flight="unsigned int", length="long long", fin=bint, restart=bint)
    cdef bint acknowledged(self, unsigned int ack, long long now) except *
    @cython.locals(ticks="long long")
    cdef bint echo(self, long long now) except *
    @cython.locals(mss=int)
    cdef void duplicate(self, long long now) except *
    @cython.locals(n="long long", sent="long long", fin="unsigned int")
    cdef void resend_head(self, long long now) except *
    @cython.locals(q=SendQueue)
    cdef void send_piece(self, long long n, unsigned int fin, long long now) except *
    @cython.locals(limit="long long")
    cdef bint overdue(self, long long now) except *
    cdef object gave_up(self)
    @cython.locals(hub=Hub, limit=int)
    cdef void timeout(self, long long now) except *
    cdef void persist_timeout(self, long long now) except *
    @cython.locals(length="long long", n="long long", fin="unsigned int", end="unsigned int")
    cdef void probe(self, long long now) except *
    cdef bint shrink(self, int mtu, long long now) except *
