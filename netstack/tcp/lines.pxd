# The twin of lines.py: the same functions as inline C.
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define NETSTACK_PREFETCH(p) __builtin_prefetch(p)
    #else
    #define NETSTACK_PREFETCH(p) ((void)(p))
    #endif
    """
    void NETSTACK_PREFETCH(const void *p) noexcept nogil


cdef enum:
    TCB = 6
    USER = 2


cdef inline unsigned long long key_at(bytearray keys, Py_ssize_t i) except? 0:
    cdef uint64_t key
    if i < 0 or i >= len(keys) >> 3:
        raise IndexError("past the end")
    memcpy(&key, PyByteArray_AS_STRING(keys) + 8 * i, 8)
    return key


cdef inline int put_key(bytearray keys, Py_ssize_t i, unsigned long long key) except -1:
    cdef uint64_t k = key
    if i < 0 or i >= len(keys) >> 3:
        raise IndexError("past the end")
    memcpy(PyByteArray_AS_STRING(keys) + 8 * i, &k, 8)
    return 0


cdef inline void ask(object o, int n) noexcept:
    cdef int i
    for i in range(n):  # lines beyond the object's end do no harm, nor does memory that is not there
        NETSTACK_PREFETCH(<const char *><void *>o + 64 * i)
