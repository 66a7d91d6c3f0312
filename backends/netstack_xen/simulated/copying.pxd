cimport cython
cimport netstack.raw as raw
cimport netstack_xen.orders as orders
cimport netstack_xen.shm as shm
from netstack_xen.simulated.grant cimport Grant


cpdef unsigned long long key(unsigned long long owner, unsigned int ref) except? 0xFFFFFFFFFFFFFFFF


@cython.final
cdef class Copier:
    cdef readonly list strange
    cdef dict grants
    @cython.locals(grant=Grant, k=int, n=int, ref="unsigned int", offset=int, length=int, place=Py_ssize_t, which=int, at=Py_ssize_t)
    cpdef void carry_out(self, object whole, int domid, int peer, bytearray b, int count, list memory) except *
