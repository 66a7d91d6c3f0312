/* The server in C on kernel sockets, beside which everything else is measured: as simple as it can be.
 *
 *   server sink|source|echo|udpecho PORT
 *
 * It prints `ready` when it listens. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 20];
static const int one = 1;

static int bound(int kind, int port)
{
    int fd = socket(AF_INET, kind, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&address, sizeof address) || (kind == SOCK_STREAM && listen(fd, 4096))) {
        fprintf(stderr, "port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    puts("ready");
    fflush(stdout);
    return fd;
}

/* One connection after the other. */
static void pour(int listener, int sink)
{
    for (;;) {
        int fd = accept(listener, 0, 0);
        ssize_t n;
        do n = sink ? read(fd, buffer, sizeof buffer) : send(fd, buffer, sizeof buffer, MSG_NOSIGNAL);
        while (n > 0);
        close(fd);
    }
}

static void echo(int listener)
{
    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(ep, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                event.data.fd = accept(listener, 0, 0);
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(ep, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            ssize_t got = read(fd, buffer, sizeof buffer);
            if (got <= 0 || send(fd, buffer, got, MSG_NOSIGNAL) < 0) close(fd);
        }
    }
}

static void udp_echo(int fd)
{
    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &length);
        if (got >= 0) sendto(fd, buffer, got, 0, (void *)&from, length);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "server sink|source|echo|udpecho PORT\n"), 2;
    int port = atoi(argv[2]);
    if (!strcmp(argv[1], "sink")) pour(bound(SOCK_STREAM, port), 1);
    if (!strcmp(argv[1], "source")) pour(bound(SOCK_STREAM, port), 0);
    if (!strcmp(argv[1], "echo")) echo(bound(SOCK_STREAM, port));
    if (!strcmp(argv[1], "udpecho")) udp_echo(bound(SOCK_DGRAM, port));
    return 2;
}
