"""Running a service until somebody ends it."""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from ..runtime.loop import KERNEL
from ..runtime.loop import run as run_loop
from .options import open_net

if TYPE_CHECKING:
    from ..runtime.asyncio import Net

Serving = Callable[["Net"], AbstractAsyncContextManager[str]]


def run_service(args: argparse.Namespace, serving: Serving) -> int:
    """Open the net of `args`, enter `serving(net)`, print the line that it gives, and wait for SIGTERM or SIGINT.

    Gives the exit status. Raises what opening and listening raise.
    """
    return run_loop(_serve(args, serving), net=KERNEL[0])  # the command opens its net itself


async def _serve(args: argparse.Namespace, serving: Serving) -> int:
    stop = stop_event()
    async with open_net(args) as net, serving(net) as line:
        stop_without_device(net, stop)
        print(f"{line} ({', '.join(net.addresses)} on {net.name}); end with Ctrl-C or SIGTERM", flush=True)
        await stop.wait()
        if net.failure is not None:
            raise net.failure
    return 0


def stop_without_device(net: "Net", stop: asyncio.Event) -> None:
    """Set `stop` when the device of `net` is gone; `net.failure` says why."""

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if net.failure is not None and context.get("exception") is net.failure:
            stop.set()
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handler)


def stop_event() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets. A second SIGINT ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            os._exit(130)  # the user has waited enough; nothing of ours outlives the process
        stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    return stop
