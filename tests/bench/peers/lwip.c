/* The services of the benchmarks on lwIP, as the system packages it: `lwip TAP ADDRESS`, the address of a /24.
 *
 * Echo on 7 (TCP and UDP), a sink on 9, a source on 19, by lwIP's callback interface. One thread reads frames and runs all of
 * it under lwIP's core lock; lwIP's own thread has the timers. The package decides windows (64 KiB) and checksums (in software).
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>

enum { FRAME = 1600, BATCH = 64 };

static int tap;
static char zeros[65535];

static err_t transmit(struct netif *netif, struct pbuf *p)
{
    char frame[FRAME];
    u16_t n = pbuf_copy_partial(p, frame, sizeof frame, 0);
    return write(tap, frame, n) == n ? ERR_OK : ERR_IF;
}

static err_t init(struct netif *netif)
{
    static const u8_t address[6] = {2, 0, 0, 0, 0, 7};
    netif->name[0] = 't';
    netif->name[1] = 'p';
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, address, 6);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static err_t done(struct tcp_pcb *pcb, struct pbuf *p)
{
    if (p) {
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
        return ERR_OK;
    }
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    return tcp_close(pcb);
}

static err_t echo(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    for (struct pbuf *q = p; q; q = q->next)
        if (tcp_write(pcb, q->payload, q->len, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
    tcp_output(pcb);
    return done(pcb, p);
}

static err_t sink(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    return done(pcb, p);
}

static err_t fill(void *arg, struct tcp_pcb *pcb, u16_t sent)
{
    u16_t n;
    while ((n = tcp_sndbuf(pcb)) > 0 && tcp_sndqueuelen(pcb) < TCP_SND_QUEUELEN - 8)
        if (tcp_write(pcb, zeros, n < 16384 ? n : 16384, 0) != ERR_OK)
            break;
    return tcp_output(pcb);
}

static err_t accept_echo(void *arg, struct tcp_pcb *pcb, err_t err)
{
    tcp_nagle_disable(pcb);
    tcp_recv(pcb, echo);
    return ERR_OK;
}

static err_t accept_sink(void *arg, struct tcp_pcb *pcb, err_t err)
{
    tcp_recv(pcb, sink);
    return ERR_OK;
}

static err_t accept_source(void *arg, struct tcp_pcb *pcb, err_t err)
{
    tcp_recv(pcb, sink);
    tcp_sent(pcb, fill);
    return fill(arg, pcb, 0);
}

static void listen_on(u16_t port, tcp_accept_fn accept)
{
    struct tcp_pcb *pcb = tcp_new();
    tcp_bind(pcb, IP_ANY_TYPE, port);
    tcp_accept(tcp_listen_with_backlog(pcb, 255), accept);
}

static void udp_echo(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
    udp_sendto(pcb, p, from, port);
    pbuf_free(p);
}

static int open_tap(const char *name)
{
    struct ifreq request = {0};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        perror(name);
        _exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static struct netif netif;
    ip4_addr_t address, mask, none;
    char frame[FRAME];
    if (argc != 3 || !ip4addr_aton(argv[2], &address)) {
        fprintf(stderr, "usage: lwip TAP ADDRESS\n");
        return 2;
    }
    tap = open_tap(argv[1]);
    tcpip_init(NULL, NULL);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&none, 0, 0, 0, 0);
    LOCK_TCPIP_CORE();
    netif_add(&netif, &address, &mask, &none, NULL, init, ethernet_input);
    netif_set_default(&netif);
    netif_set_up(&netif);
    listen_on(7, accept_echo);
    listen_on(9, accept_sink);
    listen_on(19, accept_source);
    struct udp_pcb *udp = udp_new();
    udp_bind(udp, IP4_ADDR_ANY, 7);
    udp_recv(udp, udp_echo, NULL);
    UNLOCK_TCPIP_CORE();
    printf("ready\n");
    fflush(stdout);

    for (;;) {
        struct pollfd ready = {.fd = tap, .events = POLLIN};
        poll(&ready, 1, -1);
        LOCK_TCPIP_CORE();
        for (int i = 0; i < BATCH; i++) {
            ssize_t n = read(tap, frame, sizeof frame);
            if (n <= 0)
                break;
            struct pbuf *p = pbuf_alloc(PBUF_RAW, n, PBUF_RAM);
            if (!p)
                break;
            pbuf_take(p, frame, n);
            if (netif.input(p, &netif) != ERR_OK)
                pbuf_free(p);
        }
        UNLOCK_TCPIP_CORE();
    }
}
