# The twin of raw.py: the same functions as inline C. Every pointer is made by at() or peek(), after its check, and does
# not leave the function that asked for it.
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define NETSTACK_BE16(x) (x)
    #define NETSTACK_BE32(x) (x)
    #else
    #define NETSTACK_BE16(x) __builtin_bswap16(x)
    #define NETSTACK_BE32(x) __builtin_bswap32(x)
    #endif
    #define NETSTACK_EXPORTS(b) (((PyByteArrayObject *)(b))->ob_exports)

    /* del items[:n]. A queue of one or two is emptied and filled again for each request: a short list keeps its memory, which Python
       would give back and ask for again. It is whole before the first object goes, whose end may look at it. */
    static inline int netstack_behead(PyObject *items, Py_ssize_t n) {
    #ifndef Py_GIL_DISABLED
        enum { SHORT = 16 };
        PyListObject *list = (PyListObject *)items;
        Py_ssize_t size = PyList_GET_SIZE(items);
        if (list->allocated <= SHORT && n >= 0 && n <= size) {
            PyObject *gone[SHORT];
            Py_ssize_t i;
            for (i = 0; i < n; i++)
                gone[i] = list->ob_item[i];
            for (i = n; i < size; i++)
                list->ob_item[i - n] = list->ob_item[i];
            Py_SET_SIZE(list, size - n);
            for (i = 0; i < n; i++)
                Py_DECREF(gone[i]);
            return 0;
        }
    #endif
        return PyList_SetSlice(items, 0, n, NULL);
    }
    """
    int netstack_behead(list items, Py_ssize_t n) except -1
    uint16_t be16 "NETSTACK_BE16"(uint16_t) nogil
    uint32_t be32 "NETSTACK_BE32"(uint32_t) nogil
    Py_ssize_t exports "NETSTACK_EXPORTS"(object b)


cdef inline uint8_t *at(bytearray b, Py_ssize_t o, Py_ssize_t n) except NULL:
    if o < 0 or n < 0 or n > len(b) - o:  # not o + n > len(b): the sum of two large ones is negative in C
        raise IndexError("past the end")
    return <uint8_t *>PyByteArray_AS_STRING(b) + o


cdef inline int g8(bytearray b, Py_ssize_t o) except -1:
    return at(b, o, 1)[0]


cdef inline int g16(bytearray b, Py_ssize_t o) except -1:
    cdef uint16_t v
    memcpy(&v, at(b, o, 2), 2)
    return be16(v)


cdef inline long long g32(bytearray b, Py_ssize_t o) except -1:
    cdef uint32_t v
    memcpy(&v, at(b, o, 4), 4)
    return be32(v)


cdef inline int p8(bytearray b, Py_ssize_t o, uint32_t v) except -1:
    at(b, o, 1)[0] = v & 0xFF
    return 0


cdef inline int p16(bytearray b, Py_ssize_t o, uint32_t v) except -1:
    cdef uint16_t w = be16(<uint16_t>v)
    memcpy(at(b, o, 2), &w, 2)
    return 0


cdef inline int p32(bytearray b, Py_ssize_t o, uint32_t v) except -1:
    v = be32(v)
    memcpy(at(b, o, 4), &v, 4)
    return 0


cdef inline int pbytes(bytearray b, Py_ssize_t o, bytes v) except -1:
    cdef Py_ssize_t n = len(v)
    memcpy(at(b, o, n), <const char *>v, n)
    return 0


cdef inline bytes take(bytearray b, Py_ssize_t o, Py_ssize_t n):
    return PyBytes_FromStringAndSize(<char *>at(b, o, n), n)


cdef inline bytes lowered(bytearray b, Py_ssize_t o, Py_ssize_t n, Py_ssize_t more):
    cdef const uint8_t *p = at(b, o, n)
    cdef const uint8_t *q = at(b, o + n, more)
    cdef bytes r = PyBytes_FromStringAndSize(NULL, n + more)
    cdef uint8_t *w = <uint8_t *>PyBytes_AS_STRING(r)
    cdef Py_ssize_t i
    for i in range(n):
        w[i] = p[i] | (<uint8_t>(<uint8_t>(p[i] - 65) < 26) << 5)
    memcpy(w + n, q, more)
    return r


cdef inline object view(bytearray b, Py_ssize_t o, Py_ssize_t n):
    at(b, o, n)
    return PyMemoryView_FromObject(b)[o:o + n]


cdef inline Py_ssize_t copy_into(object dst, bytearray b, Py_ssize_t o, Py_ssize_t n) except -1:
    cdef Py_buffer v
    cdef uint8_t *p = at(b, o, n)
    PyObject_GetBuffer(dst, &v, PyBUF_SIMPLE | PyBUF_WRITABLE)
    if v.len < n:
        n = v.len
    memcpy(v.buf, p, n)
    PyBuffer_Release(&v)
    return n


cdef inline int fill(bytearray b, Py_ssize_t o, object data, Py_ssize_t where, Py_ssize_t n) except -1:
    cdef Py_buffer v
    cdef uint8_t *p = at(b, o, n)
    PyObject_GetBuffer(data, &v, PyBUF_SIMPLE)
    if where < 0 or n > v.len - where:
        PyBuffer_Release(&v)
        raise IndexError("past the end")
    memcpy(p, <uint8_t *>v.buf + where, n)
    PyBuffer_Release(&v)
    return 0


cdef inline bint same(bytearray b, Py_ssize_t o, bytearray c, Py_ssize_t p, Py_ssize_t n) except -1:
    return memcmp(at(b, o, n), at(c, p, n), n) == 0


cdef inline int move(bytearray b, Py_ssize_t o, bytearray c, Py_ssize_t p, Py_ssize_t n) except -1:
    memmove(at(b, o, n), at(c, p, n), n)
    return 0


cdef inline bytes piece(object data, Py_ssize_t o, Py_ssize_t n):
    cdef Py_buffer v
    cdef bytes r
    if type(data) is bytes and o == 0 and n == len(<bytes>data):
        return <bytes>data
    PyObject_GetBuffer(data, &v, PyBUF_SIMPLE)
    if o < 0 or n < 0 or n > v.len - o:
        PyBuffer_Release(&v)
        raise IndexError("past the end")
    try:
        r = PyBytes_FromStringAndSize(<char *>v.buf + o, n)
    finally:
        PyBuffer_Release(&v)
    return r


cdef inline Py_ssize_t size(object data) except -1:
    cdef Py_buffer v
    cdef Py_ssize_t n
    if type(data) is bytes:
        return len(<bytes>data)
    PyObject_GetBuffer(data, &v, PyBUF_SIMPLE)
    n = v.len
    PyBuffer_Release(&v)
    return n


cdef inline int behead(list items, Py_ssize_t n) except -1:
    if items is None:
        raise TypeError("no list")
    return netstack_behead(items, n)


cdef inline bint shared(bytearray b) noexcept:
    return b is not None and exports(b) != 0


cdef inline uint64_t sum32(const uint8_t *p, Py_ssize_t n) noexcept nogil:
    # 32-bit words into a 64-bit sum: gcc vectorises it at -O3
    cdef uint64_t s = 0
    cdef uint32_t w
    cdef Py_ssize_t i, m = n >> 2
    for i in range(m):
        memcpy(&w, p + 4 * i, 4)
        s += w
    w = 0
    if n & 3:
        memcpy(&w, p + (m << 2), n & 3)
        s += w
    return s


cdef inline int fold(uint64_t s) noexcept nogil:
    while s > 0xFFFF:
        s = (s & 0xFFFF) + (s >> 16)
    return <int>s


cdef inline int csum(bytearray b, Py_ssize_t o, Py_ssize_t n, uint32_t start) except -1:
    return fold(<uint64_t>be16(<uint16_t>fold(sum32(at(b, o, n), n))) + start)


cdef inline int csum_of(object data, Py_ssize_t o, Py_ssize_t n, uint32_t start) except -1:
    cdef Py_buffer v
    cdef int r
    PyObject_GetBuffer(data, &v, PyBUF_SIMPLE)
    if o < 0 or n < 0 or n > v.len - o:
        PyBuffer_Release(&v)
        raise IndexError("past the end")
    r = fold(<uint64_t>be16(<uint16_t>fold(sum32(<uint8_t *>v.buf + o, n))) + start)
    PyBuffer_Release(&v)
    return r


cdef inline unsigned long long get48(const uint8_t *p) noexcept nogil:
    cdef uint16_t hi
    cdef uint32_t lo
    memcpy(&hi, p, 2)
    memcpy(&lo, p + 2, 4)
    return (<unsigned long long>be16(hi) << 32) | be32(lo)


cdef inline void put48(uint8_t *p, unsigned long long v) noexcept nogil:
    cdef uint16_t hi = be16(<uint16_t>(v >> 32))
    cdef uint32_t lo = be32(<uint32_t>v)
    memcpy(p, &hi, 2)
    memcpy(p + 2, &lo, 4)


cdef inline (unsigned long long, unsigned long long, int) get_eth(bytearray b, Py_ssize_t o) except *:
    cdef const uint8_t *p = at(b, o, 14)
    return get48(p), get48(p + 6), (p[12] << 8) | p[13]


cdef inline int put_eth(bytearray b, Py_ssize_t o, unsigned long long dst, unsigned long long src, int ethertype) except -1:
    cdef uint8_t *p = at(b, o, 14)
    cdef uint16_t e = be16(<uint16_t>ethertype)
    put48(p, dst)
    put48(p + 6, src)
    memcpy(p + 12, &e, 2)
    return 0


cdef inline (int, int, int, int, int, int, int, unsigned int, unsigned int) get_ip4(bytearray b, Py_ssize_t o) except *:
    cdef const uint8_t *p = at(b, o, 20)
    cdef uint32_t w[2]
    memcpy(w, p + 12, 8)
    return p[0], p[1], (p[2] << 8) | p[3], (p[4] << 8) | p[5], (p[6] << 8) | p[7], p[8], p[9], be32(w[0]), be32(w[1])


cdef inline (unsigned int, unsigned int, unsigned int, int, int) get_tcp(bytearray b, Py_ssize_t o) except *:
    cdef uint32_t w[4]
    memcpy(w, at(b, o, 16), 16)
    return be32(w[0]), be32(w[1]), be32(w[2]), <int>(be32(w[3]) >> 16), <int>(be32(w[3]) & <uint32_t>65535)


cdef inline (int, int, int, int) get_udp(bytearray b, Py_ssize_t o) except *:
    cdef const uint8_t *p = at(b, o, 8)
    return (p[0] << 8) | p[1], (p[2] << 8) | p[3], (p[4] << 8) | p[5], (p[6] << 8) | p[7]


cdef inline int put_udp(bytearray b, Py_ssize_t o, int sport, int dport, int length, int check) except -1:
    cdef uint16_t w[4]
    w[0] = be16(<uint16_t>sport)
    w[1] = be16(<uint16_t>dport)
    w[2] = be16(<uint16_t>length)
    w[3] = be16(<uint16_t>check)
    memcpy(at(b, o, 8), w, 8)
    return 0


cdef inline int put5(bytearray b, Py_ssize_t o, uint32_t v, uint32_t x1, uint32_t x2, uint32_t x3, uint32_t x4) except -1:
    cdef uint32_t w[5]
    w[0] = be32(v)
    w[1] = be32(x1)
    w[2] = be32(x2)
    w[3] = be32(x3)
    w[4] = be32(x4)
    memcpy(at(b, o, 20), w, 20)
    return 0


cdef extern from *:
    int ctz64 "__builtin_ctzll"(unsigned long long) nogil


cdef inline int first_from(unsigned long long bits, int i) noexcept nogil:
    if bits == 0:
        return -1
    if i:
        bits = (bits >> i) | (bits << (64 - i))
    return ctz64(bits)


cdef inline unsigned long long set_bit(unsigned long long bits, int i) noexcept nogil:
    return bits | (<unsigned long long>1 << i)


cdef inline unsigned long long clear_bit(unsigned long long bits, int i) noexcept nogil:
    return bits & ~(<unsigned long long>1 << i)
