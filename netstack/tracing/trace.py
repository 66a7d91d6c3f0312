"""`netstack.trace(net, to=…)`: what a stack does, told with its reasons, for as long as somebody wants to know.

    with netstack.trace(net, to=print): ...                          a line for each packet, as it passes
    with netstack.trace(a, b, to=["lesson.txt", "lesson.pcapng", "lesson.json"], port=80): ...
    tracing = netstack.trace(net, to=sys.stderr).start() … tracing.stop()

It can begin and end while the stack is at work, and several can look at once. With nobody there is nothing to ask at a segment, not
even whether somebody is there (ethif/core.py); at a change of a connection's state there is one question.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from ..address import ip4_text
from ..errors import UsageError
from ..stack import Stack
from ..testing.net import Host, World
from .events import Event
from .targets import Target, To, targets
from .watcher import Watcher
from .words import Words


class Trace:
    """What `netstack.trace` gives: a context manager, or something to `start` and `stop`. It is used once."""

    def __init__(
        self, whom: tuple[object, ...], to: To, port: int | Iterable[int] | None, peer: str | None, names: Mapping[str, str] | None
    ) -> None:
        self.error: Exception | None = None  # what ended it before its time: a full disk, a function that raised
        self.events = 0  # told so far
        self._subjects = [_subject(each) for each in whom]
        if not self._subjects:
            raise UsageError("whom to trace? Give a net, a stack, a host, or a world: netstack.trace(net)")
        self._to = to
        self._ports = None if port is None else {port} if isinstance(port, int) else set(port)
        self._given = dict(names or {})
        self._names: dict[str, str] = {}
        self._peer = None if peer is None else str(peer)
        self._targets: list[Target] = []
        self._watchers: list[Watcher] = []
        self._undo: list[Callable[[], None]] = []
        self._running = False
        self._epoch: int | None = None
        self._offset = 0

    def start(self) -> Trace:
        """Begin. Raises UsageError, and OSError where a file can't be opened."""
        if self._running or self._targets:
            raise UsageError("this trace has been started already: make another one with netstack.trace(…)")
        virtual = any(subject.virtual for subject in self._subjects)
        now = self._subjects[0].clock()
        self._epoch = now
        self._targets = targets(self._to, Words(self._names), now if virtual else time.time_ns())
        self._running = True
        for subject in self._subjects:
            self._follow(subject)
        return self

    def stop(self) -> None:
        """End it, and close the files that it has opened. Nothing when it has ended already; `error` says how."""
        if not self._running:
            return
        self._running = False
        while self._undo:
            self._undo.pop()()
        for watcher in self._watchers:
            watcher.stop()
        for target in self._targets:
            try:
                target.close()
            except Exception as error:
                self._failed(error)
        self._watchers.clear()

    def __enter__(self) -> Trace:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    # -- whom to look at --------------------------------------------------------------------------------------------------------

    def _follow(self, subject: _Subject) -> None:
        if subject.world is None:
            assert subject.stack is not None
            self._watch(subject.stack, subject.name, subject.clock)
            return
        world, only = subject.world, subject.host

        def born(host: Host) -> None:
            self._name(world)
            if only is None or host is only:
                self._watch(host.stack, host.name, subject.clock)

        self._name(world)
        world.on_life.append(born)
        self._undo.append(lambda: world.on_life.remove(born))
        for host in world.hosts if only is None else [only]:
            if host.is_settled:
                born(host)

    def _name(self, world: World) -> None:
        for node in world.nodes.values():
            self._names[ip4_text(node.ip)] = node.name
        self._names.update(self._given)

    def _watch(self, stack: Stack, name: str, clock: Callable[[], int]) -> None:
        if not self._running or any(watcher.stack is stack for watcher in self._watchers):
            return
        self._names.update(self._given)
        whole = any(target.whole for target in self._targets)
        assert self._epoch is not None
        watcher = Watcher(stack, name, clock, self._tell, self._failed, whole=whole, epoch=self._epoch)
        self._watchers.append(watcher)
        watcher.start()

    # -- what they tell ---------------------------------------------------------------------------------------------------------

    def _wanted(self, event: Event) -> bool:
        flow = event.flow
        if self._ports is not None and (flow is None or not self._ports & {flow.ends[1], flow.ends[3]}):
            return False
        if self._peer is not None:
            if flow is None:
                return False
            text = ip4_text(flow.ends[2])
            return self._peer in (text, self._names.get(text))
        return True

    def _tell(self, event: Event) -> None:
        if self.error is None and self._wanted(event):
            for target in self._targets:
                target.event(event)
            self.events += 1

    def _failed(self, error: Exception) -> None:
        if self.error is None:
            self.error = error


class _Subject:
    """Whom a trace looks at: a stack, or hosts of a world, which may come to life later and more than once."""

    def __init__(
        self,
        name: str,
        clock: Callable[[], int],
        *,
        stack: Stack | None = None,
        world: World | None = None,
        host: Host | None = None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.stack = stack
        self.world = world
        self.host = host
        self.virtual = world is not None


def _subject(what: Any) -> _Subject:
    if isinstance(what, World):
        return _Subject("", lambda: what.now, world=what)
    if isinstance(what, Host):
        return _Subject(what.name, lambda: what.world.now, world=what.world, host=what)
    if isinstance(what, Stack):
        return _Subject(what.netif.name, _clock_of(what), stack=what)
    stack = getattr(what, "stack", None)
    if isinstance(stack, Stack):
        now = getattr(what, "now", None)
        return _Subject(getattr(what, "name", "") or stack.netif.name, now if callable(now) else _clock_of(stack), stack=stack)
    for name in ("host", "node", "world", "net"):  # a host of a simulation, the simulation itself, a router
        inner = getattr(what, name, None)
        if isinstance(inner, (Host, World, Stack)) or isinstance(getattr(inner, "stack", None), Stack):
            return _subject(inner)
    raise UsageError(f"{what!r} can't be traced: give a net that netstack opened, a stack, a world of tests or its hosts")


def _clock_of(stack: Stack) -> Callable[[], int]:
    """Of a stack that nobody turns but the caller: time is what its timers have come to."""
    return lambda: stack.timers.tick


def trace(
    *whom: object,
    to: To = print,
    port: int | Iterable[int] | None = None,
    peer: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Trace:
    """Tell every segment and each change of state, with its reason, of nets, stacks, worlds and their hosts.

    `to`: a function that takes a line, a text stream, a binary one (pcapng), a file's name ending in .txt, .pcapng or .json, or
    several of these. `port`, one or several, and `peer`, an address or a name, choose connections, and leave out what isn't TCP.
    `names`: what addresses are called, beside the names of a world's hosts.

    What goes wrong while it runs ends the trace and not the network: `error` says what. Raises UsageError, OSError at the start.
    """
    return Trace(whom, to, port, peer, names)
