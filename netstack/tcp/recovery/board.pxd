cimport cython
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc


@cython.final
@cython.freelist(256)
cdef class Run:
    cdef readonly unsigned int seq, end
    cdef readonly long long at, delivered, delivered_at, first_at
    cdef readonly bint sacked, lost, resent
    cdef readonly int why


cdef class Board:
    cdef readonly list runs
    cdef readonly long long sacked, lost, fresh, marked, relost, prior_sacked, dup_bytes
    cdef long long first_at, last_at, sack_at
    cdef readonly bint ambiguous, any_resent, broken
    cdef readonly int dupacks, sack_hits
    cdef Run sample

    cpdef void clear(self) noexcept
    cdef void begin(self) noexcept
    cdef void deliver(self, Run run, unsigned int end) noexcept
    @cython.locals(n="long long")
    cpdef long long pipe(self, long long flight) noexcept
    @cython.locals(runs=list, last=Run, run=Run)
    cpdef Run sent(self, unsigned int seq, unsigned int end, long long now, long long grain)
    @cython.locals(last=Run)
    cdef int unsent(self, unsigned int seq) except -1
    @cython.locals(runs=list, run=Run, left=Run)
    cpdef Py_ssize_t resent(self, Py_ssize_t i, long long now) except *
    @cython.locals(left=Run, right=Run)
    cpdef void split(self, Py_ssize_t i, unsigned int seq) except *
    @cython.locals(runs=list, i=Py_ssize_t, run=Run, end="unsigned int", n="unsigned int")
    cpdef int cumulative(self, unsigned int ack) except -1
    @cython.locals(runs=list, i=Py_ssize_t, run=Run, n="unsigned int")
    cpdef bint sack(self, unsigned int begin, unsigned int end) except -1
    @cython.locals(run=Run, left=Run)
    cdef Py_ssize_t join(self, Py_ssize_t i) except *
    @cython.locals(runs=list, low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t, run=Run)
    cdef Py_ssize_t find(self, unsigned int seq) except *
    @cython.locals(n="unsigned int")
    cdef int lose(self, Run run, int why) except -1
    @cython.locals(runs=list, i=Py_ssize_t, run=Run, left=Run)
    cpdef void lose_all(self, int why) except *
    @cython.locals(run=Run)
    cpdef void lose_head(self, unsigned int mss, int why) except *
    @cython.locals(head=Run)
    cdef bint head_is_fresh(self) except -1
    @cython.locals(run=Run)
    cpdef void find_again(self) except *
    @cython.locals(run=Run)
    cpdef void renege(self) except *
    @cython.locals(run=Run, n="long long")
    cpdef long long resent_bytes(self) except *
