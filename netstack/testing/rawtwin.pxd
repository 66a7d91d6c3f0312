cimport netstack.raw as raw

cpdef int g8(bytearray b, Py_ssize_t o) except -1
cpdef int g16(bytearray b, Py_ssize_t o) except -1
cpdef long long g32(bytearray b, Py_ssize_t o) except -1
cpdef p8(bytearray b, Py_ssize_t o, unsigned int v)
cpdef p16(bytearray b, Py_ssize_t o, unsigned int v)
cpdef p32(bytearray b, Py_ssize_t o, unsigned int v)
cpdef pbytes(bytearray b, Py_ssize_t o, bytes v)
cpdef bytes take(bytearray b, Py_ssize_t o, Py_ssize_t n)
cpdef bytes lowered(bytearray b, Py_ssize_t o, Py_ssize_t n, Py_ssize_t more)
cpdef view(bytearray b, Py_ssize_t o, Py_ssize_t n)
cpdef Py_ssize_t copy_into(object dst, bytearray b, Py_ssize_t o, Py_ssize_t n) except -1
cpdef fill(bytearray b, Py_ssize_t o, object data, Py_ssize_t at, Py_ssize_t n)
cpdef bint same(bytearray b, Py_ssize_t o, bytearray c, Py_ssize_t p, Py_ssize_t n) except -1
cpdef move(bytearray b, Py_ssize_t o, bytearray c, Py_ssize_t p, Py_ssize_t n)
cpdef bytes piece(object data, Py_ssize_t o, Py_ssize_t n)
cpdef Py_ssize_t size(object data) except -1
cpdef behead(list items, Py_ssize_t n)
cpdef bint shared(bytearray b) except -1
cpdef int fold(unsigned long long s) except -1
cpdef int csum(bytearray b, Py_ssize_t o, Py_ssize_t n, unsigned int start) except -1
cpdef int csum_of(object data, Py_ssize_t o, Py_ssize_t n, unsigned int start) except -1
cpdef get_eth(bytearray b, Py_ssize_t o)
cpdef put_eth(bytearray b, Py_ssize_t o, unsigned long long dst, unsigned long long src, int ethertype)
cpdef get_ip4(bytearray b, Py_ssize_t o)
cpdef get_tcp(bytearray b, Py_ssize_t o)
cpdef get_udp(bytearray b, Py_ssize_t o)
cpdef put_udp(bytearray b, Py_ssize_t o, int sport, int dport, int length, int check)
cpdef put5(bytearray b, Py_ssize_t o, unsigned int v, unsigned int w, unsigned int x, unsigned int y, unsigned int z)
cpdef int first_from(unsigned long long bits, int i) except? -2
cpdef unsigned long long set_bit(unsigned long long bits, int i) except? 3
cpdef unsigned long long clear_bit(unsigned long long bits, int i) except? 3
