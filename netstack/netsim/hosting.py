"""The plug-in at work: worlds for tests, and loops in virtual time under whichever plug-in runs them.

**Who runs an `async def`, and how it comes to our loop:**

  pytest-asyncio   makes an `asyncio.Runner` in a fixture, `_function_scoped_runner`: it is given our factory of loops
  anyio            makes a runner by name and options of its fixture `anyio_backend`: to the options we add ours
  pytest-trio      calls a `run`, `trio.run` unless the mark says another: we give it ours, by a mark
  nobody           we do, on asyncio

The world is opened on that loop when something is first run on a host, and closed with the fixture, after all fixtures that use it.
So the fixture must end before the loop does; each of these ways says how.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from functools import partial, wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from ..errors import UsageError
from .onasyncio import SimLoop
from .sim import Netsim

KEY = pytest.StashKey[Netsim]()
RUNNER = "_function_scoped_runner"


def fixture(request: pytest.FixtureRequest) -> Iterator[Netsim]:
    item = request.node
    runner = None
    if RUNNER in item.fixturenames:
        runner = request.getfixturevalue(RUNNER)  # so that it is there until we have ended
    sim = item.stash[KEY] = _made(item)
    try:
        yield sim
    finally:
        try:
            if sim.side is not None and runner is not None:
                runner.run(sim.close())
        finally:
            sim.drop()


def _made(item: Any) -> Netsim:
    arguments: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("netsim"))):
        if mark.args:
            raise UsageError(f"@pytest.mark.netsim has no arguments without a name: {mark.args[0]!r} is which of loss, delay, …?")
        arguments |= mark.kwargs
    chosen = item.config.getoption("netsim_seed")
    seed = arguments.pop("seed", None)
    if chosen is not None:
        seed = chosen
    elif seed is None:
        seed = secrets.randbits(32)
    return Netsim(seed, **arguments)


@contextlib.contextmanager
def fixture_setup(fixturedef: Any, request: Any) -> Iterator[None]:
    """Around the setup of each fixture of a test that asks for a world."""
    if fixturedef.argname != RUNNER:
        yield
        return
    import asyncio

    original, new = fixturedef.func, asyncio.events.new_event_loop

    @wraps(original)
    def ours(*args: Any, **options: Any) -> Any:
        if "_asyncio_loop_factory" in options:
            options["_asyncio_loop_factory"] = SimLoop
        yield from original(*args, **options)

    fixturedef.func = ours
    asyncio.events.new_event_loop = SimLoop
    try:
        yield
    finally:
        fixturedef.func = original
        asyncio.events.new_event_loop = new


@contextlib.contextmanager
def guarded(item: Any) -> Iterator[None]:
    """Around the call of a test: what goes wrong beside it ends it."""
    original = item.obj
    if not iscoroutinefunction(original):
        yield
        return
    sim: Netsim = item.funcargs["netsim"]

    @wraps(original)
    async def test(**arguments: Any) -> None:
        __tracebackhide__ = True
        side: Any = await sim.opened()
        await side.guard(partial(original, **arguments))

    item.obj = test
    try:
        yield
    finally:
        item.obj = original


def call(item: Any) -> bool:
    """Run a test that is ours to run."""
    sim: Netsim = item.funcargs["netsim"]
    arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    sim.run(partial(item.obj.__wrapped__, **arguments))  # which `guarded` has wrapped
    return True


def tell(item: Any, report: Any) -> None:
    """Into the report of a test that failed: the seed, the captures, and what everybody was doing."""
    sim = item.stash.get(KEY, None)
    if sim is None or any(name == "netsim" for name, _ in report.sections):
        return
    lines = [f"repeat this with --netsim-seed {sim.seed}", *sim.was_doing]
    directory = Path(item.config.getoption("netsim_pcap")) / _plain(item.nodeid)
    try:
        files = sim.record.write(item.config.rootpath / directory)
    except OSError as error:
        lines.append(f"its captures could not be written: {error}")
    else:
        lines += [f"capture: {directory / file.name}" for file in files]
        if sim.record.forgotten:
            lines.append(f"the first {sim.record.forgotten} frames are not in them: too many came after")
    report.sections.append(("netsim", "\n".join(lines)))


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)
