cimport cython
cimport netstack_xen.orders as orders
cimport netstack_xen.shm as shm


@cython.final
cdef class Copier:
    cdef dict grants
    cdef readonly list strange
    @cython.locals(k=int, ref="unsigned int", offset=int, length=int, place=Py_ssize_t, which=int, at=Py_ssize_t)
    cpdef void carry_out(self, object whole, int domid, int peer, bytearray b, int count, list memory) except *
