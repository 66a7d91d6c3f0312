"""Forwards that come and go with whoever listens in the guest (`-t auto`, as pasta has it)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from ...errors import NetstackError
from ...runtime.doors.ends import LOCAL
from .forwards import FORWARDS, Forwards

log = logging.getLogger("netstack.router")

EVERY = 1.0  # seconds, as pasta looks
MOST = FORWARDS // 4  # ports of one namespace: whoever listens on all of his takes as many descriptors of ours


class Following:
    """`ports()` says on which ports of `proto` somebody listens; each is the same port of `host`, unless it is excluded, or taken
    there."""

    def __init__(
        self,
        forwards: Forwards,
        proto: str,
        ports: Callable[[], set[int]],
        *,
        guest: str = "",
        host: str = LOCAL,
        excluded: Iterable[range] = (),
    ) -> None:
        self._forwards = forwards
        self._proto = proto
        self._ports = ports
        self._guest = guest
        self._host = host
        self._excluded = tuple(excluded)
        self._numbers: dict[int, int] = {}  # of forwards, by port
        self._taken: set[int] = set()  # by somebody else on the host: tried again when its listener has come anew

    async def look(self) -> None:
        """Once."""
        try:
            there = self._ports()
        except OSError:  # the namespace is going
            there = set()
        wanted = {port for port in there if not any(port in each for each in self._excluded)}
        self._taken &= wanted
        for port in self._numbers.keys() - wanted:
            await self._forwards.remove(self._numbers.pop(port))
        for port in sorted(wanted - self._numbers.keys() - self._taken)[: MOST - len(self._numbers)]:
            try:
                self._numbers[port] = await self._forwards.add(self._proto, self._host, port, self._guest, port)
            except (OSError, NetstackError) as error:
                self._taken.add(port)
                log.info("%s port %d of the guest is not forwarded: %s", self._proto, port, error)

    async def run(self) -> None:
        """Until it is cancelled; then the forwards stay, to be closed with all others."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)
