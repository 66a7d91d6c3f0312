cimport cython
cimport netstack.raw as raw
from netstack.cores cimport Frame
from netstack_xen.ring cimport BackRing


@cython.final
cdef class Parcel:
    cdef readonly bytes data
    cdef readonly Py_ssize_t length
    cdef readonly int kind, gso
    cdef readonly bint blank
    cdef readonly unsigned long long hash
    cdef readonly long long expires


@cython.final
cdef class Taken:
    cdef public Frame frame
    cdef public Py_ssize_t first, count
    cdef public unsigned int slot
    cdef public int extras, kind, gso
    cdef public bint blank, valid


@cython.final
cdef class Lane:
    cdef readonly int number, tx_port, rx_port
    cdef readonly BackRing tx, rx
    cdef readonly list waiting
    cdef readonly Py_ssize_t head, held
    cdef public long long fed
    cdef public bint stalled
    cpdef void put(self, Parcel p) except *
    cpdef Parcel next(self)
    @cython.locals(p=Parcel)
    cpdef void drop(self) except *
    cpdef Py_ssize_t size(self) except -1
