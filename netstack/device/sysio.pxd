# The twin of sysio.py: the same calls as inline C.
cimport netstack.const as const
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy

cdef extern from "<errno.h>":
    const int INTR "EINTR"
    const int AGAIN "EAGAIN"
    const int NOBUFS "ENOBUFS"
    const int IO "EIO"
    const int BADFD "EBADFD"
    const int BADF "EBADF"
    const int NODEV "ENODEV"
    const int NXIO "ENXIO"
    const int NETDOWN "ENETDOWN"
    const int PIPE "EPIPE"

cdef extern from "<unistd.h>":
    Py_ssize_t c_read "read"(int fd, void *buf, size_t n)

cdef extern from "<sys/uio.h>":
    struct iovec:
        void *iov_base
        size_t iov_len
    Py_ssize_t c_readv "readv"(int fd, const iovec *v, int n)
    Py_ssize_t c_writev "writev"(int fd, const iovec *v, int n)

cdef enum:
    VNET = 12
    NEEDS_CSUM = 1
    DATA_VALID = 2
    GSO_NONE = 0
    GSO_TCPV4 = 1
    GSO_TCPV6 = 4
    GSO_UDP_L4 = 5
    GSO_ECN = 0x80


cdef inline Py_ssize_t read(int fd, bytearray b) except? -9999:
    cdef Py_ssize_t size = len(b), n
    while True:
        n = c_read(fd, PyByteArray_AS_STRING(b), size)
        if n >= 0:
            return n
        if errno != INTR:
            return -errno


cdef inline Py_ssize_t read2(int fd, bytearray head, Py_ssize_t k, bytearray b, Py_ssize_t o) except? -9999:
    cdef iovec v[2]
    cdef Py_ssize_t n
    if k < 0 or k > len(head) or o < 0 or o > len(b):
        raise IndexError("past the end")
    v[0].iov_base = PyByteArray_AS_STRING(head)
    v[0].iov_len = k
    v[1].iov_base = PyByteArray_AS_STRING(b) + o
    v[1].iov_len = len(b) - o
    while True:
        n = c_readv(fd, v, 2)
        if n >= 0:
            return n
        if errno != INTR:
            return -errno


cdef inline Py_ssize_t write2(int fd, bytearray hdr, Py_ssize_t off, object data, Py_ssize_t o, Py_ssize_t n) except? -9999:
    cdef iovec v[2]
    cdef Py_buffer view
    cdef Py_ssize_t size = len(hdr), r
    cdef int parts = 1
    if off < 0 or off > size:
        raise IndexError("past the end")
    v[0].iov_base = PyByteArray_AS_STRING(hdr) + off
    v[0].iov_len = size - off
    if n and data is not None:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        if o < 0 or n < 0 or o + n > view.len:
            PyBuffer_Release(&view)
            raise IndexError("past the end")
        v[1].iov_base = <uint8_t *>view.buf + o
        v[1].iov_len = n
        parts = 2
    while True:
        r = c_writev(fd, v, parts)
        if r >= 0:
            break
        if errno != INTR:
            r = -errno
            break
    if parts == 2:
        PyBuffer_Release(&view)
    return r


cdef inline Py_ssize_t write_many(
    int fd, bytearray hdr, Py_ssize_t off, object data, Py_ssize_t o, Py_ssize_t n, list rest, Py_ssize_t rest_n
) except? -9999:
    cdef iovec v[1 + const.GATHER]
    cdef Py_buffer views[const.GATHER]
    cdef Py_ssize_t r = 0
    cdef int parts = 0, i
    if off < 0 or off > len(hdr) or o < 0 or n < 0 or len(rest) >= const.GATHER:
        raise IndexError("past the end")
    v[0].iov_base = PyByteArray_AS_STRING(hdr) + off
    v[0].iov_len = len(hdr) - off
    try:
        PyObject_GetBuffer(data, &views[0], PyBUF_SIMPLE)
        parts = 1
        if n > views[0].len - o:
            raise IndexError("past the end")
        v[1].iov_base = <uint8_t *>views[0].buf + o
        v[1].iov_len = n
        for piece in rest:
            PyObject_GetBuffer(piece, &views[parts], PyBUF_SIMPLE)
            parts += 1
            r = views[parts - 1].len
            if r > rest_n:
                r = rest_n
            v[parts].iov_base = views[parts - 1].buf
            v[parts].iov_len = r
            rest_n -= r
        if rest_n:
            raise IndexError("past the end")
        while True:
            r = c_writev(fd, v, 1 + parts)
            if r >= 0:
                return r
            if errno != INTR:
                return -errno
    finally:
        for i in range(parts):
            PyBuffer_Release(&views[i])


cdef inline (int, int, int) get_vnet(bytearray b, Py_ssize_t o) except *:
    cdef uint8_t *p
    cdef uint16_t gso_size
    if o < 0 or o + 12 > len(b):
        raise IndexError("past the end")
    p = <uint8_t *>PyByteArray_AS_STRING(b) + o
    memcpy(&gso_size, p + 4, 2)
    return p[0], p[1], gso_size


cdef inline (int, int) get_vnet_sum(bytearray b, Py_ssize_t o) except *:
    cdef uint16_t w[2]
    if o < 0 or o + 12 > len(b):
        raise IndexError("past the end")
    memcpy(w, <uint8_t *>PyByteArray_AS_STRING(b) + o + 6, 4)
    return w[0], w[1]


cdef inline int put_vnet(
    bytearray b, Py_ssize_t o, int size, int flags, int gso_type, int hdr_len, int gso_size, int start, int offset
) except -1:
    cdef uint8_t *p
    cdef uint16_t w[5]
    if o < 0 or size < 10 or size > 12 or o + 12 > len(b):
        raise IndexError("past the end")
    p = <uint8_t *>PyByteArray_AS_STRING(b) + o
    w[0] = <uint16_t>hdr_len
    w[1] = <uint16_t>gso_size
    w[2] = <uint16_t>start
    w[3] = <uint16_t>offset
    w[4] = 0
    p[0] = <uint8_t>flags
    p[1] = <uint8_t>gso_type
    memcpy(p + 2, w, size - 2)
    return 0
