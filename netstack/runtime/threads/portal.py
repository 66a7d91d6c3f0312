"""A way for threads to await on a net's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ...errors import UsageError

T = TypeVar("T")


class Portal:
    """Of a net that `netstack.open_blocking` made, or of any whose loop runs in another thread."""

    def __init__(self, net: Any) -> None:
        self.net: Any = getattr(net, "net", net)
        loop = getattr(self.net, "loop", None) or getattr(self.net, "_loop", None)  # of the kernel's net
        if not isinstance(loop, asyncio.AbstractEventLoop):
            raise UsageError("for threads it takes a net of netstack.open_blocking, or one whose loop runs in another thread")
        self._loop: asyncio.AbstractEventLoop = loop

    @property
    def alive(self) -> bool:
        """Does its loop run?"""
        return self._loop.is_running()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for it, from any thread but the loop's. A thread that is interrupted cancels it. Raises UsageError, and what it
        raises."""
        if not self.alive or _runs_here(self._loop):
            work.close()
            raise UsageError("a loop can't wait for itself: await it, in the net's own thread")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
