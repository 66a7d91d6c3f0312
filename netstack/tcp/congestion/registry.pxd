from netstack.tcp.congestion.base cimport Congestion


cpdef object find(str name)
cpdef Congestion make(str name, int mss)
