cdef class Flow:
    cdef public object proto, state, names, note, guest, hostname, rate
    cdef readonly unsigned long long src_int, dst_int
    cdef readonly int src_port, dst_port
    cdef public bint inbound
    cdef public long long began, last, sent, received
