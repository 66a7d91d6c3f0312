from netstack.routing.mib cimport ConntrackMib
from netstack.routing.track cimport Way


cdef class Piece:
    cdef readonly long long until
    cdef public int verdict
    cdef public Way way
    cdef public list waiting
    cdef public Py_ssize_t size


cdef class Pieces:
    cdef readonly ConntrackMib mib
    cdef readonly dict table
    cdef readonly Py_ssize_t size
    cpdef Piece find(self, tuple key, long long now)
    cpdef drop(self, tuple key)
    cpdef wait(self, Piece piece, bytes datagram)
    cpdef list release(self, Piece piece)
