"""Event loops that know stacks.

    netstack.run(main())                                        as asyncio.run
    asyncio.Runner(loop_factory=netstack.new_event_loop)        for who wants more

Any loop will do for `netstack.open`; this one spares it asyncio's way from a descriptor to a callback.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, on a loop that knows stacks."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """asyncio's own loop, with a selector that turns stacks itself; where there is no epoll, just asyncio's own loop."""
    if not sys.platform.startswith("linux"):
        return asyncio.SelectorEventLoop()
    from .selector import StackSelector

    selector = StackSelector()
    loop = asyncio.SelectorEventLoop(cast(Any, selector))
    selector.look_into(loop)
    loop.stack_selector = selector  # type: ignore[attr-defined]  # for the reactors of stacks on this loop
    return loop
