cimport netstack.raw as raw

cpdef int checksum(object data, unsigned int start=*) except -1
cpdef int pseudo_ip4(unsigned int src, unsigned int dst, int proto, int length) noexcept
cpdef int update(int check, int old, int new) noexcept
