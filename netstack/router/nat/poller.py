"""Whose socket is ready: one epoll for all sockets of a NAT, whatever the event loop.

The loop watches one descriptor, this epoll's. Sockets are registered once, edge-triggered, and never touched again: a flow costs
the loop no handle, no future and no task, and a wake-up is one turn of the stack for all that is ready, after which each connection
sends and acknowledges once.

Edge-triggered means that nobody is told twice. Who stops before the kernel has no more, since the other side has no room or it is
somebody else's turn, remembers so himself, and asks for another turn with `again`.
"""

import select

from ...cores import StreamUser
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
    """`serve` is one turn's work."""

    __slots__ = ("epoll", "fd", "later", "poll", "soon", "watched")

    def __init__(self, soon: object) -> None:
        """`soon()` has `serve` called again, after others had their turn."""
        self.epoll = select.epoll()
        self.poll = self.epoll.poll
        self.fd = self.epoll.fileno()
        self.soon = soon
        self.watched: dict[int, Watched] = {}
        self.later: list[Watched] = []

    def watch(self, fd: int, who: Watched) -> None:
        """Tell `who` of `fd`, beginning with what it is now. Raises OSError."""
        self.epoll.register(fd, nc.ALL)
        self.watched[fd] = who

    def forget(self, fd: int) -> None:
        """Before `fd` is closed."""
        if self.watched.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def drop(self, fd: int) -> None:
        """`forget` for one that is closed at once, which the epoll notices by itself."""
        self.watched.pop(fd, None)

    def again(self, who: Watched) -> None:
        if not self.later:
            self.soon()  # type: ignore[operator]  # kept as an object, for C
        self.later.append(who)

    def serve(self, now: int) -> None:
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
        self.epoll.close()
        self.watched.clear()
        self.later.clear()
