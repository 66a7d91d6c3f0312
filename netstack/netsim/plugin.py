"""The pytest plug-in: the fixture `netsim`, its mark, and an option. A test that asks for neither never hears of it.

    @pytest.mark.netsim(loss=0.2, delay="80ms", seed=7)
    async def test_upload_survives_loss(netsim): ...

A test that takes the fixture runs in virtual time. Who runs its `async def` is decided as ever, by pytest-asyncio, pytest-trio or
anyio's plug-in; hosting.py sees to it that the loop they make for this test is ours. Where none of them claims it, it runs on
asyncio here. A plain function says `netsim.run(main)`.

This module imports nothing but pytest: what a test needs is imported when the first one asks. It asserts nothing, and so pytest
need not look for that: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .sim import Netsim

NAME = "netsim"
MARK = (
    "netsim(loss=0.2, delay='80ms', seed=7, topology='star:a,b', …): the network of the fixture `netsim`: its faults, as"
    " netstack.testing.faults says them, its seed, hosts and links to begin with, and `capture`, a directory"
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    _leave_alone(getattr(pluginmanager, "rewrite_hook", None))
    group = parser.getgroup("netsim", "test worlds (netstack)")
    group.addoption("--netsim-seed", type=int, metavar="SEED", help="the seed of all test worlds; a test that fails says its own")
    group.addoption(
        "--netsim-pcap", default=".netsim", metavar="DIR", help="where captures of tests that fail are left (default: %(default)s)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


def _leave_alone(hook: Any) -> None:
    """pytest rewrites the asserts of all modules of a distribution that has a plug-in, as if they were tests. Ours is a package in
    which packets are counted by the million: its modules stay as they are, but for those that somebody names."""
    marked = getattr(hook, "_must_rewrite", None)
    cache = getattr(hook, "_marked_for_rewrite_cache", None)
    if isinstance(marked, set) and isinstance(cache, dict):
        marked.difference_update([name for name in marked if name == "netstack" or name.startswith("netstack_")])
        cache.clear()


def asks(item: Any) -> bool:
    """Does this test ask for a world?"""
    return NAME in getattr(item, "fixturenames", ())


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    """The mark brings the fixture with it: for tests whose other fixtures use the world."""
    if not isinstance(collector, (pytest.Module, pytest.Class)) or not collector.istestfunction(obj, name):
        return
    marks = getattr(obj, "pytestmark", ())
    if any(mark.name == NAME for mark in (marks if isinstance(marks, (list, tuple)) else [marks])):
        pytest.mark.usefixtures(NAME)(obj)


@pytest.fixture
def netsim(request: pytest.FixtureRequest) -> Iterator[Netsim]:
    """A world of hosts in virtual time: `netstack.netsim.Netsim`. The mark says its weather and its seed."""
    from . import hosting

    yield from hosting.fixture(request)


@pytest.fixture
async def _netsim_on_anyio(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    from . import hosting

    async for each in hosting.on_anyio(request):
        yield each


def pytest_itemcollected(item: pytest.Item) -> None:
    if asks(item) and item.get_closest_marker("asyncio") is not None:
        from . import hosting

        hosting.one_loop_for_each(item)


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Iterator[Any]:
    if asks(request.node):
        from . import hosting

        with hosting.fixture_setup(fixturedef):
            return (yield)
    return (yield)


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    if NAME in getattr(item, "funcargs", ()):
        from . import hosting

        with hosting.guarded(item):
            return (yield)
    return (yield)


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    """Run an `async def` that nobody else has taken by now."""
    if NAME in pyfuncitem.funcargs and iscoroutinefunction(pyfuncitem.obj) and "anyio_backend" not in pyfuncitem.funcargs:
        from . import hosting

        return hosting.call(pyfuncitem)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    report = yield
    if asks(item):
        from . import hosting

        hosting.tell(item, report)
    return report
