"""The DHCP server of a router, with leases that outlive it.

They are written to a JSON file, whole and under another name that is then given its place, so that no crash leaves half of one:
soon after a change, and at the end. A lease that a crash loses is no loss: its client asks for its address again, and gets it,
since nobody else has it. Times in the file are the wall's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from attrs import evolve

from ...address import Ip4
from ...dhcp.leases import Kept, Lease
from ...dhcp.onstack import Alarm, ServerOnStack
from ...dhcp.server import DhcpConfig
from ...errors import UsageError
from ...instant import NEVER, SECOND, Duration

log = logging.getLogger("netstack.dhcp")

SOON = Duration(SECOND)  # from a change to the file: guests that start together are one write
LARGEST = 32 << 20  # bytes of a file that is read: a pool of 65,536 has 10 MiB
VERSION = 1
NEVER_LEFT = Duration(NEVER)


class DhcpService:
    """`net` is the guests' side. `path`: the file; "" keeps nothing. `wall` gives seconds since 1970. Raises UsageError for a file
    that is no file of leases, OSError where it can't be read or written."""

    def __init__(
        self,
        net: Any,
        config: DhcpConfig,
        *,
        path: str = "",
        guest_of: Callable[[int], str] | None = None,
        there: Callable[[str], bool] | None = None,
        on_change: Callable[[Lease], object] | None = None,
        wall: Callable[[], float] = time.time,
        device: int | str = 0,
    ) -> None:
        self._net = net
        self._path = path
        self._wall = wall
        self._on_change = on_change
        self._server = ServerOnStack(
            net.stack, net.turn, config, guest_of=guest_of, there=there, on_change=self._changed, device=device
        )
        self._alarm = Alarm(net.stack, lambda now: self._save())
        self._there = there
        self._dirty = False
        self._failed = False

    @property
    def core(self) -> Any:
        """The `DhcpServer`: counters (`mib`), table (`leases`), configuration."""
        return self._server.core

    def start(self) -> None:
        """Raises AddressInUse, UsageError, OSError."""
        if self._path:
            self.core.restore(map(self._renamed, load(self._path, self._wall())), self._net.now())
            self._write()  # now it is known whether it can be
        self._server.start()

    def close(self) -> None:
        self._server.close()
        self._alarm.set(NEVER)
        if self._dirty:
            self._save()

    # -- what others ask ------------------------------------------------------------------------------------------------------

    def address_of(self, hostname: str) -> Ip4 | None:
        lease = self.core.leases.named(hostname)
        return None if lease is None else Ip4(lease.address)

    def hostname_of(self, address: Ip4) -> str:
        lease = self.core.leases.by_address.get(int(address))
        return "" if lease is None else str(lease.hostname)

    def table(self) -> list[dict[str, object]]:
        """The leases, by address: `left` in seconds, None for one that never ends."""
        now = self._net.now()
        return [
            {
                "address": str(Ip4(each.address)),
                "mac": str(each.mac or ""),
                "hostname": each.hostname,
                "guest": each.guest,
                "client": each.client.hex(),
                "left": None if each.until == NEVER else max(each.until - now, 0) // SECOND,
            }
            for each in self.core.leases
        ]

    def _renamed(self, kept: Kept) -> Kept:
        """Guests that come through a door are called by the order in which they come: who is called so now may be another than
        before the restart. Of them it is only known what they had."""
        if self._there is None or self._there(kept.guest):
            return kept
        return evolve(kept, guest="~" + kept.guest.lstrip("~"))

    # -- the file -------------------------------------------------------------------------------------------------------------

    def _changed(self, lease: Lease) -> None:
        if self._path and not self._dirty:
            self._dirty = True
            self._alarm.set(self._net.turn.now() + SOON)
        if self._on_change is not None:
            self._on_change(lease)

    def _save(self) -> None:
        self._dirty = False
        try:
            self._write()
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.error("leases can't be written to %s: %s; a restart will not know them", self._path, error.strerror)
            self._failed = True

    def _write(self) -> None:
        now, wall = self._net.now(), self._wall()
        rows = [_row(each, wall) for each in self.core.keep(now)]
        text = json.dumps({"version": VERSION, "leases": rows}, indent=1)
        new = f"{self._path}.new"
        try:
            with open(new, "w", encoding="ascii", opener=_private) as file:
                file.write(text + "\n")  # without fsync, for which all guests would wait: what a power cut loses is asked for again
            os.replace(new, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _row(kept: Kept, wall: float) -> dict[str, object]:
    ends = "never" if kept.left == NEVER_LEFT else round(wall + kept.left / SECOND, 3)
    return {
        "address": kept.address, "client": kept.client, "guest": kept.guest, "mac": kept.mac, "hostname": kept.hostname, "ends":
        ends,
    }  # fmt: skip


def load(path: str, wall: float) -> list[Kept]:
    """The leases of a file; none where there is no file. What has ended is there without time, as a memory. Raises UsageError,
    OSError."""
    try:
        with open(path, encoding="ascii", errors="strict") as file:
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise _no_file(path, "it is not text") from None
    if len(text) > LARGEST:
        raise _no_file(path, f"it has more than {LARGEST} bytes")
    try:
        said = json.loads(text)
        if said["version"] != VERSION:
            raise _no_file(path, f"its version is {said['version']!r}")
        return [_kept(row, wall) for row in said["leases"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        raise _no_file(path, str(error)) from None


def _kept(row: Any, wall: float) -> Kept:
    texts = {key: row[key] for key in ("address", "client", "guest", "mac", "hostname")}
    if not all(isinstance(each, str) for each in texts.values()):
        raise ValueError("a lease whose fields are no texts")
    ends = row["ends"]
    if ends == "never":
        return Kept(**texts, left=NEVER_LEFT)
    left = float(ends) - wall
    return Kept(**texts, left=Duration(int(min(max(left, 0), 1e9) * SECOND)))


def _no_file(path: str, why: str) -> UsageError:
    return UsageError(f"{path} is not a file of leases ({why}): name another, or remove it")
