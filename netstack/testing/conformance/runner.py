"""What runs a case: an event loop, and the few things that a case asks of it.

Cases know no event loop. They are coroutines that are given `Tasks`: to start others, to sleep, to hear of an event.
`AsyncioRunner` is that for asyncio and every loop of its kind; whoever has a StreamStack on something else writes the same on
that, in a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Cancelled(Exception):
    """What `Job.result` raises when the job was cancelled. An Exception like any other: who asks is not cancelled."""


class Job(Protocol[T_co]):
    """A coroutine that was started."""

    def done(self) -> bool: ...
    def cancel(self) -> None: ...
    async def result(self) -> T_co:
        """Wait for its end, and give what it returned or raise what it raised; Cancelled when it was cancelled."""


class Event(Protocol):
    def set(self) -> None: ...
    async def wait(self) -> Any: ...


class Tasks(Protocol):
    """What a case asks of the event loop."""

    @property
    def reported(self) -> list[BaseException]:
        """What was told to the loop's exception handler. A case that expects it takes it away; what is left fails the case."""

    def start(self, work: Coroutine[Any, Any, T], /) -> Job[T]: ...
    def event(self) -> Event: ...
    async def sleep(self, seconds: float, /) -> None:
        """0 gives everybody else one turn."""

    async def cancel_all(self) -> None:
        """End what was started and still runs."""


class Runner(Protocol):
    """Runs a case on a new event loop."""

    def run(self, main: Callable[[Tasks], Awaitable[None]], limit: float, /) -> None:
        """Raises what `main` raises; AssertionError when it takes more than `limit` seconds, when something stays in `reported`, or
        when a task is left at the end."""


# -- asyncio -------------------------------------------------------------------------------------------------------------------


class AsyncioRunner:
    """The runner for asyncio; `loop_factory` gives another loop than asyncio's own: `uvloop.new_event_loop`."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._loop_factory = loop_factory

    def run(self, main: Callable[[Tasks], Awaitable[None]], limit: float) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._run(main, limit))

    async def _run(self, main: Callable[[Tasks], Awaitable[None]], limit: float) -> None:
        tasks = AsyncioTasks()
        here = asyncio.current_task()
        try:
            async with asyncio.timeout(limit):
                await main(tasks)
        except TimeoutError as error:
            if type(error) is TimeoutError:
                raise AssertionError(f"the case is not over after {limit:g} s") from error
            raise
        left = asyncio.all_tasks() - {here}
        assert not left, f"left behind: {left}"
        assert not tasks.reported, f"the loop's exception handler was told of {tasks.reported!r}"


class AsyncioTasks:
    def __init__(self) -> None:
        self.reported: list[BaseException] = []
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._report)
        self._tasks: list[asyncio.Task[Any]] = []

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.reported.append(error if error is not None else AssertionError(str(context.get("message"))))

    def start(self, work: Coroutine[Any, Any, T]) -> AsyncioJob[T]:
        task = self._loop.create_task(work)
        self._tasks.append(task)
        return AsyncioJob(task)

    def event(self) -> asyncio.Event:
        return asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class AsyncioJob(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self._task = task

    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        self._task.cancel()

    async def result(self) -> T:
        await asyncio.wait([self._task])
        if self._task.cancelled():
            raise Cancelled
        return self._task.result()
