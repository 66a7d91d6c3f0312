"""Connections that wait for the next request: bounded in all, for each origin, and in time.

Who finds all of them in use waits for his turn. A connection is looked at before it is used again, since servers close what idles;
and one that nobody wants is closed after `idle_timeout`, by a task that lives as long as something idles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from ...errors import ClosedError, TimedOut
from ...instant import Duration, Instant
from ...runtime.waits import Event, Spawned, Waits
from ..config import HttpClientConfig
from .connection import Connection, Deadline


class Slot:
    """A place in the pool: of a connection, or of one that is being opened."""

    __slots__ = ("key", "connection", "using", "idle_since", "removed")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.connection: Connection | None = None
        self.using = 1
        self.idle_since = Instant(0)
        self.removed = False


class _Waiter:
    __slots__ = ("key", "event", "woken")

    def __init__(self, key: Hashable, event: Event) -> None:
        self.key = key
        self.event = event
        self.woken = False


class Pool:
    """`acquire`, then `release` or `remove`, each of which doesn't wait."""

    def __init__(self, config: HttpClientConfig, waits: Waits) -> None:
        self._config = config
        self._waits = waits
        self._slots: dict[Hashable, list[Slot]] = {}  # the one that was used last at the end of its list
        self._total = 0
        self._waiters: deque[_Waiter] = deque()
        self._sweeper: Spawned | None = None
        self._closed = False

    def __len__(self) -> int:
        return self._total

    @property
    def idle(self) -> int:
        return sum(not slot.using for slots in self._slots.values() for slot in slots)

    async def acquire(self, key: Hashable, deadline: Deadline) -> Slot:
        """A slot with a connection that works, or one without: then the caller opens one. Raises FetchTimedOut, ClosedError."""
        while True:
            if self._closed:
                raise ClosedError("this client is closed")
            slot = await self._reuse(key)
            if slot is not None:
                return slot
            slots = self._slots.setdefault(key, [])
            if len(slots) < self._config.connections_per_origin and (self._total < self._config.connections or self._evict()):
                # evicting may have emptied, and so dropped, this very list
                slot = Slot(key)
                self._slots.setdefault(key, []).append(slot)
                self._total += 1
                return slot
            if not slots:
                del self._slots[key]
            await self._turn(key, deadline)

    async def _reuse(self, key: Hashable) -> Slot | None:
        while True:
            slots = self._slots.get(key, ())
            for gone in [slot for slot in slots if not slot.using and slot.connection is not None and not slot.connection.usable]:
                self.remove(gone)
            free = [
                slot
                for slot in slots
                if slot.connection is not None and slot.connection.usable and slot.using < slot.connection.streams
            ]
            if not free:
                return None
            slot = free[-1]
            connection = slot.connection
            assert connection is not None
            slot.using += 1
            if slot.using > 1:
                return slot
            try:
                fresh = self._waits.now() - slot.idle_since < self._config.idle_timeout
                healthy = fresh and await connection.healthy()
            except BaseException:
                self.remove(slot)
                connection.abort()
                raise
            if healthy and not self._closed:
                return slot
            self.remove(slot)
            await connection.aclose()

    async def _turn(self, key: Hashable, deadline: Deadline) -> None:
        waiter = _Waiter(key, self._waits.event())
        self._waiters.append(waiter)
        try:
            await self._waits.wait(waiter.event, deadline.left(deadline.config.pool_timeout))
        except TimedOut as error:
            self._pass_on(waiter)
            raise deadline.late("pool", "all connections are in use", error) from error
        except BaseException:
            self._pass_on(waiter)
            raise

    def _pass_on(self, waiter: _Waiter) -> None:
        """It leaves: if it was its turn, that is somebody else's now."""
        if waiter.woken:
            self._wake(waiter.key)
        else:
            self._waiters.remove(waiter)

    def _wake(self, key: Hashable) -> None:
        """Something has become free at `key`: for who waits there, or else, for who may open one elsewhere."""
        chosen = next((waiter for waiter in self._waiters if waiter.key == key), None)
        if chosen is None:
            most = self._config.connections_per_origin
            chosen = next((waiter for waiter in self._waiters if len(self._slots.get(waiter.key, ())) < most), None)
        if chosen is not None:
            self._waiters.remove(chosen)
            chosen.woken = True
            chosen.event.set()

    def release(self, slot: Slot) -> None:
        """A request is over; the connection goes on if it can."""
        connection = slot.connection
        slot.using -= 1
        if slot.removed:
            return
        if connection is None or not connection.usable or self._closed:
            if not slot.using:
                self.remove(slot)
            return
        if not slot.using:
            slots = self._slots[slot.key]
            slots.remove(slot)
            slots.append(slot)
            slot.idle_since = Instant(self._waits.now())
            self._sweep()
        self._wake(slot.key)

    def remove(self, slot: Slot) -> None:
        """It is gone, or was never there. Closing it is the caller's."""
        if slot.removed:
            return
        slot.removed = True
        slots = self._slots[slot.key]
        slots.remove(slot)
        if not slots:
            del self._slots[slot.key]
        self._total -= 1
        self._wake(slot.key)

    def forget(self, key: Hashable) -> None:
        """One of them turned out to be stale: those that idle beside it are not better."""
        for slot in [slot for slot in self._slots.get(key, ()) if not slot.using]:
            self.remove(slot)
            if slot.connection is not None:
                slot.connection.abort()

    def _evict(self) -> bool:
        """The one that has idled longest makes room."""
        idle = [slot for slots in self._slots.values() for slot in slots if not slot.using]
        if not idle:
            return False
        slot = min(idle, key=lambda slot: slot.idle_since)
        slot.removed = True  # and nobody is woken: the room is taken
        slots = self._slots[slot.key]
        slots.remove(slot)
        if not slots:
            del self._slots[slot.key]
        self._total -= 1
        if slot.connection is not None:
            slot.connection.abort()
        return True

    # -- what idles too long --------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        if self._sweeper is None:
            self._sweeper = self._waits.spawn(self._sweep_idle)

    async def _sweep_idle(self) -> None:
        """Until nothing idles any more."""
        never = self._waits.event()
        while True:
            now = self._waits.now()
            timeout = self._config.idle_timeout
            idle = [slot for slots in self._slots.values() for slot in slots if not slot.using]
            if not idle:
                self._sweeper = None
                return
            for slot in idle:
                if now - slot.idle_since >= timeout:
                    self.remove(slot)
                    if slot.connection is not None:
                        await slot.connection.aclose()
            left = [slot.idle_since + timeout - now for slot in idle if not slot.removed and not slot.using]
            if left:
                try:
                    await self._waits.wait(never, Duration(max(min(left), 1)))
                except TimedOut:
                    continue

    async def aclose(self) -> None:
        """What idles is closed, what is in use is aborted."""
        self._closed = True
        slots = [slot for slots in self._slots.values() for slot in slots]
        for slot in slots:
            busy = slot.using
            self.remove(slot)
            if slot.connection is not None:
                if busy:
                    slot.connection.abort()
                else:
                    await slot.connection.aclose()
        while self._waiters:
            waiter = self._waiters.popleft()
            waiter.woken = True
            waiter.event.set()
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            with self._waits.shield():
                await sweeper.join()
