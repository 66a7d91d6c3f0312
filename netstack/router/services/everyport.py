"""Every port of the host that nobody has, for a guest (`-t all`, as passt has it).

    every = EveryPort(forwards, "tcp", excluded=[range(22, 23)])
    every.open()

passt's bounds: no port from which the host's own connections leave, none below 1024 without the right to it, and none that is
taken. Thirty thousand sockets that nobody may ever use are descriptors and nothing else here, in an epoll of their own; the first
who comes to one makes it a forward like any other, with its counts and its place in the list.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import select
import socket
from collections.abc import Iterable

from ...errors import NetstackError, UsageError
from ...runtime.doors.ends import LOCAL
from ...runtime.doors.forward import BACKLOG
from ...runtime.doors.hostside import KernelSocket
from .forwards import Forwards

log = logging.getLogger("netstack.router")

EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
SHARE = 4  # of the descriptors that this process may have, one protocol's ports take a fourth: flows need some, too
AT_ONCE = 64  # ports that become forwards in one turn
MANY = 1 << 30  # descriptors, where nobody counts them
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class EveryPort:
    """Ports of the host's 127.0.0.1 that lead to the same of the only guest, but for those excluded."""

    def __init__(self, forwards: Forwards, proto: str, excluded: Iterable[range] = ()) -> None:
        self._forwards = forwards
        self._proto = proto
        self._excluded = tuple(excluded)
        self._loop = forwards.net._loop
        self._ports: dict[int, int] = {}  # by descriptor
        self._epoll: select.epoll | None = None

    def open(self) -> None:
        """Raises UsageError where not one port could be had."""
        wanted = [port for port in candidates() if not any(port in each for each in self._excluded)]
        most = reserve(descriptors())
        epoll = self._epoll = select.epoll()
        for port in wanted[:most]:
            try:
                fd = bind(self._proto, port)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    break
                continue
            self._ports[fd] = port
            epoll.register(fd, select.EPOLLIN)
        if not self._ports:
            self.close()
            raise UsageError(f"not one {self._proto} port of the host is free: name some, like 2222:22")
        if len(wanted) > most:
            found = len(self._ports), len(wanted), self._proto
            log.warning("%d of %d %s ports are forwarded: this process may have no more descriptors (ulimit -n)", *found)
        self._loop.add_reader(epoll.fileno(), self._come)
        self._forwards.spare[self._proto] = self

    @property
    def ports(self) -> set[int]:
        """Those that wait for their first guest."""
        return set(self._ports.values())

    def _come(self) -> None:
        """Somebody has, to a port of ours."""
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0, AT_ONCE):
            self._epoll.unregister(fd)
            port = self._ports.pop(fd)
            sock = KernelSocket(fileno=fd)
            try:
                self._forwards.adopt(self._proto, port, sock)
            except (OSError, NetstackError) as error:
                log.warning("%s port %d of the host is given up: %s", self._proto, port, error)
                sock.close()

    def close(self) -> None:
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            self._loop.remove_reader(epoll.fileno())
            epoll.close()
        for fd in self._ports:
            os.close(fd)
        self._ports.clear()

    def leave(self, port: int) -> None:
        """It is somebody else's from now on."""
        for fd, mine in self._ports.items():
            if mine == port:
                del self._ports[fd]
                os.close(fd)
                return


def candidates() -> list[int]:
    """The ports from which no connection of the host's own leaves."""
    low, high = 32768, 60999
    with contextlib.suppress(OSError, ValueError), open(EPHEMERAL) as file:
        low, high = map(int, file.read().split())
    return [port for port in range(1, 65536) if not low <= port <= high]


def bind(proto: str, port: int) -> int:
    """A descriptor that listens. Raises OSError."""
    with KernelSocket(socket.AF_INET, KINDS[proto]) as sock:
        sock.setblocking(False)
        if proto == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOCAL, port))
        if proto == "tcp":
            sock.listen(BACKLOG)
        return sock.detach()


def descriptors() -> int:
    """How many this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MANY if soft == resource.RLIM_INFINITY else soft


def reserve(descriptors: int) -> int:
    """How many of them the ports of one protocol take."""
    return min(len(candidates()), descriptors // SHARE)
