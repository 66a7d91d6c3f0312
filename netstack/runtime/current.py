"""Which runtime is running here, and whose net a program means that names none.

A program that knows nothing of stacks says `create_connection` or `trio.open_tcp_stream`, and one loop may run programs of several
hosts. `await net.run(program())` says on which one: the variable is of a context, so the tasks that the program starts, and those
that they start, are on the same host. Faces for unchanged programs ask `current_net()` first, and fall back on a net of their own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from .face import NetFace

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

net_var: ContextVar[NetFace | None] = ContextVar("netstack_net", default=None)


def current_net() -> NetFace | None:
    """The net on which the current task runs, if somebody has said so and it is still open."""
    net = net_var.get()
    return None if net is None or net.closed else net


async def run_on(net: NetFace, program: Awaitable[T]) -> T:
    """Await `program` with `net` as its own."""
    token = net_var.set(net)
    try:
        return await program
    finally:
        net_var.reset(token)


async def in_thread(call: Callable[[*Ts], T], *args: *Ts) -> T:
    """What would block, in a thread of the loop's executor, or of trio's."""
    if in_trio():
        from .trio_wait import in_trio_thread

        return await in_trio_thread(call, *args)
    return await asyncio.get_running_loop().run_in_executor(None, call, *args)


def in_trio() -> bool:
    """Is the caller a task of trio's? Doesn't import trio: where nobody has, nobody is."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())
