cimport netstack_xen.shm as shm
cimport netstack_xen.slots as slots

cpdef int load8(object m, Py_ssize_t o) except -1
cpdef store8(object m, Py_ssize_t o, unsigned int v)
cpdef int load16(object m, Py_ssize_t o) except -1
cpdef store16(object m, Py_ssize_t o, unsigned int v)
cpdef long long load32(object m, Py_ssize_t o) except -1
cpdef store32(object m, Py_ssize_t o, unsigned int v)
cpdef long long acquire32(object m, Py_ssize_t o) except -1
cpdef release32(object m, Py_ssize_t o, unsigned int v)
cpdef barrier()
cpdef int or8(object m, Py_ssize_t o, unsigned int v) except -1
cpdef int and8(object m, Py_ssize_t o, unsigned int v) except -1
cpdef fill(object m, Py_ssize_t o, object data, Py_ssize_t at, Py_ssize_t n)
cpdef copy(object m, Py_ssize_t o, bytearray b, Py_ssize_t at, Py_ssize_t n)
cpdef bytes take(object m, Py_ssize_t o, Py_ssize_t n)
cpdef clear(object m, Py_ssize_t o, Py_ssize_t n)
cpdef get_tx(object m, Py_ssize_t o)
cpdef put_tx(object m, Py_ssize_t o, unsigned int gref, int offset, int flags, int id, int size)
cpdef get_tx_response(object m, Py_ssize_t o)
cpdef put_tx_response(object m, Py_ssize_t o, int id, int status)
cpdef get_rx(object m, Py_ssize_t o)
cpdef put_rx(object m, Py_ssize_t o, int id, unsigned int gref)
cpdef get_rx_response(object m, Py_ssize_t o)
cpdef put_rx_response(object m, Py_ssize_t o, int id, int offset, int flags, int status)
cpdef get_extra(object m, Py_ssize_t o)
cpdef put_extra(object m, Py_ssize_t o, int type, int flags, unsigned long long rest)
cpdef unsigned long long gso(int size, int kind) except *
cpdef int gso_size(unsigned long long rest) except *
cpdef int gso_kind(unsigned long long rest) except *
cpdef int gso_features(unsigned long long rest) except *
