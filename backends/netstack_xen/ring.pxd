cimport cython
cimport netstack.const as const
cimport netstack_xen.shm as shm
cimport netstack_xen.slots as slots


@cython.final
cdef class FrontRing:
    cdef readonly object page
    cdef readonly int slot
    cdef readonly unsigned int n, mask, pushed
    cdef public unsigned int req_prod, rsp_cons
    cpdef Py_ssize_t at(self, unsigned int i) except -1
    cpdef int free(self) except? -1
    cpdef int unanswered(self) except? -1
    @cython.locals(old="unsigned int", new="unsigned int")
    cpdef bint push(self) except -1
    @cython.locals(n="unsigned int")
    cpdef int waiting(self) except? -1
    @cython.locals(n=int)
    cpdef bint final_check(self, int ahead) except -1


@cython.final
cdef class BackRing:
    cdef readonly object page
    cdef readonly int slot
    cdef readonly unsigned int n, mask, pushed
    cdef public unsigned int req_cons, rsp_prod
    cpdef Py_ssize_t at(self, unsigned int i) except -1
    @cython.locals(n="unsigned int")
    cpdef int waiting(self) except? -1
    @cython.locals(old="unsigned int", new="unsigned int")
    cpdef bint push(self) except -1
    @cython.locals(n=int)
    cpdef bint final_check(self, int ahead) except -1
