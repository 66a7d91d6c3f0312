cdef class Group:
    pass
