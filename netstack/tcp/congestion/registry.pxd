cimport cython
from netstack.tcp.congestion.base cimport Congestion

cdef dict BUILT_IN


cpdef object find(str name)
@cython.locals(strategy=Congestion)
cpdef Congestion make(str name, int mss)
