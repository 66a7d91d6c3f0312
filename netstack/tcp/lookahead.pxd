cimport cython
cimport netstack.raw as raw
cimport netstack.tcp.lines as lines
from netstack.cores cimport Frame
from netstack.tcp.connection cimport Connection
from netstack.tcp.demux cimport Demux
from netstack.tcp.table cimport Table


@cython.final
cdef class Waiting:
    cdef Frame frame
    cdef unsigned long long local, key, hash
    cdef bint follows
    cdef int give_back(self, Frame f) except -1


@cython.final
cdef class Lookahead:
    cdef Demux hub
    cdef list places
    cdef long long least, gate
    cdef Py_ssize_t count, turn
    cpdef void begin_at(self, long long least) except *
    cdef bint takes(self, Frame f) except -1
    cdef bint full(self) noexcept
    @cython.locals(w=Waiting, before=Waiting, g=Frame, o=Py_ssize_t)
    cdef void put(self, Frame f, unsigned long long key) except *
    @cython.locals(hub=Demux, i=Py_ssize_t, w=Waiting, table=Table, c=Connection)
    cdef void look(self) except *
    @cython.locals(w=Waiting)
    cdef Waiting next(self)
    cdef void clear(self) except *
