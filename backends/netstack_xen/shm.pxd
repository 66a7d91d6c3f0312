# The twin of shm.py: the same as inline C. A memoryview holds its buffer; its address is taken out of the object, after the same
# checks that Python's own access makes.
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

cdef extern from *:
    """
    #ifndef NETSTACK_SHM
    #define NETSTACK_SHM
    static inline uint8_t *ns_shm_at(PyObject *o, Py_ssize_t at, Py_ssize_t n, int writes) {
        PyMemoryViewObject *m = (PyMemoryViewObject *)o;
        if (PyMemoryView_Check(o)
            && !(m->flags & _Py_MEMORYVIEW_RELEASED) && !(m->mbuf->flags & _Py_MANAGED_BUFFER_RELEASED)
            && m->view.ndim == 1 && m->flags & _Py_MEMORYVIEW_C && !(writes && m->view.readonly)
            && at >= 0 && n >= 0 && n <= m->view.len - at)
            return (uint8_t *)m->view.buf + at;
        return NULL;
    }
    static inline int ns_shm_gone(PyObject *o) {
        PyMemoryViewObject *m = (PyMemoryViewObject *)o;
        return PyMemoryView_Check(o) && (m->flags & _Py_MEMORYVIEW_RELEASED || m->mbuf->flags & _Py_MANAGED_BUFFER_RELEASED);
    }
    #define ns_load8(p) __atomic_load_n((const uint8_t *)(p), __ATOMIC_RELAXED)
    #define ns_load16(p) __atomic_load_n((const uint16_t *)(p), __ATOMIC_RELAXED)
    #define ns_load32(p) __atomic_load_n((const uint32_t *)(p), __ATOMIC_RELAXED)
    #define ns_load64(p) __atomic_load_n((const uint64_t *)(p), __ATOMIC_RELAXED)
    #define ns_store8(p, v) __atomic_store_n((uint8_t *)(p), (uint8_t)(v), __ATOMIC_RELAXED)
    #define ns_store16(p, v) __atomic_store_n((uint16_t *)(p), (uint16_t)(v), __ATOMIC_RELAXED)
    #define ns_store32(p, v) __atomic_store_n((uint32_t *)(p), (uint32_t)(v), __ATOMIC_RELAXED)
    #define ns_acquire32(p) __atomic_load_n((const uint32_t *)(p), __ATOMIC_ACQUIRE)
    #define ns_release32(p, v) __atomic_store_n((uint32_t *)(p), (uint32_t)(v), __ATOMIC_RELEASE)
    #define ns_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define ns_or8(p, v) __atomic_fetch_or((uint8_t *)(p), (uint8_t)(v), __ATOMIC_SEQ_CST)
    #define ns_and8(p, v) __atomic_fetch_and((uint8_t *)(p), (uint8_t)(v), __ATOMIC_SEQ_CST)
    #endif
    """
    uint8_t *ns_shm_at(object m, Py_ssize_t o, Py_ssize_t n, bint writes) noexcept
    bint ns_shm_gone(object m) noexcept
    uint8_t ns_load8(const void *p) noexcept
    uint16_t ns_load16(const void *p) noexcept
    uint32_t ns_load32(const void *p) noexcept
    uint64_t ns_load64(const void *p) noexcept
    void ns_store8(void *p, uint32_t v) noexcept
    void ns_store16(void *p, uint32_t v) noexcept
    void ns_store32(void *p, uint32_t v) noexcept
    uint32_t ns_acquire32(const void *p) noexcept
    void ns_release32(void *p, uint32_t v) noexcept
    void ns_barrier() noexcept
    uint8_t ns_or8(void *p, uint32_t v) noexcept
    uint8_t ns_and8(void *p, uint32_t v) noexcept


cdef inline int refuse(object m) except -1:
    if ns_shm_gone(m):
        raise ValueError("operation forbidden on released memoryview object")
    raise IndexError("past the end")


cdef inline uint8_t *seen(object m, Py_ssize_t o, Py_ssize_t n) except NULL:
    cdef uint8_t *p = ns_shm_at(m, o, n, False)
    if p == NULL:
        refuse(m)
    return p


cdef inline uint8_t *owned(object m, Py_ssize_t o, Py_ssize_t n) except NULL:
    cdef uint8_t *p = ns_shm_at(m, o, n, True)
    if p == NULL:
        refuse(m)
    return p


cdef inline int load8(object m, Py_ssize_t o) except -1:
    return ns_load8(seen(m, o, 1))


cdef inline int store8(object m, Py_ssize_t o, int v) except -1:
    ns_store8(owned(m, o, 1), <uint32_t>v)
    return 0


cdef inline int load16(object m, Py_ssize_t o) except -1:
    return ns_load16(seen(m, o, 2))


cdef inline int store16(object m, Py_ssize_t o, int v) except -1:
    ns_store16(owned(m, o, 2), <uint32_t>v)
    return 0


cdef inline uint32_t load32(object m, Py_ssize_t o) except? 0xFFFFFFFF:
    return ns_load32(seen(m, o, 4))


cdef inline int store32(object m, Py_ssize_t o, uint32_t v) except -1:
    ns_store32(owned(m, o, 4), v)
    return 0


cdef inline uint32_t acquire32(object m, Py_ssize_t o) except? 0xFFFFFFFF:
    return ns_acquire32(seen(m, o, 4))


cdef inline int release32(object m, Py_ssize_t o, uint32_t v) except -1:
    ns_release32(owned(m, o, 4), v)
    return 0


cdef inline int barrier() noexcept:
    ns_barrier()
    return 0


cdef inline int or8(object m, Py_ssize_t o, int v) except -1:
    return ns_or8(owned(m, o, 1), <uint32_t>v)


cdef inline int and8(object m, Py_ssize_t o, int v) except -1:
    return ns_and8(owned(m, o, 1), <uint32_t>v)


cdef inline int fill(object m, Py_ssize_t o, object data, Py_ssize_t at, Py_ssize_t n) except -1:
    cdef uint8_t *p = owned(m, o, n)
    cdef Py_buffer view
    if type(data) is bytearray:
        if at < 0 or n > len(<bytearray>data) - at:
            raise IndexError("past the end")
        memmove(p, PyByteArray_AS_STRING(data) + at, n)
        return 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if at < 0 or n > view.len - at:
        PyBuffer_Release(&view)
        raise IndexError("past the end")
    memmove(p, <uint8_t *>view.buf + at, n)
    PyBuffer_Release(&view)
    return 0


cdef inline int copy(object m, Py_ssize_t o, bytearray b, Py_ssize_t at, Py_ssize_t n) except -1:
    cdef uint8_t *p = seen(m, o, n)
    if at < 0 or n > len(b) - at:
        raise IndexError("past the end")
    memmove(PyByteArray_AS_STRING(b) + at, p, n)
    return 0


cdef inline bytes take(object m, Py_ssize_t o, Py_ssize_t n):
    return PyBytes_FromStringAndSize(<char *>seen(m, o, n), n)


cdef inline int clear(object m, Py_ssize_t o, Py_ssize_t n) except -1:
    memset(owned(m, o, n), 0, n)
    return 0
