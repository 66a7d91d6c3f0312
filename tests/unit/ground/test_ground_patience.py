"""Time limits that are hardly ever reached."""

import asyncio
from typing import Any

import pytest

from netstack import run_virtual
from netstack.errors import TimedOut, UsageError
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.patience import Bells, Patience


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


class Rester:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.rang: list[float] = []

    def rung(self) -> None:
        self.rang.append(self.loop.time())


def test_a_thousand_who_rest_need_one_timer_and_are_told_soon_after_their_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        bells = Bells(loop)
        resters = [Rester(loop) for _ in range(1000)]
        begun = loop.time()
        strokes = [bells.set(each, Duration((i + 1) * 10 * MILLISECOND)) for i, each in enumerate(resters)]
        assert len(loop._scheduled) == 1  # type: ignore[attr-defined]
        for each, stroke in zip(resters[::2], strokes[::2], strict=True):
            bells.drop(each, stroke)
        await asyncio.sleep(12)
        for i, each in enumerate(resters):
            if i % 2:
                assert len(each.rang) == 1 and 0 <= each.rang[0] - begun - (i + 1) / 100 < 0.26
            else:
                assert not each.rang
        assert not loop._scheduled  # type: ignore[attr-defined]

    run_virtual(main())


def test_bells_that_nobody_waits_for_have_no_timer_and_an_earlier_one_is_not_late() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        bells = Bells(loop)
        late, soon = Rester(loop), Rester(loop)
        stroke = bells.set(late, Duration(60 * SECOND))
        begun = loop.time()
        bells.set(soon, Duration(2 * SECOND))
        await asyncio.sleep(10)
        assert len(soon.rang) == 1 and soon.rang[0] - begun < 2.26
        bells.drop(late, stroke)
        await asyncio.sleep(60)
        assert not late.rang
        with pytest.raises(UsageError):
            bells.set(late, 1.5)  # type: ignore[arg-type]

    run_virtual(main())
