cimport cython
cimport netstack.const as const
cimport netstack.gso as gso
cimport netstack.raw as raw
cimport netstack_xen.orders as orders
cimport netstack_xen.slots as slots
cimport netstack_xen.back.const as own
from netstack.cores cimport Out
from netstack.gso cimport Cutter
from netstack_xen.back.intake cimport Intake
from netstack_xen.back.lane cimport Lane, Parcel
from netstack_xen.back.mib cimport BackMib
from netstack_xen.back.steering cimport Steering
from netstack_xen.ring cimport BackRing


cdef class BackCore(Intake):
    cdef Cutter cutter
    cdef bytearray slot_of, head
    cdef public Steering steering
    cdef public bint carrier, blank4, blank6, gso4, gso6, pieces, filtered
    cdef public long long drain, stall
    cdef int unit, flags, id, fill
    cdef unsigned int gref, cons
    cdef unsigned long long unit_extra, hash_extra
    cdef object page
    cpdef void forget(self) except *
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
