# The twin of sysio.py: the same calls as inline C.
cimport netstack.const as const
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

cdef extern from "<errno.h>":
    const int INTR "EINTR"
    const int AGAIN "EAGAIN"
    const int CONNREFUSED "ECONNREFUSED"
    const int INPROGRESS "EINPROGRESS"
    const int ALREADY "EALREADY"
    const int EADDRNOTAVAIL

cdef extern from "<unistd.h>":
    int c_close "close"(int fd)

cdef extern from "<netinet/tcp.h>":
    const int TCP_NODELAY

cdef extern from "<sys/uio.h>":
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<arpa/inet.h>":
    uint32_t htonl(uint32_t x)
    uint32_t ntohl(uint32_t x)
    uint16_t htons(uint16_t x)
    uint16_t ntohs(uint16_t x)

cdef extern from "<netinet/in.h>":
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr

cdef extern from "<sys/socket.h>":
    const int AF_INET
    const int SOCK_STREAM
    const int SOCK_DGRAM
    const int SOCK_NONBLOCK
    const int SOCK_CLOEXEC
    const int SOL_SOCKET
    const int SO_ERROR
    const int SO_LINGER
    const int SHUT_WR
    int c_socket "socket"(int family, int type, int proto)
    int c_connect "connect"(int fd, const void *to, unsigned int n)
    int c_bind "bind"(int fd, const void *at, unsigned int n)
    int c_setsockopt "setsockopt"(int fd, int level, int name, const void *value, unsigned int n)
    int c_getsockopt "getsockopt"(int fd, int level, int name, void *value, unsigned int *n)
    int c_shutdown "shutdown"(int fd, int how)
    const int NOSIGNAL "MSG_NOSIGNAL"
    const int DONTWAIT "MSG_DONTWAIT"
    struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    Py_ssize_t c_recv "recv"(int fd, void *b, size_t n, int flags)
    Py_ssize_t c_send "send"(int fd, const void *b, size_t n, int flags)
    Py_ssize_t c_sendmsg "sendmsg"(int fd, const msghdr *m, int flags)
    Py_ssize_t c_recvmsg "recvmsg"(int fd, msghdr *m, int flags)
    cmsghdr *CMSG_FIRSTHDR(msghdr *m)
    cmsghdr *CMSG_NXTHDR(msghdr *m, cmsghdr *c)
    unsigned char *CMSG_DATA(cmsghdr *c)
    size_t CMSG_LEN(size_t n)
    size_t CMSG_SPACE(size_t n)

cdef enum:
    SOL_UDP = 17
    UDP_SEGMENT = 103
    UDP_GRO = 104
    IPPROTO_IP = 0
    IPPROTO_TCP = 6
    IP_TOS = 1
    IP_TTL = 2
    IP_MTU_DISCOVER = 10
    IP_RECVERR = 11
    IP_RECVTOS = 13
    IP_BIND_ADDRESS_NO_PORT = 24


cdef inline int bound(int fd, unsigned long long source) except -1:
    cdef sockaddr_in at
    cdef int one = 1
    memset(&at, 0, sizeof(at))
    at.sin_family = AF_INET
    at.sin_addr.s_addr = htonl(<uint32_t>source)
    c_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
    if c_bind(fd, &at, sizeof(at)) == 0:
        return 1
    c_close(fd)
    return 0


cdef inline (int, int) dial(unsigned long long address, int port, int ttl, int tos, unsigned long long source) except *:
    cdef sockaddr_in to
    cdef int one = 1, error = 0
    cdef int fd = c_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return -errno, 0
    memset(&to, 0, sizeof(to))
    to.sin_family = AF_INET
    to.sin_port = htons(<uint16_t>port)
    to.sin_addr.s_addr = htonl(<uint32_t>address)
    c_setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl))
    if tos:
        c_setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos))
    if source and not bound(fd, source):
        return -EADDRNOTAVAIL, 0
    if c_connect(fd, &to, sizeof(to)) < 0:
        error = errno
        if error == INPROGRESS:
            error = 0 if c_connect(fd, &to, sizeof(to)) == 0 else errno
            if error == ALREADY:
                error = INPROGRESS
                c_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one))
    return fd, error


cdef inline int packets(unsigned long long source) except? -9999:
    cdef int one = 1
    cdef int fd = c_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return -errno
    c_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one))
    c_setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one))
    c_setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one))
    if source and not bound(fd, source):
        return -EADDRNOTAVAIL
    return fd


cdef inline int hops(int fd, int ttl) except -1:
    c_setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl))
    return 0


cdef inline int mark(int fd, int tos) except -1:
    c_setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos))
    return 0


cdef inline int whole(int fd, int df) except -1:
    df = 2 * df
    c_setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &df, sizeof(df))
    return 0


cdef inline int hurry(int fd) except -1:
    cdef int one = 1
    c_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    return 0


cdef inline int forget_errors(int fd) except -1:
    cdef int zero = 0
    c_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &zero, sizeof(zero))
    return 0


cdef inline int error_of(int fd) except -1:
    cdef int error = 0
    cdef unsigned int n = sizeof(error)
    c_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n)
    return error


cdef inline int shut(int fd) except -1:
    c_shutdown(fd, SHUT_WR)
    return 0


cdef inline int close(int fd, bint reset) except -1:
    cdef int linger[2]
    if reset:
        linger[0] = 1
        linger[1] = 0
        c_setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, sizeof(linger))
    c_close(fd)
    return 0


cdef inline Py_ssize_t receive(int fd, bytearray b, Py_ssize_t o, Py_ssize_t n) except? -9999:
    cdef Py_ssize_t r
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")
    while True:
        r = c_recv(fd, PyByteArray_AS_STRING(b) + o, n, DONTWAIT)
        if r >= 0:
            return r
        if errno != INTR:
            return -errno


cdef inline Py_ssize_t send(int fd, bytearray b, Py_ssize_t o, Py_ssize_t n) except? -9999:
    cdef Py_ssize_t r
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")
    while True:
        r = c_send(fd, PyByteArray_AS_STRING(b) + o, n, NOSIGNAL | DONTWAIT)
        if r >= 0:
            return r
        if errno != INTR:
            return -errno


cdef inline Py_ssize_t send_many(int fd, list pieces, Py_ssize_t o) except? -9999:
    cdef iovec v[const.GATHER]
    cdef Py_buffer views[const.GATHER]
    cdef msghdr m
    cdef Py_ssize_t r = 0
    cdef int parts = 0, i
    memset(&m, 0, sizeof(m))
    try:
        for piece in pieces:
            if parts == const.GATHER:
                break
            PyObject_GetBuffer(piece, &views[parts], PyBUF_SIMPLE)
            parts += 1
            if o < 0 or o > views[parts - 1].len:
                raise IndexError("past the end")
            v[parts - 1].iov_base = <uint8_t *>views[parts - 1].buf + o
            v[parts - 1].iov_len = views[parts - 1].len - o
            o = 0
        m.msg_iov = v
        m.msg_iovlen = parts
        while True:
            r = c_sendmsg(fd, &m, NOSIGNAL | DONTWAIT)
            if r >= 0:
                return r
            if errno != INTR:
                return -errno
    finally:
        for i in range(parts):
            PyBuffer_Release(&views[i])


cdef inline Py_ssize_t send_packet(
    int fd, bytearray b, Py_ssize_t o, Py_ssize_t n, int size, unsigned long long address, int port
) except? -9999:
    cdef sockaddr_in to
    cdef iovec v
    cdef msghdr m
    cdef cmsghdr *c
    cdef uint8_t control[64]
    cdef uint16_t cut = <uint16_t>size
    cdef Py_ssize_t r
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")
    memset(&to, 0, sizeof(to))
    to.sin_family = AF_INET
    to.sin_port = htons(<uint16_t>port)
    to.sin_addr.s_addr = htonl(<uint32_t>address)
    v.iov_base = PyByteArray_AS_STRING(b) + o
    v.iov_len = n
    memset(&m, 0, sizeof(m))
    m.msg_name = &to
    m.msg_namelen = sizeof(to)
    m.msg_iov = &v
    m.msg_iovlen = 1
    if size:
        memset(control, 0, sizeof(control))
        m.msg_control = control
        m.msg_controllen = CMSG_SPACE(2)
        c = CMSG_FIRSTHDR(&m)
        c.cmsg_level = SOL_UDP
        c.cmsg_type = UDP_SEGMENT
        c.cmsg_len = CMSG_LEN(2)
        memcpy(CMSG_DATA(c), &cut, 2)
    while True:
        r = c_sendmsg(fd, &m, NOSIGNAL | DONTWAIT)
        if r >= 0:
            return r
        if errno != INTR:
            return -errno


cdef inline (Py_ssize_t, int, unsigned int, int, int) receive_packet(
    int fd, bytearray b, Py_ssize_t o, Py_ssize_t n
) except *:
    cdef sockaddr_in sender
    cdef iovec v
    cdef msghdr m
    cdef cmsghdr *c
    cdef uint8_t control[64]
    cdef int size = 0, tos = 0
    cdef Py_ssize_t r
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")
    v.iov_base = PyByteArray_AS_STRING(b) + o
    v.iov_len = n
    while True:
        memset(&m, 0, sizeof(m))
        m.msg_name = &sender
        m.msg_namelen = sizeof(sender)
        m.msg_iov = &v
        m.msg_iovlen = 1
        m.msg_control = control
        m.msg_controllen = sizeof(control)
        r = c_recvmsg(fd, &m, DONTWAIT)
        if r >= 0:
            break
        if errno != INTR:
            return -errno, 0, 0, 0, 0
    c = CMSG_FIRSTHDR(&m)
    while c != NULL:
        if c.cmsg_level == SOL_UDP and c.cmsg_type == UDP_GRO:
            memcpy(&size, CMSG_DATA(c), 4)
        elif c.cmsg_level == IPPROTO_IP and c.cmsg_type == IP_TOS:
            tos = CMSG_DATA(c)[0]
        c = CMSG_NXTHDR(&m, c)
    return r, size, ntohl(sender.sin_addr.s_addr), ntohs(sender.sin_port), tos
