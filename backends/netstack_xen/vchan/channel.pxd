cimport cython
cimport netstack.const as const
cimport netstack_xen.shm as shm


cdef class Channel:
    cdef public object page, inward, outward
    cdef readonly bint server, released
    cdef public bint extended, told
    cdef readonly int words
    cdef public unsigned int cons, prod
    cdef int _in, _out, _asks, _asked, _theirs, _ours, _hears, _says
    cdef unsigned int _in_size, _out_size

    @cython.locals(prod=cython.uint, n=cython.uint)
    cpdef long long ready(self) except *

    cpdef long long wanting(self) except *

    @cython.locals(at=cython.uint, first=cython.uint)
    cpdef bytes take(self, unsigned int n)

    @cython.locals(at=cython.uint, first=cython.uint)
    cpdef take_into(self, into, unsigned int n)

    cdef void _taken(self, unsigned int n) except *

    @cython.locals(cons=cython.uint, n=cython.uint)
    cpdef long long room(self) except *

    cpdef long long lacking(self) except *

    @cython.locals(start=cython.uint, first=cython.uint)
    cpdef put(self, data, unsigned int at, unsigned int n)

    cdef void _tell(self, int what) except *
    cpdef meet(self)
    cpdef bint met(self) except *
    cpdef bint there(self) except *
    cpdef int heard(self) except *
    cpdef say(self, int what)
    @cython.locals(cons=cython.uint)
    cpdef annul(self)
    cpdef leave(self)
    cpdef release(self)
