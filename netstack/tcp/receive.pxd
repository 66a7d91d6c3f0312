cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.buffers cimport keep
from netstack.cores cimport Frame
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.queues cimport Reassembly
from netstack.tcp.sack cimport Sacks
from netstack.tcp.tcb cimport Hub
from netstack.tcp.window cimport Window


cdef class Receiver(Window):
    cdef void kill(self, long long now) except *
    cdef void finish(self, long long now) except *
    cdef void enter_time_wait(self, long long now) except *
    @cython.locals(n=Py_ssize_t, skip=Py_ssize_t, ahead="unsigned int", room=Py_ssize_t, mss=int, full=bint, kept=bint)
    cdef void text(self, Frame f, unsigned int seq, bint fin, bint lull, long long now) except *
    @cython.locals(ext=TcpExt, left="long long")
    cdef Py_ssize_t squeeze(self, Py_ssize_t n) except -1
    @cython.locals(hub=Hub, ext=TcpExt, new=Py_ssize_t)
    cdef bint out_of_order(self, Frame f, unsigned int seq, Py_ssize_t n) except -1
    cdef void told_of(self, unsigned int seq, unsigned int end) except *
    cdef void twice(self, unsigned int seq, unsigned int end) except *
    @cython.locals(data=bytes)
    cdef void fill(self, long long now) except *
    cdef void forget_ooo(self) except *
    @cython.locals(n=Py_ssize_t)
    cdef void wait(self, object data) except *
    cdef void hand_over(self, long long now) except *
    cdef void take_fin(self, long long now) except *
    cdef void tell_eof(self, long long now) except *
