"""Tells other servers that zones have changed (RFC 1996), over any datagrams, on asyncio and on trio. When and how often, is
`authority/notify.py`'s."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import Duration
from ...runtime.waits import Spawned, Waits, waits_here
from ...signatures import DatagramStack, Rng
from ..authority.notify import Notice, NoticeConfig, Target
from ..authority.zone import Zone
from ..client.slots import Slots

D_co = TypeVar("D_co", bound=DatagramStack, covariant=True)

Key = tuple[bytes, Target]

AT_ONCE = 100  # each has a port: a server that begins may have thousands of zones to tell of


class Telling:
    """A notice and its task."""

    def __init__(self, notice: Notice) -> None:
        self.notice = notice
        self.task: Spawned | None = None


class Notifier(Generic[D_co]):
    """`wall` gives the seconds since 1970, for signatures."""

    def __init__(
        self,
        datagrams: D_co,
        *,
        config: NoticeConfig | None = None,
        waits: Waits | None = None,
        rng: Rng | None = None,
        wall: Callable[[], int] | None = None,
    ) -> None:
        self._datagrams = datagrams
        self._config = config or NoticeConfig()
        self._waits = waits
        self._rng = random.SystemRandom() if rng is None else rng
        self._wall = wall
        self._slots = Slots(AT_ONCE)
        self._notices: dict[Key, Notice] = {}
        self._running: dict[Key, Telling] = {}  # those that will look again whether there is more to tell
        self._open: set[Telling] = set()
        self._closed = False

    @property
    def datagrams(self) -> D_co:
        return self._datagrams

    @property
    def waits(self) -> Waits:
        """The runtime's, found out when they are first needed."""
        if self._waits is None:
            self._waits = waits_here()
        return self._waits

    def tell(self, zone: Zone, targets: Iterable[Target]) -> None:
        """`zone` has changed, or is there now: tell `targets`, unless they know that serial. Doesn't wait; from the loop's own
        thread."""
        if self._closed:
            return
        for target in targets:
            key = (zone.origin, target)
            notice = self._notices.get(key)
            if notice is None:
                notice = self._notices[key] = Notice(zone, target, self._rng, self._wall or self.waits.wall, self._config)
            notice.zone = zone
            if key not in self._running:
                self._begin(key, notice)

    def _begin(self, key: Key, notice: Notice) -> None:
        telling = self._running[key] = Telling(notice)
        self._open.add(telling)
        telling.task = self.waits.spawn(lambda: self._run(key, telling))

    def told(self, zone: Zone, target: Target) -> int | None:
        """The serial that `target` has answered to."""
        notice = self._notices.get((zone.origin, target))
        return None if notice is None else notice.told

    async def __aenter__(self) -> Notifier[D_co]:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """What has not been told, is not. Twice is once."""
        self._closed = True
        tasks = [telling.task for telling in self._open if telling.task is not None]
        for task in tasks:
            task.cancel()
        with self.waits.shield():
            for task in tasks:
                await task.join()

    async def _run(self, key: Key, telling: Telling) -> None:
        try:
            async with self._slots.one(self.waits):
                with suppress(ClosedError):  # the stack has gone before us
                    await self._talk(key, telling.notice)
        finally:
            self._open.discard(telling)
            if self._running.get(key) is telling:
                del self._running[key]

    async def _talk(self, key: Key, notice: Notice) -> None:
        waits, target = self.waits, notice.target
        try:
            port = await self._datagrams.bind_datagrams(0, remote=(target.address, target.port))
        except (OSError, UsageError):
            notice.failed()
            return
        try:
            while True:
                wire = notice.start(waits.now())
                if wire is not None:
                    await port.send(wire)
                if notice.deadline is None:
                    del self._running[key]  # whoever tells of a change from now on begins anew
                    return
                with suppress(TimedOut):
                    answer, _ = await port.receive(Duration(max(notice.deadline - waits.now(), 0)))
                    notice.answer(waits.now(), answer)
        except OSError:
            notice.failed()
        finally:
            with waits.shield():
                await port.aclose()
