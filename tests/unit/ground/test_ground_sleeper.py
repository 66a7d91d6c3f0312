"""A task that waits again and again, and is run at once."""

import asyncio
from asyncio import tasks as asyncio_tasks
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from netstack import run_virtual
from netstack.errors import TimedOut
from netstack.sleeper import Sleeper

which: ContextVar[str] = ContextVar("which", default="nobody's")
KINDS = (asyncio.Task, asyncio_tasks._PyTask)  # type: ignore[attr-defined]  # asyncio's own in C, and its pattern


@pytest.fixture(params=KINDS, ids=["C", "Python"])
def spawn(request: pytest.FixtureRequest) -> Callable[[Any], "asyncio.Task[Any]"]:
    kind: Any = request.param
    return lambda work: kind(work, loop=asyncio.get_running_loop())


def current(task: Any) -> object:
    """By the book in which a task of this kind is entered: from Python 3.14 on each kind has its own."""
    of_python = getattr(asyncio_tasks, "_py_current_task", asyncio.current_task)
    return asyncio.current_task() if isinstance(task, asyncio.Task) else of_python()


def test_it_runs_its_task_before_wake_returns_again_and_again_in_the_context_of_the_task(spawn: Any) -> None:
    async def main() -> None:
        sleeper = Sleeper(asyncio.get_running_loop())
        seen: list[Any] = []

        async def sleep() -> None:
            which.set("its own")
            for turn in range(3):
                await sleeper
                seen.append((turn, which.get(), current(task) is task))

        task = spawn(sleep())
        await asyncio.sleep(0)
        for turn in range(3):
            assert sleeper.asleep
            woken = asyncio.get_running_loop().create_future()

            def wake(turn: int = turn, woken: Any = woken) -> None:
                sleeper.wake()
                assert seen[turn:] == [(turn, "its own", True)]
                assert which.get() == "nobody's"
                woken.set_result(None)

            asyncio.get_running_loop().call_soon(wake)
            await woken
        await task
        assert not sleeper.asleep
        sleeper.wake()  # nobody is there: nothing happens

    run_virtual(main())


def test_from_within_a_task_it_wakes_by_way_of_the_loop_and_once(spawn: Any) -> None:
    async def main() -> None:
        sleeper = Sleeper(asyncio.get_running_loop())
        turns = 0

        async def sleep() -> None:
            nonlocal turns
            while True:
                await sleeper
                turns += 1

        task = spawn(sleep())
        await asyncio.sleep(0)
        sleeper.wake_soon()
        sleeper.wake_soon()
        assert turns == 0 and sleeper.done()
        await asyncio.sleep(0)
        assert turns == 1 and sleeper.asleep
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())


def test_a_task_that_is_cancelled_or_timed_out_while_it_sleeps_hears_of_it_and_may_sleep_again(spawn: Any) -> None:
    async def heard(wait: Awaitable[None]) -> str:
        try:
            await wait
        except (asyncio.CancelledError, TimedOut) as error:
            return f"{type(error).__name__} {error}"
        return "woken"

    async def main() -> None:
        sleeper = Sleeper(asyncio.get_running_loop())

        async def sleep() -> list[str]:
            return [await heard(sleeper) for _ in range(3)]

        task = spawn(sleep())
        await asyncio.sleep(0)
        task.cancel("enough")
        sleeper.wake()  # it is on its way already
        await asyncio.sleep(0)
        sleeper.set_exception(TimedOut("too long"))
        await asyncio.sleep(0)
        sleeper.wake_soon()
        assert await task == ["CancelledError enough", "TimedOut [Errno 110] too long", "woken"]

    run_virtual(main())


def test_nobody_can_sleep_where_somebody_sleeps() -> None:
    async def main() -> None:
        sleeper = Sleeper(asyncio.get_running_loop())

        async def sleep() -> None:
            await sleeper

        first, second = asyncio.ensure_future(sleep()), asyncio.ensure_future(sleep())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await second
        sleeper.wake_soon()
        await first

    run_virtual(main())
