# The twin of sysio.py: the same calls as inline C.
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, memset

cdef extern from "<errno.h>":
    const int INTR "EINTR"
    const int AGAIN "EAGAIN"
    const int NOBUFS "ENOBUFS"

cdef extern from "<sys/uio.h>":
    struct iovec:
        void *iov_base
        size_t iov_len
    Py_ssize_t c_writev "writev"(int fd, const iovec *v, int n)

cdef extern from "<unistd.h>":
    Py_ssize_t c_read "read"(int fd, void *buf, size_t n)
    Py_ssize_t c_write "write"(int fd, const void *buf, size_t n)

cdef extern from "<sys/socket.h>":
    const int MSG_NOSIGNAL
    const int AF_UNIX
    ctypedef unsigned int socklen_t
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
    struct sockaddr:
        pass
    Py_ssize_t c_recvfrom "recvfrom"(int fd, void *buf, size_t n, int flags, sockaddr *name, socklen_t *length)
    Py_ssize_t c_sendmsg "sendmsg"(int fd, const msghdr *m, int flags)

cdef extern from "<sys/un.h>":
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]

cdef enum:
    PEER = 112


cdef inline Py_ssize_t recv(int fd, bytearray b, Py_ssize_t o, Py_ssize_t n) except? -9999:
    cdef Py_ssize_t r
    if o < 0 or n < 0 or n > len(b) - o:
        raise IndexError("past the end")
    while True:
        r = c_read(fd, PyByteArray_AS_STRING(b) + o, n)
        if r >= 0:
            return r
        if errno != INTR:
            return -errno


cdef inline Py_ssize_t recv_from(int fd, object s, bytearray b, Py_ssize_t o, Py_ssize_t n, bytearray peer) except? -9999:
    cdef sockaddr_un name
    cdef socklen_t size = sizeof(name)
    cdef Py_ssize_t r, k
    cdef uint16_t length
    cdef uint8_t *p
    if o < 0 or n < 0 or n > len(b) - o or len(peer) != PEER:
        raise IndexError("past the end")
    while True:
        r = c_recvfrom(fd, PyByteArray_AS_STRING(b) + o, n, 0, <sockaddr *>&name, &size)
        if r >= 0:
            break
        if errno != INTR:
            return -errno
    k = <Py_ssize_t>size - <Py_ssize_t>sizeof(unsigned short)
    if k < 0:
        k = 0
    if k > 108:
        k = 108
    if k and name.sun_path[0] != 0:  # not an abstract one: its length counts the NUL
        length = 0
        while length < k and name.sun_path[length] != 0:
            length += 1
    else:
        length = <uint16_t>k
    p = <uint8_t *>PyByteArray_AS_STRING(peer)
    memset(p, 0, PEER)
    memcpy(p, &length, 2)
    memcpy(p + 2, name.sun_path, length)
    return r


cdef inline Py_ssize_t write(int fd, bytearray b, Py_ssize_t o, Py_ssize_t n) except? -9999:
    cdef Py_ssize_t r
    if o < 0 or n < 0 or n > len(b) - o:
        raise IndexError("past the end")
    while True:
        r = c_write(fd, PyByteArray_AS_STRING(b) + o, n)
        if r >= 0:
            return r
        if errno != INTR:
            return -errno


cdef inline Py_ssize_t write2(int fd, bytearray hdr, Py_ssize_t off, object data, Py_ssize_t o, Py_ssize_t n) except? -9999:
    return _send(fd, hdr, off, data, o, n, None)


cdef inline Py_ssize_t send2(
    int fd, object s, bytearray hdr, Py_ssize_t off, object data, Py_ssize_t o, Py_ssize_t n, bytearray peer
) except? -9999:
    if len(peer) != PEER:
        raise IndexError("past the end")
    return _send(fd, hdr, off, data, o, n, peer)


cdef inline Py_ssize_t _send(
    int fd, bytearray hdr, Py_ssize_t off, object data, Py_ssize_t o, Py_ssize_t n, bytearray peer
) except? -9999:
    cdef iovec v[2]
    cdef msghdr m
    cdef sockaddr_un name
    cdef uint16_t length
    cdef Py_buffer view
    cdef Py_ssize_t size = len(hdr), r
    cdef int parts = 1
    if off < 0 or off > size:
        raise IndexError("past the end")
    memset(&m, 0, sizeof(m))
    if peer is not None:
        memcpy(&length, PyByteArray_AS_STRING(peer), 2)
        if length > 108:
            length = 108
        if length:
            memset(&name, 0, sizeof(name))
            name.sun_family = AF_UNIX
            memcpy(name.sun_path, PyByteArray_AS_STRING(peer) + 2, length)
            m.msg_name = &name
            m.msg_namelen = <socklen_t>(sizeof(unsigned short) + length)
    v[0].iov_base = PyByteArray_AS_STRING(hdr) + off
    v[0].iov_len = size - off
    if n and data is not None:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        if o < 0 or n < 0 or n > view.len - o:
            PyBuffer_Release(&view)
            raise IndexError("past the end")
        v[1].iov_base = <uint8_t *>view.buf + o
        v[1].iov_len = n
        parts = 2
    m.msg_iov = v
    m.msg_iovlen = parts
    while True:
        r = c_sendmsg(fd, &m, MSG_NOSIGNAL)
        if r >= 0:
            break
        if errno != INTR:
            r = -errno
            break
    if parts == 2:
        PyBuffer_Release(&view)
    return r
