/* A throw-away TCP over a tap, to learn what a user-space stack could reach there at best: one connection at a time, no timers but
 * one, no congestion control, no options but MSS and window scale, go-back-N when something is lost.
 *
 *   tappump DEVICE ADDRESS plain|gso
 *
 * Port 7 gives back what comes, port 9 drops it, port 19 sends without end. `plain`: frames of 1500 bytes, and the checksums of both
 * directions in software, as where the device does nothing. `gso`: frames of up to 64 KiB, checksums left to the device. The payload
 * is never copied here. It prints `ready` when the device is there; address and link state of the kernel's end are not its business. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MSS = 1460, SCALE = 10, BATCH = 64, FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { ECHO = 7, SOURCE = 19 };
#define WINDOW (gso ? 4 << 20 : 1 << 20)  /* bytes on their way, in either direction: a tap queues some thousand frames, no more */
#define RETRY 0.05  /* seconds without progress, after which everything unacknowledged is sent again */

struct frame {  /* what comes before a payload, without options */
    struct virtio_net_hdr_v1 offload;
    uint8_t ethernet[14], ip[20], tcp[20];
} __attribute__((packed));

static int tap, gso;
static uint8_t own_ip[4], own_mac[6] = {2, 0, 0, 0, 0, 2};
static uint8_t in[70000] __attribute__((aligned(64))), payload[65536] __attribute__((aligned(64)));

static struct {
    uint8_t mac[6], ip[4];
    uint16_t port, own_port;
    int open, scale, repeats;
    uint32_t rcv_nxt, snd_una, snd_nxt, snd_wnd;
    double progress;  /* when something was last acknowledged */
} peer;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static uint16_t get16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static void put32(uint8_t *p, uint32_t v) { p[0] = v >> 24; p[1] = v >> 16; p[2] = v >> 8; p[3] = v; }
static void put16(uint8_t *p, uint16_t v) { p[0] = v >> 8; p[1] = v; }

/* RFC 1071 in the order of this machine's bytes: 32 bits at a time into 64, which the compiler makes vectors of. */
static uint64_t sum(const uint8_t *p, size_t n)
{
    uint64_t total = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint32_t word;
        memcpy(&word, p + i, 4);
        total += word;
    }
    uint32_t rest = 0;
    memcpy(&rest, p + i, n - i);
    return total + rest;
}

static uint16_t fold(uint64_t total)
{
    while (total >> 16) total = (total & 0xffff) + (total >> 16);
    return total;
}

static uint64_t pseudo(const uint8_t *addresses, size_t length) { return sum(addresses, 8) + htons(6) + htons(length); }

static void put_sum(uint8_t *p, uint16_t value) { memcpy(p, &value, 2); }

static void transmit(int flags, uint32_t seq, const uint8_t *data, size_t length)
{
    uint8_t options[8] = {2, 4, MSS >> 8, MSS & 255, 1, 3, 3, SCALE};
    size_t option_length = flags & SYN ? sizeof options : 0, segment = 20 + option_length + length;
    struct frame f = {0};
    memcpy(f.ethernet, peer.mac, 6);
    memcpy(f.ethernet + 6, own_mac, 6);
    put16(f.ethernet + 12, 0x0800);
    f.ip[0] = 0x45;
    put16(f.ip + 2, 20 + segment);
    f.ip[6] = 0x40;
    f.ip[8] = 64;
    f.ip[9] = 6;
    memcpy(f.ip + 12, own_ip, 4);
    memcpy(f.ip + 16, peer.ip, 4);
    put_sum(f.ip + 10, ~fold(sum(f.ip, 20)));
    put16(f.tcp, peer.own_port);
    put16(f.tcp + 2, peer.port);
    put32(f.tcp + 4, seq);
    put32(f.tcp + 8, peer.rcv_nxt);
    f.tcp[12] = (20 + option_length) << 2;
    f.tcp[13] = flags;
    put16(f.tcp + 14, flags & SYN ? 65535 : WINDOW >> SCALE);
    uint64_t check = pseudo(f.ip + 12, segment);
    if (gso) {
        f.offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        f.offload.csum_start = 34;
        f.offload.csum_offset = 16;
        if (length > MSS) {
            f.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
            f.offload.gso_size = MSS;
            f.offload.hdr_len = 54;
        }
        put_sum(f.tcp + 16, fold(check));
    } else
        put_sum(f.tcp + 16, ~fold(check + sum(f.tcp, 20) + sum(options, option_length) + sum(data, length)));
    size_t skip = gso ? 0 : sizeof f.offload;
    struct iovec parts[3] = {{(uint8_t *)&f + skip, sizeof f - skip}, {options, option_length}, {(void *)data, length}};
    if (writev(tap, parts, 3) < 0 && errno != EIO) perror("tappump: writev");  /* EIO: the link is down for now */
}

static void answer_arp(uint8_t *e, ssize_t length)
{
    if (length < 42 || get16(e + 20) != 1 || memcmp(e + 38, own_ip, 4)) return;
    memcpy(e, e + 6, 6);
    memcpy(e + 6, own_mac, 6);
    e[21] = 2;
    memcpy(e + 32, e + 22, 10);  /* the one who asked is the target now */
    memcpy(e + 22, own_mac, 6);
    memcpy(e + 28, own_ip, 4);
    static const struct virtio_net_hdr_v1 none;
    struct iovec parts[2] = {{(void *)&none, gso ? sizeof none : 0}, {e, 42}};
    if (writev(tap, parts, 2) < 0) perror("tappump: writev");
}

static void accept_peer(const uint8_t *e, const uint8_t *t)
{
    memset(&peer, 0, sizeof peer);
    memcpy(peer.mac, e + 6, 6);
    memcpy(peer.ip, e + 26, 4);
    peer.port = get16(t);
    peer.own_port = get16(t + 2);
    peer.rcv_nxt = get32(t + 4) + 1;
    peer.snd_una = peer.snd_nxt = rand();
    for (const uint8_t *o = t + 20, *end = t + (t[12] >> 4) * 4; o < end && *o; o += *o == 1 || !o[1] ? 1 : o[1])
        if (*o == 3) peer.scale = o[2];
    transmit(SYN | ACK, peer.snd_nxt++, 0, 0);
}

/* One segment. Returns whether it is to be acknowledged. */
static int receive(uint8_t *e, ssize_t length)
{
    if (length < 14) return 0;
    if (get16(e + 12) == 0x0806) return answer_arp(e, length), 0;
    if (length < 54 || get16(e + 12) != 0x0800 || e[23] != 6) return 0;
    uint8_t *t = e + 34;
    int header = (t[12] >> 4) * 4, segment = get16(e + 16) - 20, data = segment - header;
    if (segment > length - 34 || data < 0) return 0;
    if (!gso && fold(pseudo(e + 26, segment) + sum(t, segment)) != 0xffff) return fprintf(stderr, "tappump: bad checksum\n"), 0;
    if (t[13] & SYN) return accept_peer(e, t), 0;
    if (get16(t) != peer.port || get16(t + 2) != peer.own_port) return 0;
    if (t[13] & (RST | FIN)) {
        peer.open = 0;
        peer.rcv_nxt = get32(t + 4) + data + 1;
        if (t[13] & FIN) transmit(FIN | ACK, peer.snd_nxt, 0, 0);  /* its acknowledgement finds nobody, and is dropped */
        return 0;
    }
    uint32_t seq = get32(t + 4), ack = get32(t + 8);
    peer.snd_wnd = (uint32_t)get16(t + 14) << peer.scale;
    if ((int32_t)(ack - peer.snd_una) > 0) {
        if (!peer.open) peer.open = 1;
        peer.snd_una = ack;
        if ((int32_t)(ack - peer.snd_nxt) > 0) peer.snd_nxt = ack;
        peer.repeats = 0;
        peer.progress = now();
    } else if (!data && ack != peer.snd_nxt && ++peer.repeats == 3)
        peer.snd_nxt = ack;
    if (data <= 0 || seq != peer.rcv_nxt) return data > 0;
    peer.rcv_nxt += data;
    if (peer.own_port != ECHO) return 1;
    transmit(ACK | PSH, peer.snd_nxt, t + header, data);
    peer.snd_nxt += data;
    return 0;
}

static int send_some(void)
{
    size_t unit = gso ? 44 * MSS : MSS;
    if (peer.snd_nxt != peer.snd_una && now() - peer.progress > RETRY) {
        peer.snd_nxt = peer.snd_una;
        peer.progress = now();
    }
    uint32_t window = peer.snd_wnd < WINDOW ? peer.snd_wnd : WINDOW;
    int sent = 0;
    for (; sent < (gso ? 16 : BATCH) && (int32_t)(peer.snd_una + window - peer.snd_nxt) >= (int32_t)unit; sent++) {
        transmit(ACK | PSH, peer.snd_nxt, payload, unit);
        peer.snd_nxt += unit;
    }
    return sent;
}

static void open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (gso) request.ifr_flags |= IFF_VNET_HDR;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    int size = sizeof(struct virtio_net_hdr_v1);
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4;
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) || (gso && (ioctl(tap, TUNSETVNETHDRSZ, &size) || ioctl(tap, TUNSETOFFLOAD, offloads)))) {
        perror("tappump: /dev/net/tun");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 || inet_pton(AF_INET, argv[2], own_ip) != 1) return fprintf(stderr, "tappump DEVICE ADDRESS plain|gso\n"), 2;
    gso = !strcmp(argv[3], "gso");
    open_tap(argv[1]);
    puts("ready");
    fflush(stdout);
    ssize_t head = gso ? sizeof(struct virtio_net_hdr_v1) : 0;
    for (;;) {
        int received = 0, owed = 0, sent = 0;
        for (; received < BATCH; received++) {
            ssize_t n = read(tap, in, sizeof in);
            if (n < 0) break;
            owed += receive(in + head, n - head);
            if (owed >= 8 || (owed && received == BATCH - 1)) {
                transmit(ACK, peer.snd_nxt, 0, 0);
                owed = 0;
            }
        }
        if (owed) transmit(ACK, peer.snd_nxt, 0, 0);
        if (peer.open && peer.own_port == SOURCE) sent = send_some();
        if (!received && !sent) {
            struct pollfd readable = {tap, POLLIN, 0};
            poll(&readable, 1, 10);
        }
    }
}
