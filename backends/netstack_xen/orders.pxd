# The twin of orders.py. What others write into an order, its status, is read here and nowhere else.
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport int16_t, uint16_t, uint32_t

cdef extern from *:
    """
    struct ns_order { uint32_t ref; uint16_t offset, length; uint32_t place; uint16_t which; int16_t status; };
    """
    struct ns_order:
        uint32_t ref
        uint16_t offset
        uint16_t length
        uint32_t place
        uint16_t which
        int16_t status


cdef enum:
    PAGE = 4096
    INTO_PAGE = 0x8000


cdef inline ns_order *seat(bytearray b, Py_ssize_t k, Py_ssize_t count) except NULL:
    if k < 0 or count < 0 or 16 * (k + count) > len(b):
        raise IndexError("past the end")
    return <ns_order *>PyByteArray_AS_STRING(b) + k


cdef inline int put(bytearray b, Py_ssize_t k, uint32_t ref, int offset, int length, Py_ssize_t place, int which) except -1:
    cdef ns_order *p = seat(b, k, 1)
    p.ref = ref
    p.offset = <uint16_t>offset
    p.length = <uint16_t>length
    p.place = <uint32_t>place
    p.which = <uint16_t>which
    p.status = 0
    return 0


cdef inline (uint32_t, int, int, Py_ssize_t, int) get(bytearray b, Py_ssize_t k) except *:
    cdef ns_order *p = seat(b, k, 1)
    return p.ref, p.offset, p.length, p.place, p.which


cdef inline int answer(bytearray b, Py_ssize_t k, int status) except -1:
    seat(b, k, 1).status = <int16_t>status
    return 0


cdef inline int settle(bytearray b, Py_ssize_t k, Py_ssize_t count, int length) except -1:
    cdef ns_order *p = seat(b, k, count)
    cdef Py_ssize_t i
    if count < 1:
        raise IndexError("past the end")
    p.length = <uint16_t>length
    for i in range(1, count):
        p[i].place += <uint32_t>length
    return 0


cdef inline Py_ssize_t failed(bytearray b, Py_ssize_t k, Py_ssize_t count) except -2:
    cdef ns_order *p = seat(b, k, count)
    cdef Py_ssize_t i
    for i in range(count):
        if p[i].status:
            return k + i
    return -1
