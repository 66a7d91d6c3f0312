"""Our own TCP and UDP under trio, held to the same signatures: the cases know no event loop, so another runner is all it takes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

import netstack
from netstack.testing.conformance import Cancelled, DatagramStackSuite, Ends, StreamStackSuite, Tasks
from netstack.testing.wire import Wire

trio = pytest.importorskip("trio")


class TrioRunner:
    """`netstack.testing.conformance.Runner` on trio. What asyncio's exception handler is told is logged here. `clock` makes another
    one for each case than the machine's."""

    def __init__(self, clock: Callable[[], Any] | None = None) -> None:
        self._clock = clock

    def run(self, main: Callable[[Tasks], Awaitable[None]], limit: float) -> None:
        async def run() -> None:
            with trio.fail_after(limit):
                async with trio.open_nursery() as nursery:
                    tasks = TrioTasks(nursery)
                    log = logging.getLogger("netstack")
                    log.addHandler(tasks.ear)
                    try:
                        await main(tasks)
                    finally:
                        log.removeHandler(tasks.ear)
                    assert not nursery.child_tasks, f"left behind: {nursery.child_tasks}"
            assert not tasks.reported, f"logged: {tasks.reported!r}"

        try:
            trio.run(run, clock=None if self._clock is None else self._clock())
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]  # nurseries wrap what ends them
            raise error from None


class TrioTasks:
    def __init__(self, nursery: Any) -> None:
        self.reported: list[BaseException] = []
        self.ear = logging.Handler(logging.ERROR)
        self.ear.emit = self._hear  # type: ignore[method-assign]
        self._nursery = nursery
        self._jobs: list[TrioJob] = []

    def _hear(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.reported.append(error if error is not None else AssertionError(record.getMessage()))

    def start(self, work: Coroutine[Any, Any, Any]) -> Any:
        job = TrioJob(work)
        self._jobs.append(job)
        self._nursery.start_soon(job.run)
        return job

    def event(self) -> Any:
        return trio.Event()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def cancel_all(self) -> None:
        for job in self._jobs:
            job.cancel()
            await job.over.wait()


class TrioJob:
    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.over = trio.Event()
        self._work = work
        self._scope = trio.CancelScope()
        self._value: Any = None
        self._error: BaseException | None = Cancelled()

    async def run(self) -> None:
        try:
            with self._scope:
                try:
                    self._value = await self._work
                    self._error = None
                except Exception as error:
                    self._error = error
        finally:
            self.over.set()

    def done(self) -> bool:
        over: bool = self.over.is_set()
        return over

    def cancel(self) -> None:
        self._scope.cancel()

    async def result(self) -> Any:
        await self.over.wait()
        if self._error is not None:
            raise self._error
        return self._value


@contextlib.asynccontextmanager
async def two_on_a_wire() -> AsyncIterator[Ends[Any]]:
    wire = Wire()
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as client,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as server,
    ):
        yield Ends(client, server, "10.0.0.2", silent=("10.0.0.99", 7))


class OnTrio:
    runner = TrioRunner()

    def ends(self) -> Any:
        return two_on_a_wire()


class TestStreamsOnTrio(OnTrio, StreamStackSuite):
    ends_meanwhile = False  # as trio's SendStream


class TestDatagramsOnTrio(OnTrio, DatagramStackSuite):
    pass
