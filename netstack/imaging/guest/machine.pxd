cimport cython
cimport netstack.imaging.guest.sysio as sysio


@cython.locals(fd=int)
cpdef insert(str path)
cpdef mount(str kind, str target)
cpdef power_off()
cdef check(int result, str what)
