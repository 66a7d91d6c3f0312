/* The one client of all measurements: it speaks to kernel sockets, and does not know which stack answers.
 *
 *   client bulk    HOST PORT SECONDS send|receive    one stream, as fast as it goes
 *   client ping    HOST PORT SECONDS                 one byte there and back, the next one after it
 *   client connect HOST PORT SECONDS                 open, one byte each way, close; one after the other
 *   client udp     HOST PORT SECONDS WINDOW SIZE     datagrams there and back, WINDOW of them on the way
 *   client http    HOST PORT SECONDS CONNECTIONS     GET on each connection, the next one after the answer
 *   client crowd   HOST PORT SECONDS CONNECTIONS SIZE  each sends SIZE bytes a second, evenly spread; what comes back is dropped
 *   client first   HOST PORT SECONDS                 waits for a byte on stdin, connects, asks for a page
 *
 * It prints one JSON object. `crowd` prints `ready` when all are connected, and measures for each line that it reads; the line says
 * for how many seconds. `first` says
 * when (CLOCK_MONOTONIC, seconds) the connection stood and when the first byte of the answer came; SECONDS is how long it waits. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
#define CONNECTIONS_MAX 8000  /* of one `connect` run: each leaves a port in TIME-WAIT for a second */

static struct sockaddr_in server;
static double seconds;
static char buffer[1 << 20];

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int open_socket(int kind)
{
    int one = 1, fd = socket(AF_INET, kind, 0);
    struct timeval patience = {5, 0};
    if (fd < 0) die("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (kind == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (void *)&server, sizeof server)) die("connect: %s", strerror(errno));
    return fd;
}

static void bulk(const char *direction)
{
    int sending = direction[0] == 's', fd = open_socket(SOCK_STREAM);
    double bytes = 0, start = now(), t;
    while ((t = now()) - start < seconds) {
        ssize_t n = sending ? send(fd, buffer, 1 << 17, MSG_NOSIGNAL) : recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) die("the stream ended early: %s", n ? strerror(errno) : "end of file");
        bytes += n;
    }
    printf("{\"gbit\": %.5f}\n", bytes * 8e-9 / (t - start));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void ping(void)
{
    enum { MOST = 4 << 20 };
    double *times = malloc(MOST * sizeof *times), start = now(), t = start;
    int fd = open_socket(SOCK_STREAM), n = 0;
    while (t - start < seconds * 1.1 && n < MOST) {
        double sent = t;
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, buffer, 1, 0) != 1) die("no echo: %s", strerror(errno));
        t = now();
        if (sent - start > seconds * 0.1) times[n++] = t - sent;  /* the first tenth warms up */
    }
    if (!n) die("no echo");
    qsort(times, n, sizeof *times, by_value);
    printf("{\"us\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"least\": %.3f, \"turns\": %d}\n", times[n / 2] * 1e6,
           times[(int)(n * 0.9)] * 1e6, times[(int)(n * 0.99)] * 1e6, times[0] * 1e6, n);
}

static void connect_rate(void)
{
    double start = now(), t;
    int n = 0;
    while ((t = now()) - start < seconds && n < CONNECTIONS_MAX) {
        int fd = open_socket(SOCK_STREAM);
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, buffer, 1, 0) != 1) die("no echo: %s", strerror(errno));
        close(fd);
        n++;
    }
    printf("{\"per_second\": %.1f}\n", n / (t - start));
}

/* Many datagrams for each system call: the servers are to be measured, and one system call each was most of what there was. */
static void udp(int window, int size)
{
    enum { MOST = 256 };
    static struct mmsghdr send_these[MOST], fill_these[MOST];
    static struct iovec text, room[MOST];
    int fd = open_socket(SOCK_DGRAM), out = 0;
    if (window > MOST) window = MOST;
    text = (struct iovec){buffer, size};
    for (int i = 0; i < MOST; i++) {
        room[i] = (struct iovec){buffer + (i + 1) * 2048, 2048};
        send_these[i].msg_hdr = (struct msghdr){.msg_iov = &text, .msg_iovlen = 1};
        fill_these[i].msg_hdr = (struct msghdr){.msg_iov = room + i, .msg_iovlen = 1};
    }
    long answered = 0, lost = 0;
    double start = now(), last = start, t;
    while ((t = now()) - start < seconds) {
        int n = out < window ? sendmmsg(fd, send_these, window - out, 0) : 0;
        if (n > 0) out += n;
        n = recvmmsg(fd, fill_these, window, MSG_DONTWAIT, NULL);
        if (n > 0) {
            answered += n;
            out -= n < out ? n : out;
            last = t;
            continue;
        }
        struct pollfd readable = {fd, POLLIN, 0};
        poll(&readable, 1, 20);
        if (now() - last > 0.1) {  /* given up: or the window would stay full for ever */
            lost += out;
            out = 0;
            last = now();
        }
    }
    printf("{\"per_second\": %.1f, \"lost\": %ld}\n", answered / (t - start), lost);
}

/* The length of the answers: they are all the same, so only the first is looked into. */
static int answer_length(int fd)
{
    int have = 0;
    if (send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) < 0) die("send: %s", strerror(errno));
    for (;;) {
        ssize_t n = recv(fd, buffer + have, sizeof buffer - 1 - have, 0);
        if (n <= 0) die("no answer: %s", n ? strerror(errno) : "end of file");
        buffer[have += n] = 0;
        char *end = strstr(buffer, "\r\n\r\n"), *length = strcasestr(buffer, "content-length:");
        if (!end) continue;
        if (!length || length > end) die("an answer without Content-Length");
        int total = end + 4 - buffer + atoi(length + 15);
        if (have >= total) return total;
    }
}

static void http(int connections)
{
    int ep = epoll_create1(0), total = 0;
    int *missing = calloc(65536, sizeof *missing);
    struct epoll_event event = {.events = EPOLLIN}, events[256];
    for (int i = 0; i < connections; i++) {
        int fd = event.data.fd = open_socket(SOCK_STREAM);
        total = answer_length(fd);
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
        missing[fd] = total;
        if (send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) < 0) die("send: %s", strerror(errno));
    }
    long answers = 0;
    double start = now(), t;
    while ((t = now()) - start < seconds) {
        int n = epoll_wait(ep, events, 256, 1000);
        if (n <= 0) die("no answer within a second");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) die("a connection ended: %s", got ? strerror(errno) : "end of file");
            if ((missing[fd] -= got) > 0) continue;
            missing[fd] = total;
            answers++;
            if (send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) < 0) die("send: %s", strerror(errno));
        }
    }
    printf("{\"per_second\": %.1f}\n", answers / (t - start));
}

/* One measurement: returns when each connection has sent its share of `seconds`. */
static void trickle(const int *fds, int connections, int size)
{
    long sent = 0, late = 0, goal = (long)(seconds * connections);
    double start = now(), t;
    while (sent < goal) {
        /* a tick each millisecond: sends that are due, one for each connection in its turn */
        long due = (long)(((t = now()) - start) * connections);
        if (due > goal) due = goal;
        if (due - sent > connections / 10) late++;
        for (; sent < due; sent++)
            if (send(fds[sent % connections], buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT) != size) die("send: %s", strerror(errno));
        usleep(1000);
    }
    printf("{\"per_second\": %.1f, \"late\": %ld}\n", sent / (now() - start), late);
    fflush(stdout);
}

static void crowd(int connections, int size)
{
    char line[64];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int *fds = malloc(connections * sizeof *fds);
    for (int i = 0; i < connections; i++) fds[i] = open_socket(SOCK_STREAM);
    usleep(200000);  /* the last handshakes, and what a server does for a new connection */
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        seconds = atof(line);
        trickle(fds, connections, size);
    }
}

static void first(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {(long)seconds, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (read(0, buffer, 1) != 1) die("nobody said when");
    double asked = now();
    if (connect(fd, (void *)&server, sizeof server)) die("connect: %s", strerror(errno));
    double opened = now();
    if (send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) < 0 || recv(fd, buffer, sizeof buffer, 0) <= 0) die("no answer: %s", strerror(errno));
    printf("{\"asked\": %.9f, \"opened\": %.9f, \"answered\": %.9f}\n", asked, opened, now());
}

int main(int argc, char **argv)
{
    if (argc < 5) die("client MODE HOST PORT SECONDS …: see the head of client.c");
    const char *mode = argv[1];
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) die("%s is not an IPv4 address", argv[2]);
    seconds = atof(argv[4]);
    if (!strcmp(mode, "bulk") && argc == 6) bulk(argv[5]);
    else if (!strcmp(mode, "ping") && argc == 5) ping();
    else if (!strcmp(mode, "connect") && argc == 5) connect_rate();
    else if (!strcmp(mode, "udp") && argc == 7) udp(atoi(argv[5]), atoi(argv[6]));
    else if (!strcmp(mode, "http") && argc == 6) http(atoi(argv[5]));
    else if (!strcmp(mode, "crowd") && argc == 7) crowd(atoi(argv[5]), atoi(argv[6]));
    else if (!strcmp(mode, "first") && argc == 5) first();
    else die("client %s with %d arguments: see the head of client.c", mode, argc - 2);
    return 0;
}
