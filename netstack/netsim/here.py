"""Is the caller in a test world, and in which?"""

from __future__ import annotations

import sys
from asyncio import _get_running_loop
from typing import Any


def side_here() -> Any:
    """The side (sim.Side) of the loop that runs in this thread, if a world is open on it."""
    loop: Any = _get_running_loop()
    if loop is not None:
        return getattr(loop, "side", None)
    ontrio: Any = sys.modules.get("netstack.netsim.ontrio")
    return None if ontrio is None else ontrio.side_here()
