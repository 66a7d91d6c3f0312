cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport Frame
from netstack.tcp.congestion.base cimport Congestion
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.options cimport Options
from netstack.tcp.recovery.episode cimport Episode
from netstack.tcp.recovery.rack cimport Flight
from netstack.tcp.recovery.board cimport Run
from netstack.tcp.transmit cimport Transmitter


cdef class Recoverer(Transmitter):
    @cython.locals(acked="unsigned int", fin=bint)
    cdef bint advance(self, unsigned int ack, long long now) except -1
    @cython.locals(fl=Flight, acked="unsigned int", flight="unsigned int", fin=bint, twice=bint, was=int, n="long long", begin="unsigned int", end="unsigned int")
    cdef bint hear(self, Frame f, Options options, unsigned int ack, bint duplicate, long long now) except -1
    @cython.locals(ticks="long long")
    cdef long long echo(self, long long now) noexcept
    @cython.locals(rtt="long long")
    cdef long long ticks(self, long long echo_to, long long now) noexcept
    @cython.locals(fl=Flight, rtt="long long")
    cdef void measure(self, unsigned int ack, long long now) except *
    @cython.locals(fl=Flight, ext=TcpExt, hits="long long", twice=bint, i=int, at=Py_ssize_t, begin="unsigned int", end="unsigned int")
    cdef bint blocks(self, Frame f, Options options, unsigned int ack) except -1
    @cython.locals(at=Py_ssize_t, second="unsigned int", second_end="unsigned int")
    cdef bint is_dsack(self, Frame f, Options options, unsigned int begin, unsigned int end, unsigned int ack) except -1
    cdef void reorder(self) except *
    @cython.locals(ext=TcpExt)
    cdef bint duplicated(self, unsigned int begin, unsigned int end, unsigned int ack, long long now) except -1
    @cython.locals(fl=Flight)
    cdef void note_losses(self) except *
    @cython.locals(fl=Flight)
    cdef void settle(self) except *
    @cython.locals(fl=Flight, window="long long")
    cdef long long window(self) except? -1
    @cython.locals(fl=Flight)
    cdef void widen(self, long long now) except *
    @cython.locals(cc=Congestion, owed="long long", fl=Flight)
    cdef void enter(self, long long flight, long long now) except *
    cdef void recovered(self, long long now) except *
    cdef void overtaken(self, long long now) except *
    @cython.locals(ext=TcpExt, episode=Episode)
    cdef void undo(self, bint dsack, long long now) except *
    @cython.locals(fl=Flight, mss="long long", most="long long")
    cdef void duplicate(self, long long flight, long long now) except *
    @cython.locals(fl=Flight)
    cdef void partial(self, long long now) except *
    cdef void probed(self, unsigned int ack, unsigned int acked, bint twice, int sacks, long long flight, long long now) except *
