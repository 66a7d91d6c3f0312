cimport cython
cimport netstack.raw as raw
cimport netstack.dns.serve.sysio as sysio
from netstack.dns.serve.quick cimport Quick


@cython.final
cdef class SocketDoor:
    cdef readonly object sock
    cdef readonly Quick quick
    cdef public object desk
    cdef object _clock
    cdef int _fd
    cdef Py_ssize_t _out_slot
    cdef bytearray _room, _out, _names, _controls, _sizes
    @cython.locals(n=int, i=int, now="long long", some=int, lost=int)
    cpdef void on_readable(self) except *
    @cython.locals(size="long long", o=Py_ssize_t, q=Quick, high="unsigned long long", low="unsigned long long", six=bint, n=Py_ssize_t)
    cdef int take(self, Py_ssize_t i, long long now) except -1
    cdef object peer(self, Py_ssize_t i)
    cpdef void send(self, bytes data, object address) except *
