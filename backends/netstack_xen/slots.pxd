# The twin of slots.py. Each slot is read in words, each of them once.
cimport netstack_xen.shm as shm
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    REQ_PROD = 0
    REQ_EVENT = 4
    RSP_PROD = 8
    RSP_EVENT = 12
    FIRST = 64
    TX = 12
    RX = 8
    CTRL = 16
    ENTRIES = 256
    CTRL_ENTRIES = 128
    LEAST = 18
    LONGEST = 65535
    TX_CSUM_BLANK = 1
    TX_DATA_VALIDATED = 2
    TX_MORE_DATA = 4
    TX_EXTRA_INFO = 8
    RX_DATA_VALIDATED = 1
    RX_CSUM_BLANK = 2
    RX_MORE_DATA = 4
    RX_EXTRA_INFO = 8
    RX_GSO_PREFIX = 16
    OKAY = 0
    ERROR = -1
    DROPPED = -2
    NULL = 1
    EXTRA_GSO = 1
    EXTRA_MCAST_ADD = 2
    EXTRA_MCAST_DEL = 3
    EXTRA_HASH = 4
    EXTRA_MORE = 1
    GSO_TCPV4 = 1
    GSO_TCPV6 = 2
    LIE = -1
    NOTHING = 0
    LOST = 1
    TAKEN = 2
    GOOD = 0
    ERRED = 1
    BAD_ID = 2
    BAD_SIZE = 3
    BAD_EXTRA = 4
    BAD_GSO = 5
    TOO_LONG = 6
    TOO_SHORT = 7
    UNFINISHED = 8


cdef inline (unsigned int, int, int, int, int) get_tx(object m, Py_ssize_t o) except *:
    cdef const uint8_t *p = shm.seen(m, o, 12)
    cdef uint32_t w[3]
    cdef uint16_t h[6]
    w[0] = shm.ns_load32(p)
    w[1] = shm.ns_load32(p + 4)
    w[2] = shm.ns_load32(p + 8)
    memcpy(h, w, 12)
    return w[0], h[2], h[3], h[4], h[5]


cdef inline int put_tx(object m, Py_ssize_t o, uint32_t gref, int offset, int flags, int id, int size) except -1:
    cdef uint8_t *p = shm.owned(m, o, 12)
    cdef uint16_t h[4]
    h[0] = <uint16_t>offset
    h[1] = <uint16_t>flags
    h[2] = <uint16_t>id
    h[3] = <uint16_t>size
    memcpy(p, &gref, 4)
    memcpy(p + 4, h, 8)
    return 0


cdef inline (int, int) get_tx_response(object m, Py_ssize_t o) except *:
    cdef uint32_t w = shm.ns_load32(shm.seen(m, o, 4))
    cdef uint16_t h[2]
    memcpy(h, &w, 4)
    return h[0], <int16_t>h[1]


cdef inline int put_tx_response(object m, Py_ssize_t o, int id, int status) except -1:
    cdef uint16_t h[2]
    h[0] = <uint16_t>id
    h[1] = <uint16_t>status
    memcpy(shm.owned(m, o, 4), h, 4)
    return 0


cdef inline (int, unsigned int) get_rx(object m, Py_ssize_t o) except *:
    cdef uint64_t w = shm.ns_load64(shm.seen(m, o, 8))
    cdef uint16_t h[4]
    cdef uint32_t gref
    memcpy(h, &w, 8)
    memcpy(&gref, h + 2, 4)
    return h[0], gref


cdef inline int put_rx(object m, Py_ssize_t o, int id, uint32_t gref) except -1:
    cdef uint8_t *p = shm.owned(m, o, 8)
    cdef uint16_t h[2]
    h[0] = <uint16_t>id
    h[1] = 0
    memcpy(p, h, 4)
    memcpy(p + 4, &gref, 4)
    return 0


cdef inline (int, int, int, int) get_rx_response(object m, Py_ssize_t o) except *:
    cdef uint64_t w = shm.ns_load64(shm.seen(m, o, 8))
    cdef uint16_t h[4]
    memcpy(h, &w, 8)
    return h[0], h[1], h[2], <int16_t>h[3]


cdef inline int put_rx_response(object m, Py_ssize_t o, int id, int offset, int flags, int status) except -1:
    cdef uint16_t h[4]
    h[0] = <uint16_t>id
    h[1] = <uint16_t>offset
    h[2] = <uint16_t>flags
    h[3] = <uint16_t>status
    memcpy(shm.owned(m, o, 8), h, 8)
    return 0


cdef inline (int, int, unsigned long long) get_extra(object m, Py_ssize_t o) except *:
    cdef const uint8_t *p = shm.seen(m, o, 8)
    cdef uint32_t w[2]
    cdef uint8_t b[8]
    cdef unsigned long long rest = 0
    cdef int i
    w[0] = shm.ns_load32(p)  # a slot of tx stands at multiples of four only
    w[1] = shm.ns_load32(p + 4)
    memcpy(b, w, 8)
    for i in range(7, 1, -1):
        rest = (rest << 8) | b[i]
    return b[0], b[1], rest


cdef inline int put_extra(object m, Py_ssize_t o, int type, int flags, unsigned long long rest) except -1:
    cdef uint8_t *p = shm.owned(m, o, 8)
    cdef int i
    p[0] = <uint8_t>type
    p[1] = <uint8_t>flags
    for i in range(2, 8):
        p[i] = <uint8_t>rest
        rest >>= 8
    return 0


cdef inline unsigned long long gso(int size, int kind) noexcept nogil:
    return <unsigned long long>((size & 0xFFFF) | ((kind & 0xFF) << 16))


cdef inline int gso_size(unsigned long long rest) noexcept nogil:
    return <int>(rest & 0xFFFF)


cdef inline int gso_kind(unsigned long long rest) noexcept nogil:
    return <int>((rest >> 16) & 0xFF)


cdef inline int gso_features(unsigned long long rest) noexcept nogil:
    return <int>((rest >> 32) & 0xFFFF)
