"""The files of `netstack dns`: zones, what was changed in them by updates, and copies of zones."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..dns.authority.journalfile import JournalFile
    from ..dns.authority.zone import Zone
    from ..dns.message import Record

APART = 10  # seconds from one writing of a copy to the next: what a crash loses, the primary still has


class ZoneFile:
    """A zone, where it comes from, and how that looked when it was read; and the updates that came since, beside it."""

    def __init__(self, said: str, origin: str | None, include: bool) -> None:
        head, equals, path = said.partition("=")
        self.path = Path(path if equals else said)
        self.origin = head if equals else origin
        self.include = include
        self.zone: Zone | None = None
        self.serial = 0
        self._seen: tuple[int, int] | None = None
        self._journal: JournalFile | None = None

    def restore(self) -> None:
        """Read it, and what has changed since. Raises UsageError, OSError."""
        from ..dns.authority.journalfile import JournalFile

        zone = self.read()
        self._journal = JournalFile(self.path.with_name(self.path.name + ".jnl"))
        self._journal.replay(zone)

    def keep(self, removed: Sequence[Record], added: Sequence[Record]) -> None:
        """Write an update down. Raises OSError."""
        assert self._journal is not None
        try:
            self._journal.keep(removed, added)
        except (OSError, UsageError) as error:
            print(f"netstack: {self.path}: an update was refused, it can't be stored: {error}", file=sys.stderr, flush=True)
            raise OSError(str(error)) from None

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def read(self) -> Zone:
        """Raises UsageError, OSError."""
        from ..dns.authority import load

        self._seen = self._look()
        self.zone = load.read(self.path, self.origin, include=self.include)
        self.serial = self.zone.serial
        return self.zone

    def _look(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_mtime_ns, found.st_size

    def changed(self) -> bool:
        return self._look() != self._seen


class CopyFile:
    """Where a copy of a zone is kept, so that it is there at the next start, whether the primary is or not."""

    def __init__(self, path: str, name: str) -> None:
        self.path = Path(path)
        self.name = name
        self.then: list[Callable[[Zone], None]] = []  # who else is told
        self._zone: Zone | None = None
        self._written: tuple[Zone, int] | None = None
        self._task: asyncio.Task[None] | None = None

    def read(self) -> Zone | None:
        """What there is of it. Raises UsageError, OSError."""
        from ..dns.authority import load

        if not self.path.exists():
            return None
        zone = load.read(self.path, self.name)
        self._written = zone, zone.serial
        return zone

    def changed(self, zone: Zone) -> None:
        """Write it soon."""
        for tell in self.then:
            tell(zone)
        self._zone = zone
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_often())

    async def aclose(self) -> None:
        """Write what is not written yet."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._write()

    async def _write_often(self) -> None:
        while self._is_new():
            await self._write()
            await asyncio.sleep(APART)

    def _is_new(self) -> bool:
        return self._zone is not None and not self._zone.expired and self._written != (self._zone, self._zone.serial)

    async def _write(self) -> None:
        """Some lines at a time, while everything goes on being answered."""
        from ..dns.authority import load
        from ..dns.authority.journalfile import write_whole

        if self._zone is None or not self._is_new():
            return
        written = self._zone, self._zone.serial
        try:
            for _ in write_whole(self.path, load.write(self._zone)):
                await asyncio.sleep(0)
        except OSError as error:
            print(f"netstack: {self.path}: the copy can't be written: {error}", file=sys.stderr, flush=True)
        self._written = written
