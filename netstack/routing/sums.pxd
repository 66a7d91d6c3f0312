cimport netstack.const as const
cimport netstack.raw as raw


cpdef unsigned int difference(unsigned int old, unsigned int new) noexcept
cpdef int patch(bytearray b, Py_ssize_t o, unsigned int change) except -1
