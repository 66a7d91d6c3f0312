"""Is the caller in a test world, and in which?"""

from __future__ import annotations

import sys
import threading
from asyncio import _get_running_loop
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .worker import Worker


class Workers(threading.local):
    """The worker of this thread, if it is one's."""

    here: Worker | None = None


workers = Workers()


def side_here() -> Any:
    """The side (sim.Side) of the loop that runs in this thread, if a world is open on it; that of the worker whose thread it is."""
    loop: Any = _get_running_loop()
    if loop is not None:
        return getattr(loop, "side", None)
    worker = workers.here
    if worker is not None:
        return worker.side
    ontrio: Any = sys.modules.get("netstack.netsim.ontrio")
    return None if ontrio is None else ontrio.side_here()
