cimport cython
cimport netstack.const as const
cimport netstack.raw as raw

@cython.locals(first="unsigned int", fourth="unsigned int", s="unsigned long long")
cpdef int put_header(bytearray b, Py_ssize_t o, unsigned int tos, unsigned int total, unsigned int ident, unsigned int frag,
                      unsigned int ttl, unsigned int proto, unsigned int src, unsigned int dst) except -1

@cython.locals(at=Py_ssize_t, kind=int, length=int)
cpdef int option_fault(bytearray b, Py_ssize_t o, Py_ssize_t ihl) except? -1000
