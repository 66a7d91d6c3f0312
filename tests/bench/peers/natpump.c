/* What any router between a tap and the host's sockets could reach in new connections: no more than the system calls.
 *
 *   natpump TAP
 *
 * It is 10.0.2.2. Whatever a guest connects to leads to the same port of the host's loopback, if that accepts at once. Segments are neither checked
 * nor sent again, windows are ignored, nothing has a bound or a time-out: a throw-away, no router. It prints `ready` when TAP is
 * there. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { VNET = 10, ETHER = 14, IP = 20, TCP = 20, FIN = 1, SYN = 2, PUSH = 8, ACK = 16, MOST = 1024 };

typedef struct {
    int fd;
    uint16_t port, far_port;
    uint32_t guest, far, next, wanted;
    int shut, ended;
} Flow;

static int tap, poller, flow_of_port[65536];  /* by the guest's port; 0 for none */
static Flow flows[MOST];  /* by descriptor */
static uint8_t guest_mac[6], own_mac[6] = {2, 0, 0, 0, 0, 1}, in[70000], out[VNET + ETHER + IP + TCP + 4], data[65536];

static uint16_t g16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static uint32_t g32(const uint8_t *p) { return (uint32_t)g16(p) << 16 | g16(p + 2); }
static void p16(uint8_t *p, uint16_t v) { p[0] = v >> 8; p[1] = v; }
static void p32(uint8_t *p, uint32_t v) { p16(p, v >> 16); p16(p + 2, v); }

static uint32_t sum(const uint8_t *p, int n)
{
    uint32_t s = 0;
    for (int i = 0; i < n; i += 2) s += g16(p + i);
    return s;
}

static uint16_t fold(uint32_t s)
{
    while (s >> 16) s = (s & 0xFFFF) + (s >> 16);
    return s;
}

/* The device computes the checksum of TCP. */
static void segment(Flow *f, int flags, int n)
{
    int options = flags & SYN ? 4 : 0, tcp = TCP + options, size = IP + tcp + n;
    uint8_t *e = out + VNET, *i = e + ETHER, *t = i + IP;
    memset(out, 0, sizeof out);
    out[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    out[6] = ETHER + IP;  /* csum_start, csum_offset: of this machine's order */
    out[8] = 16;
    memcpy(e, guest_mac, 6);
    memcpy(e + 6, own_mac, 6);
    p16(e + 12, 0x0800);
    i[0] = 0x45;
    p16(i + 2, size);
    i[6] = 0x40;
    i[8] = 64;
    i[9] = IPPROTO_TCP;
    p32(i + 12, f->far);
    p32(i + 16, f->guest);
    p16(i + 10, ~fold(sum(i, IP)));
    p16(t, f->far_port);
    p16(t + 2, f->port);
    p32(t + 4, f->next);
    p32(t + 8, f->wanted);
    t[12] = tcp << 2;
    t[13] = flags;
    p16(t + 14, 65535);
    p16(t + 16, fold(sum(i + 12, 8) + IPPROTO_TCP + tcp + n));
    if (options) p32(t + TCP, 0x020405B4);
    struct iovec v[2] = {{out, VNET + ETHER + IP + tcp}, {data, n}};
    if (writev(tap, v, n ? 2 : 1) < 0) perror("tap");
    f->next += n + !!(flags & SYN) + !!(flags & FIN);
}

static void arp(uint8_t *a)
{
    uint8_t *e = out + VNET, *r = e + ETHER;
    memset(out, 0, sizeof out);
    memcpy(e, a + 8, 6);
    memcpy(e + 6, own_mac, 6);
    p16(e + 12, 0x0806);
    memcpy(r, a, 8);
    r[7] = 2;
    memcpy(r + 8, own_mac, 6);
    memcpy(r + 14, a + 24, 4);
    memcpy(r + 18, a + 8, 10);
    if (write(tap, out, VNET + ETHER + 28) < 0) perror("tap");
}

static void begin(uint8_t *i, uint8_t *t)
{
    static const int ttl = 63;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(g16(t + 2)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || fd >= MOST) abort();
    setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    connect(fd, (void *)&to, sizeof to);
    if (connect(fd, (void *)&to, sizeof to) && errno != EISCONN) {
        close(fd);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    flow_of_port[g16(t)] = fd;
    flows[fd] = (Flow){fd, g16(t), g16(t + 2), g32(i + 12), g32(i + 16), fd * 1000000u, g32(t + 4) + 1};
    segment(&flows[fd], SYN | ACK, 0);
}

static void input(int size)
{
    uint8_t *e = in + VNET, *i = e + ETHER, *t = i + IP;
    if (size < VNET + ETHER + 28) return;
    memcpy(guest_mac, e + 6, 6);
    if (g16(e + 12) == 0x0806 && e[ETHER + 7] == 1 && g32(e + ETHER + 24) == 0x0A000202) arp(e + ETHER);
    if (g16(e + 12) != 0x0800 || i[9] != IPPROTO_TCP) return;
    if (t[13] & SYN) {
        begin(i, t);
        return;
    }
    int fd = flow_of_port[g16(t)], head = t[12] >> 2, n = g16(i + 2) - IP - head;
    Flow *f = &flows[fd];
    if (!fd) return;
    if (n > 0) {
        if (send(fd, t + head, n, MSG_NOSIGNAL) < 0) perror("send");
        f->wanted += n;
    }
    if (t[13] & FIN) {
        f->wanted++;
        f->shut = 1;
        shutdown(fd, SHUT_WR);
    }
    if (f->shut && f->ended && g32(t + 8) == f->next) {
        flow_of_port[f->port] = 0;
        close(fd);
    }
}

static void readable(Flow *f)
{
    ssize_t n = recv(f->fd, data, sizeof data, 0);
    if (n > 0) segment(f, ACK | PUSH, n > 1400 ? 1400 : n);
    if (n == 0 && !f->ended) {
        f->ended = 1;
        segment(f, ACK | FIN, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "natpump TAP\n"), 2;
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
    tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) || ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)) return perror("tun"), 1;
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = tap}, events[64];
    epoll_ctl(poller, EPOLL_CTL_ADD, tap, &event);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, events, 64, -1);
        for (int k = 0; k < n; k++) {
            if (events[k].data.fd != tap) {
                readable(&flows[events[k].data.fd]);
                continue;
            }
            ssize_t size;
            while ((size = read(tap, in, sizeof in)) > 0) input(size);
        }
    }
}
