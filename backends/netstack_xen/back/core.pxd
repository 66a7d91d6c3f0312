cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack_xen.slots as slots
cimport netstack_xen.back.const as own
cimport netstack_xen.orders as orders
from netstack.buffers cimport Pool
from netstack.cores cimport Frame, FrameSink, NetifCore, Out
from netstack.gso cimport Cutter
from netstack_xen.back.lane cimport Lane, Parcel, Taken
from netstack_xen.back.mib cimport BackMib
from netstack_xen.back.steering cimport Steering
from netstack_xen.ring cimport BackRing


cdef class BackCore(NetifCore):
    cdef readonly object hypervisor
    cdef readonly int front
    cdef public int gives
    cdef readonly BackMib mib
    cdef readonly Pool pool
    cdef readonly FrameSink sink
    cdef Cutter cutter
    cdef bytearray orders, slot_of, head
    cdef list memory, taken
    cdef Py_ssize_t count
    cdef public list lanes
    cdef public set groups
    cdef public Steering steering
    cdef public bint carrier, disabled, ended, blank4, blank6, gso4, gso6, pieces, filtered
    cdef public long long drain, stall
    cdef int unit, flags, id, fill
    cdef unsigned int gref, cons
    cdef unsigned long long unit_extra, hash_extra
    cdef object page
    cdef public object control
    cpdef void forget(self) except *
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
    @cython.locals(mib=BackMib, kind=int)
    cdef void send(self, Out p, long long now) except *
    @cython.locals(dst="unsigned long long", o=Py_ssize_t, b=bytearray)
    cdef bint wanted(self, Out p) except -1
    @cython.locals(n=Py_ssize_t, more=Py_ssize_t)
    cdef bytearray headers(self, Out p)
    cdef int kind(self, Out p) except -1
    cdef bint leaves(self, Out p) except -1
    @cython.locals(cutter=Cutter, mib=BackMib, complete=bint)
    cdef void cut(self, Out p, long long now) except *
    @cython.locals(mib=BackMib, steering=Steering, lane=Lane, n=int, length=Py_ssize_t, extra="unsigned long long")
    cdef bint put(self, Out p, int kind, long long now) except -1
    @cython.locals(mib=BackMib)
    cdef bint wait(self, Lane lane, Parcel parcel, long long now) except -1
    @cython.locals(needed=int, n=int)
    cdef bint room(self, Lane lane, Py_ssize_t length, int kind, unsigned long long extra) except -1
    @cython.locals(parcel=Parcel, lanes=list)
    cdef void feed(self, Lane lane, long long now) except *
    @cython.locals(lanes=list, lane=Lane, left=int, units=int)
    cpdef void drink_up(self, long long now) except *
    @cython.locals(lane=Lane)
    cpdef void purge(self) except *
    @cython.locals(lane=Lane, parcel=Parcel, soonest="long long")
    cpdef long long expiry(self) except *
    @cython.locals(flags=int)
    cdef void begin(self, Lane lane, int kind, int size, bint blank, unsigned long long extra) except *
    cdef void turn_page(self, Lane lane) except *
    @cython.locals(step=int)
    cdef void lay(self, Lane lane, int which, Py_ssize_t place, Py_ssize_t n) except *
    @cython.locals(left=Py_ssize_t, n=Py_ssize_t, which=int)
    cdef void gather(self, Lane lane, Out p) except *
    @cython.locals(ring=BackRing)
    cdef void close_slot(self, Lane lane, int more) except *
    @cython.locals(ring=BackRing, mib=BackMib, k=Py_ssize_t, at=Py_ssize_t, id=int, offset=int, flags=int)
    cdef void end(self, Lane lane, long long now) except *
    cdef void tell(self, int port) except *
