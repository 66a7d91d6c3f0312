"""The plug-in at work: worlds for tests, and loops in virtual time under whichever plug-in runs them.

**Who runs an `async def`, and how it comes to our loop:**

  pytest-asyncio   makes an `asyncio.Runner` in a fixture, `_function_scoped_runner`: that is given our class of loops
  anyio            makes a runner by name and options (`get_runner`): to the options we add ours
  pytest-trio      calls a `run`, `trio.run` unless the mark says another: it is given ours, by a mark
  nobody           we do, on asyncio

The world is opened on that loop when something is first run on a host. It is closed after all fixtures that use it, and before the
loop is: on pytest-asyncio our fixture has asked for the runner, so it ends first; on anyio a fixture of ours on its runner does it;
in trio a task of the run itself, when the test and its fixtures have ended.

A loop that is shared with other tests (of a module, of the session) is in real time, and stays so: a world on it says what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from ..errors import UsageError
from ..testing.clock import Stalled
from .onasyncio import SimLoop
from .sim import Netsim

KEY = pytest.StashKey[Netsim]()
RUNNER = "_function_scoped_runner"  # of pytest-asyncio
ON_ANYIO = "_netsim_on_anyio"  # ours
LONGEST = 120  # letters of a test's name that its directory has


# -- the fixtures -----------------------------------------------------------------------------------------------------------------


def fixture(request: pytest.FixtureRequest) -> Iterator[Netsim]:
    """`netsim`."""
    item: Any = request.node
    sim = item.stash[KEY] = made(item)
    runner = None
    if RUNNER in item.fixturenames:
        runner = request.getfixturevalue(RUNNER)
    elif "anyio_backend" in item.fixturenames:
        request.getfixturevalue(ON_ANYIO)
    try:
        yield sim
    finally:
        if ON_ANYIO not in _active(request):
            try:
                if sim.side is not None and runner is not None:
                    runner.run(sim.close())
            finally:
                sim.drop()


def _active(request: Any) -> Any:
    """The fixtures that are set up for this test."""
    return request._fixture_defs


async def on_anyio(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Ends the world on the runner of anyio."""
    sim = request.node.stash[KEY]
    try:
        yield
        await sim.close()
    finally:
        sim.drop()


def made(item: Any) -> Netsim:
    """The world that the marks of a test describe; the closest mark has the last word. Raises UsageError."""
    arguments: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("netsim"))):
        if mark.args:
            raise UsageError(f"@pytest.mark.netsim takes names and values: {mark.args[0]!r} is which of loss, delay, seed, …?")
        arguments |= mark.kwargs
    seed = arguments.pop("seed", None)
    chosen = item.config.getoption("netsim_seed")
    if chosen is not None:
        seed = chosen
    elif seed is None:
        seed = secrets.randbits(32)
    return Netsim(seed, **arguments)


# -- loops ------------------------------------------------------------------------------------------------------------------------


def one_loop_for_each(item: Any) -> None:
    """pytest-asyncio can be told to run all tests on one loop: not those that need one of their own, unless their mark says so."""
    mark = item.get_closest_marker("asyncio")
    if mark is not None and not {"loop_scope", "scope"} & mark.kwargs.keys():
        item.add_marker(pytest.mark.asyncio(loop_scope="function", **mark.kwargs), append=False)


@contextlib.contextmanager
def fixture_setup(fixturedef: Any) -> Iterator[None]:
    """Around the set-up of each fixture of a test that asks for a world."""
    with _anyio():
        if fixturedef.argname != RUNNER:
            yield
            return
        original, new = fixturedef.func, asyncio.events.new_event_loop

        @wraps(original)
        def ours(*args: Any, **options: Any) -> Any:
            if "_asyncio_loop_factory" in options:
                options["_asyncio_loop_factory"] = SimLoop
            yield from original(*args, **options)

        fixturedef.func = ours
        asyncio.events.new_event_loop = SimLoop  # for versions without factories
        try:
            yield
        finally:
            fixturedef.func = original
            asyncio.events.new_event_loop = new


@contextlib.contextmanager
def _anyio() -> Iterator[None]:
    """Runners of anyio's plug-in that are made within are in virtual time."""
    plugin: Any = sys.modules.get("anyio.pytest_plugin")
    if plugin is None:
        yield
        return
    original = plugin.get_runner

    def get_runner(name: str, options: dict[str, Any]) -> Any:
        return original(name, (options or {}) | _virtual(name))

    plugin.get_runner = get_runner
    try:
        yield
    finally:
        plugin.get_runner = original


def _virtual(backend: str) -> dict[str, Any]:
    if backend == "trio":
        from .ontrio import new_clock

        return {"clock": new_clock()}
    return {"loop_factory": SimLoop, "use_uvloop": False}


# -- the test ---------------------------------------------------------------------------------------------------------------------


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

    if item.get_closest_marker("trio") is not None:
        _on_trio(item)
    item.obj = test
    try:
        with _anyio():
            yield
    finally:
        item.obj = original


def _on_trio(item: Any) -> None:
    import trio

    from .ontrio import run_test

    inner: Callable[..., Any] = trio.run
    for mark in item.iter_markers("trio"):
        if mark.kwargs.get("run") is not None:
            inner = mark.kwargs["run"]
            break
    item.add_marker(pytest.mark.trio(run=partial(run_test, inner)), append=False)


def call(item: Any) -> bool:
    """Run a test that is ours to run."""
    __tracebackhide__ = True
    sim: Netsim = item.funcargs["netsim"]
    arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    sim.run(partial(item.obj.__wrapped__, **arguments))  # which `guarded` has wrapped
    return True


# -- what is said, and left -------------------------------------------------------------------------------------------------------


def tell(item: Any, report: Any) -> None:
    """Into the report of a test that failed: the seed, the captures, and what everybody was doing. Of one that passed nothing is
    left, nor of its failures in earlier runs."""
    sim = item.stash.get(KEY, None)
    if sim is None:
        return
    directory = Path(item.config.getoption("netsim_pcap")) / _plain(item.nodeid)
    place = item.config.rootpath / directory
    if not report.failed:
        if report.when == "call" and place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):
                place.parent.rmdir()  # if it was the last
        return
    lines = [f"repeat this with --netsim-seed {sim.seed}"]
    if not isinstance(sim.fault, Stalled):  # which says it itself
        lines += sim.was_doing
    try:
        files = sim.record.write(place)
    except OSError as error:
        lines.append(f"its captures could not be written: {error}")
    else:
        lines += [f"capture: {directory / file.name}" for file in files]
        if sim.record.forgotten:
            lines.append(f"the first {sim.record.forgotten} frames are not in them: too many came after")
    report.sections.append(("netsim", "\n".join(lines)))


def _plain(nodeid: str) -> str:
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in nodeid)
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{hashlib.blake2b(nodeid.encode(), digest_size=4).hexdigest()}"
