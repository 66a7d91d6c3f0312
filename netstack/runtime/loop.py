"""Event loops that know stacks.

    with asyncio.Runner(loop_factory=netstack.new_event_loop) as runner:
        runner.run(main())

Any loop will do for `netstack.open`; on this one, a wake-up of a stack costs a third.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast


def new_event_loop() -> asyncio.AbstractEventLoop:
    """asyncio's own loop, with a selector that turns stacks itself; where there is no epoll, just asyncio's own loop."""
    if not sys.platform.startswith("linux"):
        return asyncio.SelectorEventLoop()
    from .selector import StackSelector

    selector = StackSelector()
    loop = asyncio.SelectorEventLoop(cast(Any, selector))
    selector.on_error = lambda error: loop.call_exception_handler({"message": "Exception in a turn of a stack", "exception": error})
    loop.stack_selector = selector  # type: ignore[attr-defined]  # for the reactors of stacks on this loop
    return loop
