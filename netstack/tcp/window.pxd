cimport cython
cimport netstack.const as const
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.tcp.mib cimport TcpExt
from netstack.tcp.timeouts cimport Timekeeper
from netstack.tcp.tuning cimport Tuner


cdef class Window(Timekeeper):
    @cython.locals(size="long long", small="long long", unit="long long")
    cdef long long space(self) except? -1
    cdef int shift(self) noexcept
    @cython.locals(shift=int, space="long long", wnd="long long", waiting="long long", field="long long", edge="unsigned int", ext=TcpExt)
    cdef unsigned int offer(self) except? 0xFFFFFFFF
    @cython.locals(grow="long long")
    cdef bint worth(self, long long space, long long wnd, int shift, long long least) noexcept
    @cython.locals(limit="long long", lent="long long", ack="unsigned int")
    cdef void hold_back(self, long long window, long long wnd, long long unit) except *
    cdef bint window_update_due(self) except -1
    @cython.locals(t=Tuner, want="long long", shift=int, most="long long")
    cdef void tune(self, bint full, long long now) except *
