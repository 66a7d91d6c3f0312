"""What can be started: a process on the host, an image (`netstack image`) in a virtual machine.

Each is reached in its own way, and that is all the rest has to know of it: a process through the kernel's sockets, a machine
through a network of its own, which is a unix socket with our stack on one end and QEMU on the other. So no machine sees another, or
the appliance's network, and nobody needs a tap, a bridge or root.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ..errors import Refused, Unreachable
from ..runtime.doors.hostside import dial_tcp
from ..runtime.doors.joint import End, StackEnd

log = logging.getLogger("netstack.justintime")

FAREWELL = 3.0  # seconds that a process has between SIGTERM and SIGKILL
GATEWAY, MACHINE = "192.0.2.1/24", "192.0.2.2"  # of each machine's own network (RFC 5737): nobody else is there


async def ended(process: asyncio.subprocess.Process, patience: float = FAREWELL) -> None:
    """Have a process and its children end, in good order if they can."""
    for what in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, what)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await process.wait()
    await process.wait()


class Process:
    """A program on the host that listens on `port` of 127.0.0.1, whatever port its clients call."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._port = port

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def reach(self, port: int) -> End:
        if self.ended:
            raise Unreachable(f"it has ended with status {self._process.returncode}")
        return await dial_tcp("127.0.0.1", self._port, asyncio.get_running_loop())

    async def stop(self) -> None:
        await ended(self._process)


def process(*words: str, port: int) -> Callable[[], Awaitable[Process]]:
    """For `Service(start=…)`: run `words`, which then listen on `port` of the host."""

    async def start() -> Process:
        made = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL, start_new_session=True)
        return Process(made, port)

    return start


class Machine:
    """An image in QEMU, and the net on which it is the only other host."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._net: Any = None

    async def boot(self, command: Callable[[str], Sequence[str]]) -> None:
        """`command(netdev)` is QEMU's. Raises OSError."""
        from ..runtime.asyncio import open as open_net

        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="netstack-"))
        path = Path(folder, "card")
        self._net = await self._stack.enter_async_context(open_net(f"qemu:{path},server", addresses=[GATEWAY]))
        words = command(f"stream,id=n,server=off,addr.type=unix,addr.path={path}")
        log.info("boot: %s", " ".join(words))
        nothing = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *words, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
        )

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def reach(self, port: int) -> End:
        if self.ended:
            raise Unreachable("the machine has been switched off")
        try:
            async with asyncio.timeout(1):  # before it is up its card is silent, and nobody answers
                return StackEnd(await self._net.connect_stream(MACHINE, port))
        except TimeoutError:
            raise Refused("the machine does not answer yet") from None

    async def stop(self) -> None:
        if self._process is not None:
            await ended(self._process)
        await self._stack.aclose()


def image(path: Path, *, memory: int = 0, append: str = "", extra: Sequence[str] = ()) -> Callable[[], Awaitable[Machine]]:
    """For `Service(start=…)`: boot what `netstack image` has made."""
    from ..imaging import boot

    said = f"netstack.ip={MACHINE}/24 netstack.gateway={GATEWAY.partition('/')[0]} {append}".strip()

    async def start() -> Machine:
        machine = Machine()
        try:
            await machine.boot(lambda netdev: boot.qemu(path, netdev=netdev, memory=memory, append=said, extra=extra))
        except BaseException:
            await machine.stop()
            raise
        return machine

    return start
