# The twin of lines.py: the same functions as inline C.
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.list cimport PyList_GET_ITEM
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from netstack.tcp.tcb cimport Tcb


cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define NETSTACK_PREFETCH(p) __builtin_prefetch(p)
    #else
    #define NETSTACK_PREFETCH(p) ((void)(p))
    #endif

    static int netstack_ask_referent(PyObject *o, void *nothing) {
        NETSTACK_PREFETCH(o);
        return 0;
    }

    static void netstack_ask_referents(PyObject *o) {
        if (Py_TYPE(o)->tp_traverse)
            Py_TYPE(o)->tp_traverse(o, netstack_ask_referent, NULL);
    }
    """
    void NETSTACK_PREFETCH(const void *p) noexcept nogil
    void netstack_ask_referents(object o) noexcept


cdef extern from "Python.h":
    ctypedef struct PyListObject:
        void **ob_item


cdef enum:
    TCB = 6
    WHOLE = 10
    USER = 2
    USER_WHOLE = 3
    ASKS = 1


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


cdef inline void ask_place(bytearray keys, list items, Py_ssize_t i) noexcept:
    if 0 <= i < len(items):
        NETSTACK_PREFETCH(PyByteArray_AS_STRING(keys) + 8 * i)
        NETSTACK_PREFETCH((<PyListObject *>items).ob_item + i)


cdef inline void ask_item(list items, Py_ssize_t i, int n) noexcept:
    cdef const char *p
    if 0 <= i < len(items):
        p = <const char *><void *>PyList_GET_ITEM(items, i)
        while n > 0:  # lines beyond the object's end do no harm, nor does memory that is not there
            NETSTACK_PREFETCH(p)
            p += 64
            n -= 1


cdef inline void ask_user(Tcb c, int n) noexcept:
    cdef const char *p = <const char *><void *>c.user
    while n > 0:
        NETSTACK_PREFETCH(p)
        p += 64
        n -= 1


cdef inline void ask_beyond(Tcb c) noexcept:
    netstack_ask_referents(c.user)
