"""`-t auto` and `-u auto`: what listens in the guest's namespace is forwarded, as it comes and goes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from .forwarding import automatic

if TYPE_CHECKING:
    from ...router.guests.listening import Listening
    from ...router.household import Household

Excluded = dict[str, list[range]]


def wanted(args: argparse.Namespace) -> Excluded:
    """Which protocols are followed, and what is left out. Raises UsageError."""
    found: Excluded = {}
    for proto in ("tcp", "udp"):
        for text in getattr(args, f"{proto}_ports"):
            excluded = automatic(text)
            if excluded is not None:
                found.setdefault(proto, []).extend(excluded)
    return found


def following(
    excluded: Excluded, listening: Listening | None, guest: str
) -> Callable[[Household], contextlib.AbstractAsyncContextManager[None]] | None:
    """For `Serving.on_start`; None where nobody asked for it. Raises UsageError where it can't be seen who listens."""
    if not excluded:
        return None
    if listening is None:
        raise UsageError("auto needs to see who listens in the guest: it works with --netns and run; name the ports, like 2222:22")
    return lambda house: _following(house, excluded, listening, guest)


@contextlib.asynccontextmanager
async def _following(house: Household, excluded: Excluded, listening: Listening, guest: str) -> AsyncIterator[None]:
    from ...router.services.following import Following

    tasks: list[asyncio.Task[Any]] = []
    for proto, ranges in excluded.items():

        def ports(proto: str = proto) -> set[int]:
            return listening.ports(proto)

        follower = Following(house.forwards, proto, ports, guest=guest, excluded=ranges)
        await follower.look()
        tasks.append(asyncio.get_running_loop().create_task(follower.run()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listening.close()
