# The twin of sysio.py: the same calls as inline C.
cimport netstack.raw as raw
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>

    #define NETSTACK_BATCH 64
    #define NETSTACK_NAME 28
    #define NETSTACK_CONTROL 64

    static inline void netstack_p32(unsigned char *p, unsigned int v) {
        p[0] = v >> 24; p[1] = v >> 16; p[2] = v >> 8; p[3] = v;
    }

    static inline unsigned int netstack_g32(const unsigned char *p) {
        return (unsigned int)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
    }

    #ifdef __linux__
    static int netstack_receive(int fd, char *room, size_t slot, char *names, char *controls, unsigned char *sizes) {
        struct mmsghdr m[NETSTACK_BATCH];
        struct iovec v[NETSTACK_BATCH];
        int i, n;
        for (i = 0; i < NETSTACK_BATCH; i++) {
            v[i].iov_base = room + i * slot;
            v[i].iov_len = slot;
            m[i].msg_hdr.msg_name = names + i * NETSTACK_NAME;
            m[i].msg_hdr.msg_namelen = NETSTACK_NAME;
            m[i].msg_hdr.msg_iov = &v[i];
            m[i].msg_hdr.msg_iovlen = 1;
            m[i].msg_hdr.msg_control = controls + i * NETSTACK_CONTROL;
            m[i].msg_hdr.msg_controllen = NETSTACK_CONTROL;
            m[i].msg_hdr.msg_flags = 0;
        }
        do
            n = recvmmsg(fd, m, NETSTACK_BATCH, MSG_DONTWAIT, NULL);
        while (n < 0 && errno == EINTR);
        for (i = 0; i < n; i++) {
            size_t control = m[i].msg_hdr.msg_controllen;
            struct cmsghdr *c = control ? CMSG_FIRSTHDR(&m[i].msg_hdr) : NULL;
            if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
            else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
                ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
            else
                control = 0;
            netstack_p32(sizes + 8 * i, m[i].msg_hdr.msg_flags & MSG_TRUNC ? 0xFFFFFFFFU : m[i].msg_len);
            netstack_p32(sizes + 8 * i + 4, (unsigned int)control);
        }
        return n < 0 ? 0 : n;
    }

    static int netstack_send(int fd, char *out, size_t slot, char *names, char *controls, unsigned char *sizes, int n) {
        struct mmsghdr m[NETSTACK_BATCH];
        struct iovec v[NETSTACK_BATCH];
        int i, k = 0, done = 0, failed = 0;
        for (i = 0; i < n; i++) {
            unsigned int size = netstack_g32(sizes + 8 * i);
            unsigned int control = netstack_g32(sizes + 8 * i + 4);
            if (!size)
                continue;
            v[k].iov_base = out + i * slot;
            v[k].iov_len = size;
            m[k].msg_hdr.msg_name = names + i * NETSTACK_NAME;
            m[k].msg_hdr.msg_namelen =
                ((struct sockaddr *)(names + i * NETSTACK_NAME))->sa_family == AF_INET ? sizeof(struct sockaddr_in) : NETSTACK_NAME;
            m[k].msg_hdr.msg_iov = &v[k];
            m[k].msg_hdr.msg_iovlen = 1;
            m[k].msg_hdr.msg_control = control ? controls + i * NETSTACK_CONTROL : NULL;
            m[k].msg_hdr.msg_controllen = control;
            m[k].msg_hdr.msg_flags = 0;
            k++;
        }
        while (done < k) {
            int sent = sendmmsg(fd, m + done, k - done, MSG_DONTWAIT);
            if (sent > 0) {
                done += sent;
            } else if (sent == 0 || errno != EINTR) {
                failed++;  /* the first that it did not take: it goes on behind it */
                done++;
            }
        }
        return failed;
    }
    #else  /* no recvmmsg: socketdoor.py says so before anybody calls these */
    static int netstack_receive(int fd, char *room, size_t slot, char *names, char *controls, unsigned char *sizes) {
        return 0;
    }
    static int netstack_send(int fd, char *out, size_t slot, char *names, char *controls, unsigned char *sizes, int n) {
        return n;
    }
    #endif
    """
    int c_receive "netstack_receive"(int fd, char *room, size_t slot, char *names, char *controls, unsigned char *sizes) nogil
    int c_send "netstack_send"(int fd, char *out, size_t slot, char *names, char *controls, unsigned char *sizes, int n) nogil

cdef enum:
    BATCH = 64
    SLOT = 4096
    NAME = 28
    CONTROL = 64


cdef inline int receive(object sock, int fd, bytearray room, Py_ssize_t slot, bytearray names, bytearray controls,
                        bytearray sizes) except -1:
    if len(room) < BATCH * slot or len(names) < BATCH * NAME or len(controls) < BATCH * CONTROL or len(sizes) < BATCH * 8:
        raise IndexError("past the end")
    return c_receive(fd, PyByteArray_AS_STRING(room), slot, PyByteArray_AS_STRING(names), PyByteArray_AS_STRING(controls),
                     <unsigned char *>PyByteArray_AS_STRING(sizes))


cdef inline int send(object sock, int fd, bytearray out, Py_ssize_t slot, bytearray names, bytearray controls, bytearray sizes,
                     int n) except -1:
    if n > BATCH or len(out) < n * slot or len(names) < n * NAME or len(controls) < n * CONTROL or len(sizes) < n * 8:
        raise IndexError("past the end")
    return c_send(fd, PyByteArray_AS_STRING(out), slot, PyByteArray_AS_STRING(names), PyByteArray_AS_STRING(controls),
                  <unsigned char *>PyByteArray_AS_STRING(sizes), n)
