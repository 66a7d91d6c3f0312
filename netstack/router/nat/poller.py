"""Whose socket is ready: one epoll for all sockets of a NAT, whatever the event loop.

Our own loop has them in its own epoll (runtime/selector.py); other loops watch one descriptor, that of an epoll of ours. Sockets
are registered once, edge-triggered, and never touched again: a flow costs the loop no handle, no future and no task, and a wake-up
is one turn of the stack for all that is ready, after which each connection sends and acknowledges once.

Edge-triggered means that nobody is told twice. Who stops before the kernel has no more, since the other side has no room or it is
somebody else's turn, remembers so himself, and asks for another turn with `again`.
"""

import select

from ...cores import StreamUser
from ...runtime.base import Crank, Edges
from ...runtime.selector import StackSelector
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


class Poller(Edges):
    """`fd`: what others than `selector` watch, to call `on_frames`; -1 where there is that."""

    __slots__ = ("complain", "crank", "epoll", "fd", "later", "poll", "running", "selector", "soon", "tcp", "watched")

    def __init__(self, crank: Crank, tcp: TcpCore, soon: object, complain: object, selector: "StackSelector | None" = None) -> None:
        """`soon()` has `on_frames` called, after others had their turn; `complain(error)` hears of what a socket did that it
        shouldn't."""
        Edges.__init__(self)
        self.crank = crank
        self.tcp = tcp
        self.soon = soon
        self.complain = complain
        self.selector = selector
        self.epoll = select.epoll() if selector is None else None
        self.poll = None if self.epoll is None else self.epoll.poll
        self.fd = -1 if self.epoll is None else self.epoll.fileno()
        self.watched: dict[int, Watched] = {}
        self.later: list[Watched] = []
        self.running = True

    def watch(self, fd: int, who: Watched) -> None:
        """Tell `who` of `fd`, beginning with what it is now. Raises OSError."""
        if self.selector is not None:
            self.selector.watch_edges(fd, self, nc.ALL)
        else:
            self.epoll.register(fd, nc.ALL)  # type: ignore[union-attr]  # one of both is there
        self.watched[fd] = who

    def forget(self, fd: int) -> None:
        """It is somebody else's."""
        if self.watched.pop(fd, None) is not None:
            if self.selector is not None:
                self.selector.forget_edges(fd, False)
            else:
                self.epoll.unregister(fd)  # type: ignore[union-attr]

    def drop(self, fd: int) -> None:
        """It is about to be closed, which the epoll notices by itself."""
        if self.watched.pop(fd, None) is not None and self.selector is not None:
            self.selector.forget_edges(fd, True)

    def again(self, who: Watched) -> None:
        """`who.resume` in a turn after this one."""
        if not self.later:
            self.soon()  # type: ignore[operator]  # kept as an object, for C
        self.later.append(who)

    def on_frames(self) -> None:
        """Sockets are ready, or somebody has asked for another turn."""
        if self.running:
            self.crank.turn(self.serve)
        if self.events:
            self.events = []  # the stack has stopped, and looks at none

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
                try:
                    who.resume(now)
                except OSError as error:
                    self.complain(error)  # type: ignore[operator]
        heard = self.events
        if self.selector is None:
            heard = self.poll(0, MOST)  # type: ignore[misc]
        elif heard:
            self.events = []
        for fd, events in heard:
            one: Watched | None = self.watched.get(fd)
            if one is not None:
                try:
                    one.ready(events, now)
                except OSError as error:  # its own: those behind it are not told again
                    self.complain(error)  # type: ignore[operator]

    def close(self) -> None:
        self.running = False
        if self.selector is None:
            self.epoll.close()  # type: ignore[union-attr]
        else:
            for fd in self.watched:
                self.selector.forget_edges(fd, True)
        self.watched.clear()
        self.later.clear()
