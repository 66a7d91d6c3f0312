cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.router.nat.const as nc
cimport netstack.router.nat.sysio as sysio
from netstack.buffers cimport Pool, keep
from netstack.cores cimport Frame, StreamUser
from netstack.router.nat.poller cimport Poller, Watched
from netstack.router.policy.bucket cimport Share
from netstack.tcp.catch cimport Request
from netstack.tcp.connection cimport Connection
from netstack.timers cimport CallTimer, Timers


@cython.final
cdef class Slabs:
    cdef readonly Pool pool
    cdef Frame slab
    cdef Py_ssize_t at
    cdef Py_ssize_t room(self) except -1
    @cython.locals(o=Py_ssize_t)
    cdef object take(self, Py_ssize_t n)




cdef class Owner:
    cpdef connected(self, Relay relay, int error, long long now)
    cpdef opened(self, Relay relay, long long now)
    cpdef over(self, Relay relay, object error, long long now)
    cpdef inspect(self, Relay relay, bint final, long long now)


cdef class Relay(Watched):
    cdef Owner owner
    cdef Poller poller
    cdef Slabs slabs
    cdef Timers timers
    cdef readonly object flow
    cdef readonly Request request
    cdef public object tag
    cdef readonly int fd, state, tos
    cdef readonly Connection conn
    cdef public object error
    cdef readonly long long last, sent, received, rate
    cdef long long purse_out, purse_in, purse_at
    cdef readonly Share share
    cdef list out
    cdef Py_ssize_t at
    cdef readonly Py_ssize_t out_bytes
    cdef readonly bint quick, writes, end_out, shut, readable, ending, full, gone
    cdef bint waiting, reset
    cdef public bint inspected, asked
    cdef CallTimer timer
    cpdef bint accept(self, long long now) except -1
    cpdef StreamUser take_over(self, Connection conn)
    cdef void connected(self, long long now) except *
    @cython.locals(o=Py_ssize_t, k=Py_ssize_t)
    cdef void data(self, Frame f, Py_ssize_t n, long long now) except *
    cdef void hurry(self) except *
    cdef void mark(self, int tos) except *
    cdef void queued(self, bytes data, long long now) except *
    cdef void lent(self, object data, long long now) except *
    cdef void put(self, object data, Py_ssize_t n) except *
    cdef void after_put(self, long long now) except *
    cpdef bytes first(self)
    cpdef void let_pass(self, long long now) except *
    @cython.locals(k=Py_ssize_t, out=list)
    cdef void flush(self, long long now) except *
    @cython.locals(i=Py_ssize_t, size=Py_ssize_t)
    cdef void release(self, Py_ssize_t k) except *
    cdef void eof(self, long long now) except *
    cdef void ready(self, int events, long long now) except *
    cdef void resume(self, long long now) except *
    @cython.locals(conn=Connection, share=Py_ssize_t, room=Py_ssize_t, n=Py_ssize_t)
    cdef void pull(self, long long now) except *
    cdef void writable(self, long long now) except *
    cpdef void limit(self, long long rate, Share share, long long now) except *
    @cython.locals(most="long long", came="long long")
    cdef void fill(self, long long now) except *
    cdef bint pays(self, long long now) except -1
    cdef bint pays_in(self, long long now) except -1
    cdef void look_again(self, long long now) except *
    cpdef void tick(self, long long now) except *
    cdef void broken(self, int error, long long now) except *
    cdef void closed(self, object error, long long now) except *
    cpdef void abort(self, long long now) except *
    cpdef void cut(self, long long now) except *
    cpdef void finish(self, long long now) except *
    cpdef int give_away(self) except *


cdef long long most_of(long long rate) noexcept
