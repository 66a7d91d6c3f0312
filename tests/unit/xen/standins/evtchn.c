/* libxenevtchn: a socket whose one end is the program's, and tells it which of its ports were told. Nothing is masked: a port that is
 * told twice before the program reads is read twice, which a program must bear. */

#include "standins.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xenevtchn.h>

#define MOST 65536

struct xenevtchn_handle {
    int program, machine;
};

static struct {
    xenevtchn_handle *owner;
    uint32_t domid; /* who may bind */
    uint32_t other; /* port, 0: nobody yet, or not any more */
} ports[MOST];
static uint32_t next_port = 1;

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    int ends[2];
    if (logger == NULL || flags != 0)
        never("opened otherwise than ever before");
    if (tripped())
        return NULL;
    xenevtchn_handle *handle = malloc(sizeof *handle);
    if (handle == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        never("no socket");
    *handle = (xenevtchn_handle){ends[0], ends[1]};
    opened(HANDLES, 1);
    return handle;
}

static void end_port(uint32_t port)
{
    if (ports[port].other != 0)
        ports[ports[port].other].other = 0;
    ports[port].owner = NULL;
    opened(PORTS, -1);
}

int xenevtchn_close(xenevtchn_handle *handle)
{
    for (uint32_t port = 1; port < next_port; port++)
        if (ports[port].owner == handle)
            end_port(port);
    close(handle->program);
    close(handle->machine);
    free(handle);
    opened(HANDLES, -1);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    return handle->program;
}

static int add_port(xenevtchn_handle *handle, uint32_t domid)
{
    if (next_port == MOST)
        never("no more ports");
    ports[next_port].owner = handle;
    ports[next_port].domid = domid;
    ports[next_port].other = 0;
    opened(PORTS, 1);
    return (int)next_port++;
}

int xenevtchn_bind_unbound_port(xenevtchn_handle *handle, uint32_t domid)
{
    return tripped() ? -1 : add_port(handle, domid);
}

static void tell(uint32_t port)
{
    xenevtchn_handle *handle = ports[port].owner;
    if (handle == NULL)
        return;
    uint32_t unmasked[64];
    ssize_t size;
    while ((size = recv(handle->machine, unmasked, sizeof unmasked, MSG_DONTWAIT)) > 0)
        for (ssize_t i = 0; i < size / 4; i++)
            if (unmasked[i] == 0 || unmasked[i] >= next_port)
                never("what was unmasked is no port");
    if (send(handle->machine, &port, sizeof port, MSG_DONTWAIT) != sizeof port)
        never("nobody listens");
}

int xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid, evtchn_port_t theirs)
{
    if (tripped())
        return -1;
    if (domid != 0 || theirs >= next_port || ports[theirs].owner == NULL || ports[theirs].other != 0 || ports[theirs].domid != 0) {
        errno = EINVAL;
        return -1;
    }
    uint32_t port = (uint32_t)add_port(handle, 0);
    ports[port].other = theirs;
    ports[theirs].other = port;
    tell(port);
    return (int)port;
}

static bool is_theirs(xenevtchn_handle *handle, evtchn_port_t port)
{
    if (port < next_port && ports[port].owner == handle)
        return true;
    errno = ENOTCONN;
    return false;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    if (tripped() || !is_theirs(handle, port))
        return -1;
    end_port(port);
    return 0;
}

void tell_other(uint32_t port)
{
    if (port < next_port && ports[port].other != 0)
        tell(ports[port].other);
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    if (tripped() || !is_theirs(handle, port))
        return -1;
    tell_other(port);
    return 0;
}
