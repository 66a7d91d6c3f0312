"""An asyncio selector that turns stacks itself.

asyncio's own way from a readable descriptor to a callback is long: a list of keys, a handle, a queue, a context, all in Python,
several microseconds for each wake-up. That is more than a stack needs for the frames that caused it. This selector knows which
descriptors are devices of stacks, and when their timers are due, and turns their cranks while it selects; everything else goes
to the loop as from any selector.

    loop = asyncio.SelectorEventLoop(StackSelector())

It uses nothing of asyncio's but the interface of selectors. What a turn raises goes where the loop sends errors of callbacks.
"""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..instant import NEVER
from .base import Turned

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT


class StackSelector:
    """A `selectors.BaseSelector` on epoll. `serve` and `arm` are for the reactors of cranks."""

    __slots__ = ("_armed", "_epoll", "_keys", "_map", "_poll", "_served", "_soonest", "on_error")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._map = _Map(self._keys)
        self._served: dict[int, Turned] = {}
        self._armed: dict[Turned, int] = {}
        self._soonest: int = NEVER
        self.on_error: Callable[[BaseException], None] | None = None

    # -- for stacks ---------------------------------------------------------------------------------------------------------

    def serve(self, fd: int, crank: Turned) -> None:
        """Turn `crank` whenever `fd` is readable."""
        self._epoll.register(fd, _IN)
        self._served[fd] = crank

    def dismiss(self, fd: int) -> None:
        if self._served.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def arm(self, crank: Turned, when: int) -> None:
        """Call `crank.on_deadline` at `when`, by the monotonic clock, in place of any instant before."""
        self._armed[crank] = when
        if when < self._soonest:
            self._soonest = when

    def disarm(self, crank: Turned) -> None:
        self._armed.pop(crank, None)
        self._find_soonest()

    def _find_soonest(self) -> None:
        self._soonest = NEVER
        for when in self._armed.values():
            if when < self._soonest:
                self._soonest = when

    def _expire(self) -> None:
        now = time.monotonic_ns()
        for crank, when in list(self._armed.items()):
            if when <= now:
                del self._armed[crank]
                self._turn(crank.on_deadline)
        self._find_soonest()

    def _turn(self, turn: Callable[[], None]) -> None:
        try:
            turn()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if self.on_error is None:
                raise
            self.on_error(error)

    # -- selectors.BaseSelector ---------------------------------------------------------------------------------------------

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = []
        wait = -1.0 if timeout is None else timeout if timeout > 0 else 0.0
        if self._soonest != NEVER and wait != 0:
            left = (self._soonest - time.monotonic_ns()) / 1e9
            if left < wait or wait < 0:
                wait = left if left > 0 else 0.0
        try:
            events = self._poll(wait, len(self._keys) + len(self._served) + 1)
        except InterruptedError:
            return ready
        for fd, event in events:
            crank = self._served.get(fd)
            if crank is not None:
                self._turn(crank.on_frames)
                continue
            key = self._keys.get(fd)
            if key is not None:
                mask = (selectors.EVENT_WRITE if event & ~_IN else 0) | (selectors.EVENT_READ if event & ~_OUT else 0)
                ready.append((key, mask & key.events))
        if self._soonest != NEVER and (not events or timeout == 0) and self._soonest <= time.monotonic_ns():
            self._expire()
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
        try:
            self._epoll.unregister(key.fd)
        except OSError:
            pass  # closed before it was unregistered: epoll has forgotten it by itself
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
        self._keys.clear()
        self._served.clear()
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
