cimport cython


cdef class Entry:
    cdef readonly long long order
    cdef readonly int protos, low, high, opens
    cdef readonly str guest
    cdef readonly object rule


cdef class Table:
    cdef readonly tuple rules
    cdef readonly bint by_name, denies_names
    cdef list _anywhere, _networks
    cdef dict _exact, _below
    @cython.locals(best=Entry, mask="unsigned int", nets=dict, entries=list)
    cpdef object find(self, int proto, unsigned int dst, int port, str guest, int kind, str name)
    @cython.locals(entry=Entry, before="long long")
    cdef Entry _first(self, list entries, Entry best, int proto, int port, str guest, int kind)
    cdef list _named(self, str name)
