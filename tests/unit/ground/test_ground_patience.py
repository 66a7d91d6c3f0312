"""Time limits that are hardly ever reached."""

import asyncio
from typing import Any

import pytest

from netstack import run_virtual
from netstack.errors import TimedOut, UsageError
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.patience import Patience


def test_many_waits_that_end_in_time_need_one_timer_and_the_one_that_does_not_times_out_when_it_should() -> None:
    made = 0

    async def main() -> float:
        nonlocal made
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def counted(*args: Any, **options: Any) -> Any:
            nonlocal made
            made += 1
            return call_at(*args, **options)

        loop.call_at = counted  # type: ignore[method-assign]
        patience = Patience(loop)
        for _ in range(1000):
            future = loop.create_future()
            patience.begin(future, Duration(SECOND), "waiting")
            future.set_result(None)
            await future
            patience.end()
        await asyncio.sleep(0.25)
        future = loop.create_future()
        patience.begin(future, Duration(SECOND), "waiting for it")
        with pytest.raises(TimedOut, match="timed out waiting for it"):
            await future
        return loop.time()

    assert run_virtual(main()) == pytest.approx(1.25)
    assert made <= 4


def test_a_shorter_wait_after_a_longer_one_is_not_kept_waiting() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        patience = Patience(loop)
        patience.begin(loop.create_future(), Duration(60 * SECOND), "")
        patience.end()
        future = loop.create_future()
        patience.begin(future, Duration(5 * MILLISECOND), "")
        with pytest.raises(TimedOut):
            await future
        return loop.time()

    assert run_virtual(main()) == pytest.approx(0.005)


def test_a_float_is_told_that_times_are_nanoseconds() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(UsageError, match="nanoseconds"):
            Patience(loop).begin(loop.create_future(), 1.5, "")  # type: ignore[arg-type]

    run_virtual(main())
