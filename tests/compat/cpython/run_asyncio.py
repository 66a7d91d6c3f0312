"""Runs tests of the interpreter's own `test.test_asyncio` on loops that have a net; JSON on standard output.

    python -m tests.compat.cpython.run_asyncio asyncio|uvloop TEST… [-v]

`{"test.test_asyncio.module.Class.test": "pass" | "skip: why" | "fail: last line of the traceback"}`. Each loop that a test makes
gets a net of its own on `loopback:`, and while it is there `socket.socket` is substituted by that net's (`netstack.patch`), so the
tests' own blocking clients and servers are on it as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import io
import json
import os
import signal
import sys
import threading
import time
import traceback
import unittest
from typing import Any

import netstack
from netstack.runtime.substitute import loops

PATIENCE = 15  # seconds for one test: the slowest takes 3


def hung(number: int, frame: Any) -> None:
    faulthandler.dump_traceback()
    raise TimeoutError(f"it hung for {PATIENCE} s")


class World:
    """Makes the loops, and has the sockets follow them."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.loop: Any = None
        self._patch: Any = None

    def make(self, kind: Any = None) -> asyncio.AbstractEventLoop:
        loop: Any = netstack.new_event_loop("loopback:", base=self.base)
        self.loop = loop
        self.follow(loop.net)
        if not hasattr(loop, "_default_executor"):
            loop._default_executor = None  # the tests' own tidying looks for it, and uvloop has it elsewhere
        made: asyncio.AbstractEventLoop = loop
        return made

    def follow(self, net: Any) -> None:
        if self._patch is not None:
            self._patch.undo()
        self._patch = None if net is None else netstack.patch(net)


def joining(world: World, join: Any) -> Any:
    """`Thread.join` that runs the loop while it waits. A TLS socket of a thread has a descriptor of the kernel's, and what carries
    its data to the stack is a task of the loop. The loop stands, and its thread waits for the one that waits for it."""

    def wait(self: threading.Thread, timeout: float | None = None) -> None:
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        loop = world.loop
        if threading.current_thread() is threading.main_thread() and loop is not None:
            while self.is_alive() and time.monotonic() < until and not loop.is_running() and not loop.is_closed():
                loop.run_until_complete(asyncio.sleep(0.002))
        join(self, timeout)

    return wait


class Outcomes(unittest.TestResult):
    def __init__(self, loud: bool) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}
        self._loud = loud

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        if self._loud:
            print(test.id(), file=sys.stderr, flush=True)

    def addSuccess(self, test: Any) -> None:
        self.outcomes.setdefault(test.id(), "pass")

    def addSkip(self, test: Any, reason: str) -> None:
        self.outcomes[test.id()] = f"skip: {reason}"

    def addFailure(self, test: Any, err: Any) -> None:
        self.outcomes[test.id()] = "fail: " + " ".join(f"{err[0].__name__}: {err[1]}".split())[:200]
        if self._loud:
            traceback.print_exception(*err)

    addError = addFailure


def run(base: str, names: list[str], loud: bool) -> dict[str, str]:
    world = World(base)
    with netstack.open_blocking("loopback:") as net:  # what the modules find out about the network, they find out about a net
        world.follow(net)
        for name in dict.fromkeys(name.rsplit(".", 2)[0] for name in names):
            importlib.import_module(name)
        world.follow(None)
    outcomes = Outcomes(loud)
    signal.signal(signal.SIGALRM, hung)
    threading.Thread.join = joining(world, threading.Thread.join)  # type: ignore[method-assign]
    with loops(world.make), contextlib.redirect_stdout(io.StringIO()):
        for name in names:
            module, kind, test = name.rsplit(".", 2)
            case = getattr(sys.modules[module], kind)
            for method in ("create_event_loop", "new_loop"):
                if hasattr(case, method):
                    setattr(case, method, lambda self: world.make())
            signal.setitimer(signal.ITIMER_REAL, PATIENCE, 5)  # again, should somebody have swallowed it
            case(test).run(outcomes)
            signal.setitimer(signal.ITIMER_REAL, 0)
    world.follow(None)
    return outcomes.outcomes


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "-v"]
    print(json.dumps(run(words[0], words[1:], "-v" in sys.argv)), flush=True)
    os._exit(0)  # a thread of a test that hung would keep the process
