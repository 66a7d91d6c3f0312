"""An asyncio selector that turns stacks itself.

asyncio's own way from a readable descriptor to a callback is long: a list of keys, a handle, a queue, a context, all in Python,
several microseconds for each wake-up. That is more than a stack needs for the frames that caused it. This selector knows which
descriptors are devices of stacks, and when their timers are due, and turns their cranks while it selects; everything else goes
to the loop as from any selector.

    loop = asyncio.SelectorEventLoop(StackSelector())

Where it may look into the loop (`look_into`), it goes on selecting after a turn that has given the loop nothing to do. Stacks'
deadlines are a timerfd: armed once in many wake-ups, where a time-out of epoll costs the kernel a timer for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import const
from ..instant import NEVER
from . import timerfd
from .base import Crank, Edges, Turned

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_MOST = 256  # events of sockets in one round: stacks have frames to look at, too


class StackSelector:
    """A `selectors.BaseSelector` on epoll. `serve` and `arm` are for the reactors of cranks."""

    __slots__ = (
        "_armed", "_clock", "_debts", "_edges", "_epoll", "_keys", "_loop", "_map", "_poll", "_ready", "_served", "_soonest",
        "_timer",
    )  # fmt: skip

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._map = _Map(self._keys)
        self._served: dict[int, Turned] = {}
        self._edges: dict[int, Edges] = {}
        self._clock = time.monotonic_ns
        self._armed: dict[Turned, int] = {}
        self._soonest: int = NEVER
        self._timer = timerfd.create()
        self._epoll.register(self._timer, _IN)
        self._loop: Any = None
        self._ready: Any = None
        self._debts: list[Crank] = []

    # -- for stacks ---------------------------------------------------------------------------------------------------------

    def look_into(self, loop: asyncio.AbstractEventLoop) -> None:
        """Errors of turns are told to `loop`. If it is asyncio's own, its queues say whether it has anything to do."""
        self._loop = loop
        self._debts = getattr(loop, "debts", self._debts)
        if isinstance(loop, asyncio.BaseEventLoop) and hasattr(loop, "_stopping") and hasattr(loop, "_scheduled"):
            self._ready = getattr(loop, "_ready", None)

    def serve(self, fd: int, crank: Turned) -> None:
        """Turn `crank` whenever `fd` is readable."""
        self._epoll.register(fd, _IN)
        self._served[fd] = crank

    def dismiss(self, fd: int) -> None:
        if self._served.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def watch_edges(self, fd: int, whose: Edges, mask: int) -> None:
        """Tell `whose` of `fd`, once for each change, beginning with what it is now. Raises OSError."""
        self._epoll.register(fd, mask)
        self._edges[fd] = whose

    def forget_edges(self, fd: int, closing: bool) -> None:
        """`closing`: epoll will notice by itself."""
        if self._edges.pop(fd, None) is not None and not closing:
            self._epoll.unregister(fd)

    def _tell(self, told: list[Edges]) -> None:
        for whose in told:
            try:
                whose.on_frames()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._complain(error)

    def arm(self, crank: Turned, when: int) -> None:
        """Call `crank.on_deadline` at `when`, by the monotonic clock, in place of any instant before; up to a tick later, so that
        the delayed ACKs of ten thousand connections are not as many wake-ups. What is due already, as all is that a host sends to
        itself, comes at once."""
        if when > self._clock():
            when = (when | (1 << const.TICK_SHIFT) - 1) + 1
        self._armed[crank] = when
        if when < self._soonest:
            self._soonest = when
            timerfd.arm(self._timer, when)

    def disarm(self, crank: Turned) -> None:
        self._armed.pop(crank, None)

    def _expire(self) -> None:
        """The timer has fired. What was disarmed, or armed again for later, made it fire too early, which is a trifle."""
        os.read(self._timer, 8)
        due = self._soonest
        self._soonest = NEVER
        for crank, when in list(self._armed.items()):
            if when <= due:
                del self._armed[crank]
                self._turn(crank.on_deadline)
        for when in self._armed.values():
            if when < self._soonest:
                self._soonest = when
        if self._soonest != NEVER:
            timerfd.arm(self._timer, self._soonest)

    def _turn(self, turn: Callable[[], None]) -> None:
        try:
            turn()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._complain(error)

    def _frames(self, turned: Turned) -> None:
        try:
            if isinstance(turned, Crank):
                crank = turned  # a type of its own: compiled, this call goes past Python
                crank.on_frames()
            else:
                turned.on_frames()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._complain(error)

    def _complain(self, error: BaseException) -> None:
        if self._loop is None:
            raise error
        self._loop.call_exception_handler({"message": "Exception in a turn of a stack", "exception": error})

    def _pay(self) -> None:
        """Before the loop waits: what programs have written in this iteration is sent."""
        cranks = self._debts[:]
        self._debts.clear()
        for crank in cranks:
            self._turn(crank.pay)

    def idle(self) -> bool:
        """Has the loop, into which it looks, nothing to do?"""
        return self._ready is not None and not self._ready

    def _next_timer(self) -> object:
        """The loop's own, None if it has none."""
        scheduled = self._loop._scheduled
        return scheduled[0] if scheduled else None

    # -- selectors.BaseSelector ---------------------------------------------------------------------------------------------

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = []
        wait = -1.0 if timeout is None else timeout if timeout > 0 else 0.0
        until = time.monotonic() + wait if wait > 0 else 0.0
        queue = self._ready
        if self._debts:
            self._pay()
            if queue:
                wait = 0.0  # a writer may go on
        timer = None if queue is None else self._next_timer()
        while True:
            try:
                sockets = len(self._edges)
                events = self._poll(wait, len(self._keys) + len(self._served) + 1 + (sockets if sockets < _MOST else _MOST))
            except InterruptedError:
                return ready
            if sockets:  # before any turn, which might close one of them, and give its number to another
                told: list[Edges] = []
                for pair in events:
                    whose = self._edges.get(pair[0])
                    if whose is not None:
                        if not whose.events:
                            told.append(whose)
                        whose.events.append(pair)
                if told:
                    self._tell(told)
            for fd, event in events:
                turned = self._served.get(fd)
                if turned is not None:
                    self._frames(turned)
                elif fd == self._timer:
                    self._expire()
                else:
                    key = self._keys.get(fd)
                    if key is not None:
                        mask = (selectors.EVENT_WRITE if event & ~_IN else 0) | (selectors.EVENT_READ if event & ~_OUT else 0)
                        ready.append((key, mask & key.events))
            if ready or not events or wait == 0 or queue is None:
                return ready
            if self._debts:
                self._pay()  # of tasks that ran in the turn
            if queue or self._loop._stopping or self._next_timer() is not timer:
                return ready  # the turn has given the loop something to do
            if until:
                wait = until - time.monotonic()
                if wait <= 0:
                    return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if not events or events & ~(selectors.EVENT_READ | selectors.EVENT_WRITE):
            raise ValueError(f"Invalid events: {events!r}")
        fd = _descriptor(fileobj)
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {fd}) is already registered")
        self._epoll.register(fd, _mask(events))
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = self.get_key(fileobj)
        del self._keys[key.fd]
        with contextlib.suppress(OSError):  # closed before it was unregistered: epoll has forgotten it by itself
            self._epoll.unregister(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self.get_key(fileobj)
        if events != key.events:
            self._epoll.modify(key.fd, _mask(events))
        key = self._keys[key.fd] = key._replace(events=events, data=data)
        return key

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        try:
            return self._map[fileobj]
        except KeyError:
            raise KeyError(f"{fileobj!r} is not registered") from None

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._map

    def close(self) -> None:
        self._epoll.close()
        os.close(self._timer)
        self._keys.clear()
        self._served.clear()
        self._edges.clear()
        self._armed.clear()
        self._soonest = NEVER


class _Map(Mapping[Any, selectors.SelectorKey]):
    """Keys by file object or descriptor."""

    def __init__(self, keys: dict[int, selectors.SelectorKey]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Any:
        return iter(self._keys)

    def __getitem__(self, fileobj: Any) -> selectors.SelectorKey:
        try:
            fd = _descriptor(fileobj)
        except ValueError:  # closed: it is known by itself only
            for key in self._keys.values():
                if key.fileobj is fileobj:
                    return key
            raise KeyError(fileobj) from None
        return self._keys[fd]


def _descriptor(fileobj: Any) -> int:
    fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
    if not isinstance(fd, int) or fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd!r}")
    return fd


def _mask(events: int) -> int:
    return (_IN if events & selectors.EVENT_READ else 0) | (_OUT if events & selectors.EVENT_WRITE else 0)
