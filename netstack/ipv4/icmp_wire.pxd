cimport cython
cimport netstack.const as const
cimport netstack.raw as raw

@cython.locals(first="unsigned int", s="unsigned long long")
cpdef void put_message(bytearray b, Py_ssize_t o, unsigned int type, unsigned int code, unsigned int rest,
                       object data, Py_ssize_t at, Py_ssize_t n) except *

@cython.locals(vihl=int, _tos=int, total=int, _ident=int, frag=int, _ttl=int, proto=int, src="unsigned int",
               dst="unsigned int", ihl=int)
cpdef tuple quoted(bytearray b, Py_ssize_t o, Py_ssize_t n)

cpdef int plateau(int total) except -1
