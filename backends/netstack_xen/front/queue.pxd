cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack_xen.shm as shm
cimport netstack_xen.slots as slots
from netstack.cores cimport Frame, Out
from netstack_xen.mib cimport FrontMib
from netstack_xen.ring cimport FrontRing


cpdef bint lasts(object data) except -1


@cython.final
cdef class Waiting:
    cdef readonly bytes head
    cdef readonly object data
    cdef readonly list rest
    cdef readonly Py_ssize_t o, n, rest_n, length
    cdef readonly int flags, kind, gso


@cython.final
cdef class Queue:
    cdef readonly FrontRing tx, rx
    cdef readonly FrontMib mib
    cdef public object port_tx, port_rx
    cdef readonly list tx_pages, tx_refs, tx_free, rx_pages, rx_refs, spare, waiting
    cdef readonly bytearray flying, rx_at
    cdef readonly int extras, partial
    cdef public bint full
    cdef readonly bint broken, skipping
    cdef readonly Py_ssize_t waiting_from, waiting_bytes
    cdef object page
    cdef int at, left, unit_left, unit_flags
    cpdef add_tx(self, object page, object ref)
    cpdef add_rx(self, object page, object ref)
    @cython.locals(tx=FrontRing, n=int, pages=int, needed=int, k=int)
    cdef bint put(self, Out p, int flags, int kind) except -1
    @cython.locals(tx=FrontRing, i=int, n=int, flags=int)
    cdef void open_page(self, int whole, int kind, int size) except *
    @cython.locals(k=int)
    cdef void pour(self, object data, Py_ssize_t at, int n) except *
    @cython.locals(tx=FrontRing, i=int)
    cpdef bint put_group(self, int type, unsigned long long group) except -1
    @cython.locals(tx=FrontRing, n=int, i=int, status=int)
    cpdef int collect(self) except? -1
    @cython.locals(n=Py_ssize_t, w=Waiting)
    cdef bint keep_back(self, Out p, int flags, int kind) except -1
    @cython.locals(done=bint, w=Waiting)
    cdef int serve(self, Out p) except? -1
    @cython.locals(tx=FrontRing)
    cdef bint sleep_tx(self) except -1
    @cython.locals(rx=FrontRing, mib=FrontMib, n=int, first="unsigned int", slot="unsigned int", k=int, total=int, size=int, kind=int,
                   first_flags=int, fault=int, i="unsigned int", offset=int, flags=int, status=int, more=int, type=int,
                   rest="unsigned long long")
    cdef int receive(self, Frame f, int gives) except? -1
    cdef int unfinished(self, int n) except? -1
    @cython.locals(rx=FrontRing, i=int)
    cdef void release_rx(self, int k) except *
    @cython.locals(rx=FrontRing, spare=list, slot="unsigned int", page=int)
    cpdef void refill(self) except *
    @cython.locals(mib=FrontMib)
    cdef void count(self, int fault) except *


@cython.locals(ethertype=int)
cdef int gso_fault(Frame f, int kind, int n, int gives) except -1
@cython.locals(b=bytearray, ethertype=int, l4=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, proto=int, s=int)
cdef bint finish(Frame f) except -1
