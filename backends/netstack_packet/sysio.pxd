# The twin of sysio.py: the same, with the barriers that a strongly ordered interpreter has by itself.
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define ns_acquire(p) __atomic_load_n((const uint32_t *)(p), __ATOMIC_ACQUIRE)
    #define ns_release(p, v) __atomic_store_n((uint32_t *)(p), (uint32_t)(v), __ATOMIC_RELEASE)
    """
    uint32_t ns_acquire(const void *p) nogil
    void ns_release(void *p, uint32_t v) nogil

cdef enum:
    READY = 1
    LOSING = 4
    BLOCK_HEAD = 48
    FRAME_HEAD = 48


cdef inline (Py_ssize_t, Py_ssize_t) block(object ring, Py_ssize_t o) except *:
    cdef Py_buffer view
    cdef uint32_t w[2]
    cdef uint32_t status
    PyObject_GetBuffer(ring, &view, PyBUF_SIMPLE)
    if o < 0 or o + BLOCK_HEAD > view.len or o & 3:
        PyBuffer_Release(&view)
        raise IndexError("past the end")
    status = ns_acquire(<uint8_t *>view.buf + o + 8)
    memcpy(w, <uint8_t *>view.buf + o + 12, 8)
    PyBuffer_Release(&view)
    if status & READY:
        return w[0], w[1]
    return -1, 0


cdef inline int give_back(object ring, Py_ssize_t o) except -1:
    cdef Py_buffer view
    PyObject_GetBuffer(ring, &view, PyBUF_SIMPLE)
    if o < 0 or o + BLOCK_HEAD > view.len or o & 3:
        PyBuffer_Release(&view)
        raise IndexError("past the end")
    ns_release(<uint8_t *>view.buf + o + 8, 0)
    PyBuffer_Release(&view)
    return 0


cdef inline (Py_ssize_t, Py_ssize_t, int) take(object ring, Py_ssize_t o, Py_ssize_t vnet, bytearray b) except *:
    cdef Py_buffer view
    cdef uint8_t *p
    cdef uint32_t step, here, length, status
    cdef uint16_t mac
    cdef Py_ssize_t n, at, room = len(b)
    PyObject_GetBuffer(ring, &view, PyBUF_SIMPLE)
    if o < 0 or o + FRAME_HEAD > view.len:
        PyBuffer_Release(&view)
        raise IndexError("past the end")
    p = <uint8_t *>view.buf + o
    memcpy(&step, p, 4)
    memcpy(&here, p + 12, 4)
    memcpy(&length, p + 16, 4)
    memcpy(&status, p + 20, 4)
    memcpy(&mac, p + 24, 2)
    n = <Py_ssize_t>here + vnet
    at = o + mac - vnet
    if at < o or at + n > view.len:
        PyBuffer_Release(&view)
        raise IndexError("past the end")
    if n >= room or here < length:
        n = room
    else:
        memcpy(PyByteArray_AS_STRING(b), <uint8_t *>view.buf + at, n)
    PyBuffer_Release(&view)
    return n, step, <int>status
