"""Copies of zones, kept over any datagrams and streams, on asyncio and on trio.

    async with Secondaries(net, net, server.zones, orders=server.desk.orders) as copies:
        copies.keep("example.", [Primary("10.0.0.1")])

What is to be done and when, is `authority/secondary.py`'s; here is one task for each copy, and the ports and streams that it needs.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from ...errors import ClosedError, NetstackError, TimedOut, UsageError
from ...instant import SECOND, Duration
from ...runtime.waits import Event, Spawned, Waits, waits_here
from ...signatures import DatagramStack, Rng, StreamStack
from .. import name as names
from ..authority.access import NOBODY, Access
from ..authority.secondary import AskSerial, Fetch, Primary, Rest, Secondary, SecondaryConfig, Step
from ..authority.zone import Zone
from ..authority.zones import Zones
from ..client.slots import Slots
from ..mib import SecondaryMib
from ..stream import Deframer, frame
from .orders import Orders

D_co = TypeVar("D_co", bound=DatagramStack, covariant=True)
S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

log = logging.getLogger("netstack.dns")

TRANSFERS = 10  # at once: each may hold a whole zone beside the one in use. BIND's transfers-in
CONNECT = Duration(30 * SECOND)


class Kept:
    """A copy and its task."""

    def __init__(self, secondary: Secondary) -> None:
        self.secondary = secondary
        self.news: Event | None = None
        self.task: Spawned | None = None


class Secondaries(Generic[D_co, S_co]):
    """Copies that come are put into `zones`, in place of what is there. With the `orders` of a server's desk notifications reach
    them, and nobody can update them there. `wall` gives the seconds since 1970."""

    def __init__(
        self,
        datagrams: D_co,
        streams: S_co,
        zones: Zones,
        *,
        orders: Orders | None = None,
        transfers: int = TRANSFERS,
        waits: Waits | None = None,
        rng: Rng | None = None,
        wall: Callable[[], int] | None = None,
    ) -> None:
        self._datagrams = datagrams
        self._streams = streams
        self.zones = zones
        self.mib = SecondaryMib()
        self._waits = waits
        self._rng = random.SystemRandom() if rng is None else rng
        self._wall = wall
        self._slots = Slots(transfers)
        self._kept: dict[bytes, Kept] = {}
        self._closed = False
        self._orders = orders
        if orders is not None:
            orders.noticed.append(self.noticed)

    @property
    def datagrams(self) -> D_co:
        return self._datagrams

    @property
    def streams(self) -> S_co:
        return self._streams

    @property
    def waits(self) -> Waits:
        """The runtime's, found out when they are first needed."""
        if self._waits is None:
            self._waits = waits_here()
        return self._waits

    # -- which ----------------------------------------------------------------------------------------------------------------

    def keep(
        self,
        name: bytes | str,
        primaries: Sequence[Primary],
        *,
        zone: Zone | None = None,
        access: Access = NOBODY,
        config: SecondaryConfig | None = None,
        changed: Callable[[Zone], None] | None = None,
    ) -> Secondary:
        """Keep a copy of the zone `name` from now on. `zone` is what there is of it, from a file perhaps; `changed` is called with
        the zone each time that it has come, changed or expired: to write it, or to tell others. From the loop's own thread.

        Raises UsageError, for one that is kept already.
        """
        if self._closed:
            raise ClosedError("copies are kept no longer")
        origin = names.parse(name) if isinstance(name, str) else name
        if names.key(origin) in self._kept:
            raise UsageError(f"a copy of {names.text(origin)} is kept already: forget() it before")

        def adopted(zone: Zone) -> None:
            if self.zones.exact(zone.origin) is not zone:
                self.zones.add(zone)
            if changed is not None:
                try:
                    changed(zone)
                except Exception:
                    log.exception("what was to be done with the new %s failed", names.text(zone.name))

        secondary = Secondary(
            origin,
            tuple(primaries),
            self._rng,
            self._wall or self.waits.wall,
            zone=zone,
            access=access,
            config=config,
            mib=self.mib,
            adopted=adopted,
        )
        if zone is not None:
            self.zones.add(zone)
        kept = self._kept[secondary.origin] = Kept(secondary)
        if self._orders is not None:
            self._orders.secondaries[secondary.origin] = secondary
        secondary.start(self.waits.now())
        kept.task = self.waits.spawn(lambda: self._keep(kept))
        return secondary

    async def forget(self, name: bytes | str) -> None:
        """Keep it no longer; what there is stays among the zones."""
        kept = self._kept.pop(names.key(names.parse(name) if isinstance(name, str) else name), None)
        if kept is not None:
            self._disown(kept)
            if kept.task is not None:
                kept.task.cancel()
                await kept.task.join()

    def _disown(self, kept: Kept) -> None:
        if self._orders is not None and self._orders.secondaries.get(kept.secondary.origin) is kept.secondary:
            del self._orders.secondaries[kept.secondary.origin]

    def find(self, origin: bytes) -> Secondary | None:
        """The copy of the zone with this key."""
        kept = self._kept.get(origin)
        return None if kept is None else kept.secondary

    def noticed(self, secondary: Secondary) -> None:
        """It was notified: its deadline may have moved."""
        kept = self._kept.get(secondary.origin)
        if kept is not None and kept.news is not None:
            kept.news.set()

    async def __aenter__(self) -> Secondaries[D_co, S_co]:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Transfers that are under way are dropped. Twice is once."""
        if self._orders is not None and not self._closed:
            self._orders.noticed.remove(self.noticed)
        self._closed = True
        for kept in self._kept.values():
            self._disown(kept)
        tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
        self._kept.clear()
        for task in tasks:
            task.cancel()
        with self.waits.shield():
            for task in tasks:
                await task.join()

    # -- the task of one ------------------------------------------------------------------------------------------------------

    async def _keep(self, kept: Kept) -> None:
        with suppress(ClosedError):  # the stack has gone before us
            await self._follow(kept)

    async def _follow(self, kept: Kept) -> None:
        waits, secondary = self.waits, kept.secondary
        told = ""
        while True:
            step = secondary.due(waits.now())
            while not isinstance(step, Rest):
                step = await self._perform(secondary, step)
            if secondary.why != told:
                told = secondary.why
                if told:
                    log.warning("the copy of %s: %s", names.text(secondary.name), told)
            kept.news = waits.event()
            with suppress(TimedOut):
                await waits.wait(kept.news, Duration(max(step.deadline - waits.now(), 0)))

    async def _perform(self, secondary: Secondary, step: Step) -> Step:
        if isinstance(step, AskSerial):
            return await self._ask(secondary, step)
        assert isinstance(step, Fetch)
        async with self._slots.one(self.waits):
            return await self._fetch(secondary, step)

    async def _ask(self, secondary: Secondary, step: AskSerial) -> Step:
        waits, primary = self.waits, step.primary
        try:
            port = await self._datagrams.bind_datagrams(0, remote=(primary.address, primary.port))
        except (OSError, UsageError) as error:
            return secondary.failed(waits.now(), str(error))
        try:
            await port.send(step.wire)
            while True:
                wire, _ = await port.receive(Duration(max(step.deadline - waits.now(), 0)))
                following = secondary.datagram(waits.now(), wire)
                if following is not None:
                    return following
        except TimedOut:
            return secondary.expired(waits.now())
        except OSError as error:
            return secondary.failed(waits.now(), str(error))
        finally:
            with waits.shield():
                await port.aclose()

    async def _fetch(self, secondary: Secondary, step: Fetch) -> Step:
        waits, primary = self.waits, step.primary
        try:
            stream = await self._streams.connect_stream(primary.address, primary.port, CONNECT)
        except (OSError, UsageError) as error:
            return secondary.failed(waits.now(), str(error))
        deframer = Deframer()
        try:
            await stream.send_all(frame(step.wire), Duration(step.idle))
            while True:
                left = min(step.idle, step.deadline - waits.now())
                if left <= 0:
                    return secondary.failed(waits.now(), "the transfer takes too long: SecondaryConfig(stream_whole=…) allows more")
                data = await stream.receive(65536, Duration(left))
                if not data:
                    return secondary.ended(waits.now())
                for wire in deframer.feed(data):
                    following = secondary.message(waits.now(), wire)
                    if following is not None:
                        return following
        except TimedOut:
            return secondary.failed(waits.now(), "the primary is silent in the middle of a transfer")
        except (OSError, NetstackError) as error:
            return secondary.failed(waits.now(), str(error))
        finally:
            with waits.shield():
                await stream.aclose()
