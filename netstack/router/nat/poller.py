"""Whose socket is ready: one epoll for all sockets of a NAT, whatever the event loop.

The loop watches one descriptor, this epoll's. Sockets are registered once, edge-triggered, and never touched again: a flow costs
the loop no handle, no future and no task, and a wake-up is one turn of the stack for all that is ready, after which each connection
sends and acknowledges once.

Edge-triggered means that nobody is told twice. Who stops before the kernel has no more, since the other side has no room or it is
somebody else's turn, remembers so himself, and asks for another turn with `again`.
"""

import select

from ...cores import StreamUser
from ...runtime.base import Crank
from ...tcp.core import TcpCore
from . import const as nc

MOST = 256  # events in one turn: the stack has frames to look at too


class Watched(StreamUser):
    """Somebody with a socket. A stream's user by descent, since some are both, and a class has one C base."""

    __slots__ = ()

    def ready(self, events: int, now: int) -> None:
        """The socket has become readable, writable, or worse, since the last time."""
        raise NotImplementedError

    def resume(self, now: int) -> None:
        """The turn that `again` asked for."""
        raise NotImplementedError


class Poller:
    """A Turned of the loop's reactors (runtime/base.py): what it watches is `fd`, and it calls `on_frames`."""

    __slots__ = ("complain", "crank", "epoll", "fd", "later", "poll", "running", "soon", "tcp", "watched")

    def __init__(self, crank: Crank, tcp: TcpCore, soon: object, complain: object) -> None:
        """`soon()` has `on_frames` called, after others had their turn; `complain(error)` hears of what a socket did that it
        shouldn't."""
        self.crank = crank
        self.tcp = tcp
        self.soon = soon
        self.complain = complain
        self.epoll = select.epoll()
        self.poll = self.epoll.poll
        self.fd = self.epoll.fileno()
        self.watched: dict[int, Watched] = {}
        self.later: list[Watched] = []
        self.running = True

    def watch(self, fd: int, who: Watched) -> None:
        """Tell `who` of `fd`, beginning with what it is now. Raises OSError."""
        self.epoll.register(fd, nc.ALL)
        self.watched[fd] = who

    def forget(self, fd: int) -> None:
        """It is somebody else's."""
        if self.watched.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def drop(self, fd: int) -> None:
        """It is about to be closed, which the epoll notices by itself."""
        self.watched.pop(fd, None)

    def again(self, who: Watched) -> None:
        """`who.resume` in a turn after this one."""
        if not self.later:
            self.soon()  # type: ignore[operator]  # kept as an object, for C
        self.later.append(who)

    def on_frames(self) -> None:
        """Sockets are ready, or somebody has asked for another turn."""
        if self.running:
            self.crank.turn(self.serve)

    def on_deadline(self) -> None:
        """It has none of its own: its timers are the stack's."""

    def serve(self, now: int) -> bool:
        """One turn's work: what all of it writes leaves together at the end."""
        self.tcp.gather()
        try:
            self.look(now)
        except OSError as error:  # not the device's, which would be the end of everything
            self.complain(error)  # type: ignore[operator]
        self.tcp.settle(now)
        return False

    def look(self, now: int) -> None:
        later = self.later
        if later:
            self.later = []
            for who in later:
                who.resume(now)
        for fd, events in self.poll(0, MOST):
            one: Watched | None = self.watched.get(fd)
            if one is not None:
                one.ready(events, now)

    def close(self) -> None:
        self.running = False
        self.epoll.close()
        self.watched.clear()
        self.later.clear()
