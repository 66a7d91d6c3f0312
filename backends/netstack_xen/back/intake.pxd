cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack_xen.orders as orders
cimport netstack_xen.slots as slots
cimport netstack_xen.back.const as own
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore
from netstack_xen.back.lane cimport Lane, Taken
from netstack_xen.back.mib cimport BackMib
from netstack_xen.ring cimport BackRing


cdef class Intake(NetifCore):
    cdef readonly object hypervisor
    cdef readonly int front
    cdef public int gives
    cdef readonly BackMib mib
    cdef readonly Pool pool
    cdef readonly FrameSink sink
    cdef bytearray orders
    cdef list memory, taken
    cdef Py_ssize_t count
    cdef public list lanes
    cdef public object control
    cdef public set groups
    cdef public bint disabled, ended
    cdef void feed(self, Lane lane, long long now) except *
    cdef void tell(self, int port) except *
    @cython.locals(lanes=list, lane=Lane, units=int, more=bint)
    cpdef bint turn(self, long long now) except -1
    @cython.locals(more=bint)
    cdef bint serve(self) except -1
    @cython.locals(ring=BackRing, lanes=list, t=Taken, units=int, n=int, i=int, used=int, waiting=int)
    cdef int take(self, Lane lane, int room, long long now) except -1
    @cython.locals(ring=BackRing, mib=BackMib, f=Frame, i="unsigned int", r="unsigned int", gref="unsigned int", at=Py_ssize_t,
                   rest="unsigned long long", used=int, status=int, dummy=bint, offset=int, flags=int, id=int, size=int, more=int,
                   kind=int, marks=int, first=Py_ssize_t, count=Py_ssize_t, tail=int, many=bint, wrong=bint, o=int, flags_n=int,
                   id_n=int, n=int, length=int)
    cdef int parse(self, Lane lane, Taken t, int which, int waiting) except -1
    @cython.locals(ring=BackRing)
    cdef void consume(self, Lane lane, int used) except *
    @cython.locals(ring=BackRing, i=int)
    cdef void refuse(self, Lane lane, int extras, int used) except *
    @cython.locals(at=Py_ssize_t, id=int, ring=BackRing)
    cdef void spoil(self, Lane lane, unsigned int slot) except *
    @cython.locals(t=Taken, i=int, k=Py_ssize_t, end=Py_ssize_t, past=Py_ssize_t)
    cdef void fetch(self, Lane lane, int n) except *
    @cython.locals(k=Py_ssize_t)
    cdef void carry(self) except *
    @cython.locals(f=Frame, mib=BackMib)
    cdef void up(self, Taken t, long long now) except *
    @cython.locals(b=bytearray, mib=BackMib, kind=int, l4=Py_ssize_t, n=Py_ssize_t, proto=int, six=bint, asked=int, at=Py_ssize_t,
                   addresses=int)
    cdef bint undone(self, Frame f, Taken t) except -1
    @cython.locals(lanes=list, lane=Lane, left=int, units=int)
    cpdef void drink_up(self, long long now) except *
