cimport cython
cimport netstack.const as const
cimport netstack.raw as raw


cdef class Timer:
    cdef public long long when
    cdef long long placed
    cdef int level, slot
    cdef Timer prev, next
    cpdef bint armed(self) noexcept
    cdef void expire(self, long long now) except *


cdef class CallTimer(Timer):
    cdef object call
    cdef void expire(self, long long now) except *


@cython.final
cdef class Timers:
    cdef readonly long long tick
    cdef list heads
    cdef Timer due
    cdef unsigned long long bits0, bits1, bits2, bits3
    cdef readonly long long count
    cdef long long soonest
    cdef bint stale
    cpdef void arm(self, Timer t, long long when) except *
    cpdef void cancel(self, Timer t) except *
    @cython.locals(tick="long long", delta="long long")
    cdef int place(self, Timer t) except -1
    @cython.locals(last=Timer)
    cdef void link(self, Timer head, Timer t) noexcept
    @cython.locals(before=Timer, after=Timer)
    cdef void detach(self, Timer t) noexcept
    cdef void unlink(self, Timer t) noexcept
    cpdef long long next_deadline(self) except *
    @cython.locals(far=int, tick="long long", head=Timer, t=Timer, start="long long")
    cdef void find_soonest(self) except *
    @cython.locals(at="long long", far=int)
    cdef long long turn(self, unsigned long long bits, int shift) noexcept
    @cython.locals(target="long long", due=Timer, t=Timer)
    cpdef void run(self, long long now) except *
    @cython.locals(stop="long long", far=int)
    cdef long long next_stop(self, long long target) noexcept
    cdef int cascade(self) except -1
    @cython.locals(head=Timer, t=Timer, moving=list)
    cdef int descend(self, int level, int slot) except -1
    @cython.locals(head=Timer, t=Timer, after=Timer)
    cdef int pass_on(self, long long tick) except -1
    @cython.locals(head=Timer, t=Timer, found=list)
    cdef void collect(self, Timer due, long long now) except *
