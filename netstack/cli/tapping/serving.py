"""A router at work, from the command line: ready, running, told to end, gone.

What ends it: SIGTERM, SIGINT, the exit descriptor, the program of `run`, or the guest (`--one-off`, or the only device broke).
Then connections get a moment to finish, files are written, and the status is 0, or the program's own. A second SIGINT ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import UsageError
from ...router.guests import syscalls
from ...router.guests.hub import Switch
from ...router.guests.program import Program
from ...signatures import Netif

if TYPE_CHECKING:
    from ...router.household import Household

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGWINCH)
M_MMAP_THRESHOLD = -3  # malloc.h
SLAB = 65536  # the smallest are of this size
TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends these to the program too


@attrs.frozen(kw_only=True)
class Serving:
    """How it is announced, watched and ended."""

    ready_fd: int | None = None
    exit_fd: int | None = None
    pid: str | None = None
    stats: float | None = None
    json: bool = False
    quiet: bool = False
    one_off: bool = False
    banner: str = ""
    drop: Callable[[], None] | None = None  # gives up privileges, before the loop has threads
    on_start: Callable[[Household], Any] | None = None  # an async context manager of what belongs to this router


def check_fd(fd: int | None, what: str) -> None:
    """Raises UsageError for a descriptor that isn't open."""
    if fd is None:
        return
    try:
        os.fstat(fd)
    except OSError:
        raise UsageError(f"{what} {fd} is not open: start this program with that descriptor") from None


class Report:
    """What is said, to people on standard error or to programs on standard output."""

    def __init__(self, serving: Serving) -> None:
        self._json = serving.json
        self._quiet = serving.quiet

    def event(self, name: str, text: str, **fields: object) -> None:
        if self._json:
            print(json.dumps({"event": name, "time": round(time.time(), 3), **fields}), flush=True)
        elif not self._quiet and text:
            print(f"netstack-tap: {text}", file=sys.stderr, flush=True)


async def serve(router: Household, netif: Netif, serving: Serving, program: Program | None = None) -> int:
    """Until it is told to end: the exit status. Raises what opening raises."""
    report = Report(serving)
    if serving.quiet:
        logging.getLogger("netstack").setLevel(logging.ERROR)
    stop = asyncio.Event()
    return_memory()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(signals(stop, program))
        await stack.enter_async_context(router)
        if serving.on_start is not None:
            await stack.enter_async_context(serving.on_start(router))
        failures = watch_device(router, stop)
        if isinstance(netif, Switch):
            watch_guests(netif, report, stop, serving.one_off)
        if serving.pid is not None:
            with open(serving.pid, "w") as file:
                file.write(f"{os.getpid()}\n")
            stack.callback(_forget, serving.pid)
        if serving.drop is not None:
            serving.drop()
        if serving.exit_fd is not None:
            stack.enter_context(watching(serving.exit_fd, stop.set))
        if program is not None:
            stack.enter_context(watching(program.pidfd, stop.set))
            program.go()
        announce(serving.ready_fd)
        name = getattr(netif, "name", "")
        text = f"{router.network} on {name}, the router is {router.gateway}" if program is None else ""
        report.event("ready", text, network=str(router.network), gateway=str(router.gateway), device=name)
        if serving.stats is not None:
            await stack.enter_async_context(telling(router, netif, report, serving.stats))
        await stop.wait()
        notify("STOPPING=1")
        report.event("end", "", flows=len(router.flows()))
        if program is not None:
            return await asyncio.get_running_loop().run_in_executor(None, program.wait)
        if failures and not serving.one_off:
            raise failures[0]
    return 0


def return_memory() -> None:
    """Have glibc give back at once what is as large as a slab of packets. By itself it takes such memory from its heap as soon as
    some has been freed, and a heap with a word left at its end never shrinks: what the busiest minute took stayed for good."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        syscalls.libc().mallopt(M_MMAP_THRESHOLD, SLAB)


@contextlib.contextmanager
def signals(stop: asyncio.Event, program: Program | None) -> Any:
    """SIGTERM and SIGINT end us; with a program they are its own business, and it ends us by ending."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            os._exit(130)  # the user has waited enough
        stop.set()

    numbers: list[signal.Signals] = [signal.SIGINT, signal.SIGTERM]
    if program is None:
        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    else:
        numbers = [*PASSED_ON, *TERMINAL]
        for number in PASSED_ON:
            loop.add_signal_handler(number, program.signal, number)
        for number in TERMINAL:
            loop.add_signal_handler(number, _from_terminal, program, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _from_terminal(program: Program, number: int) -> None:
    """Pass it on, unless the terminal has given it to the program as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        program.signal(number)
        return
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            program.signal(number)
    except OSError:
        program.signal(number)
    finally:
        os.close(terminal)


@contextlib.contextmanager
def watching(fd: int, call: Callable[[], None]) -> Any:
    """Call once when `fd` is readable, or its other end is closed."""
    loop = asyncio.get_running_loop()

    def ready() -> None:
        loop.remove_reader(fd)
        call()

    try:
        loop.add_reader(fd, ready)
    except OSError:  # a file: it is always ready, and epoll won't have it
        call()
    try:
        yield
    finally:
        loop.remove_reader(fd)


def watch_device(router: Household, stop: asyncio.Event) -> list[BaseException]:
    """Set `stop` when the device of the guests is gone; then the list says why."""
    failures: list[BaseException] = []
    loop = asyncio.get_running_loop()

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error is router.net.failure:
            failures.append(error)
            stop.set()
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handler)
    return failures


def watch_guests(switch: Switch, report: Report, stop: asyncio.Event, one_off: bool) -> None:
    def come(port: Any) -> None:
        report.event("guest", f"{port.name} has come", guest=port.name, state="come")

    def gone(port: Any, error: OSError) -> None:
        report.event("guest", f"{port.name} has gone", guest=port.name, state="gone")
        if one_off and not switch.ports:
            stop.set()

    switch.on_come, switch.on_gone = come, gone


def announce(fd: int | None) -> None:
    """Guests may begin: `1` to the ready descriptor, as slirp4netns does, and the service manager's word for it."""
    if fd is not None:
        with contextlib.suppress(BrokenPipeError):
            os.write(fd, b"1")
        os.close(fd)
    notify("READY=1")


def notify(state: str) -> None:
    """sd_notify(3), without its library."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path.startswith(("/", "@")):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(state.encode(), path.replace("@", "\0", 1) if path[0] == "@" else path)


@contextlib.asynccontextmanager
async def telling(router: Household, netif: Netif, report: Report, every: float) -> AsyncIterator[None]:
    """A line of figures every so often."""

    async def tell() -> None:
        before = totals(netif)
        while True:
            await asyncio.sleep(every)
            now = totals(netif)
            flows = router.flows()
            moved = {key: now[key] - before.get(key, 0) for key in now}
            states: dict[str, int] = {}
            for flow in flows:
                states[flow.proto] = states.get(flow.proto, 0) + 1
            counted = ", ".join(f"{count} {proto}" for proto, count in sorted(states.items())) or "none"
            text = (
                f"{moved.get('InFrames', 0) / every:.0f} frames/s in, {moved.get('OutFrames', 0) / every:.0f} out; flows: {counted}"
            )
            report.event("stats", text, frames=moved, flows=states, counters=router.counters())
            before = now

    task = asyncio.get_running_loop().create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def totals(netif: Netif) -> dict[str, int]:
    """Counters of the device, or of all ports of a switch together."""
    if isinstance(netif, Switch):
        found: dict[str, int] = {}
        for counters in netif.statistics().values():
            for key, value in counters.items():
                found[key] = found.get(key, 0) + value
        return found
    mib = getattr(netif, "mib", None)
    return {} if mib is None else dict(mib.snapshot())


def _forget(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
