"""Several attempts to connect, in trio: dns/client/eyeballs.py says when the next one begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from ...dns.client.eyeballs import Eyeballs, EyeballsConfig
from ...instant import SECOND

T = TypeVar("T")


async def race(
    attempts: Sequence[Callable[[], Awaitable[T]]], delay: int, drop: Callable[[T], object], beaten: Callable[[int], object]
) -> T | None:
    """What the first attempt that succeeds gives; None where all raise OSError. The next one is begun `delay` ns after the last, or
    as soon as that has failed. Those that lose are cancelled, or `drop`ped if they came in too late; `beaten` is told who was begun
    before the winner."""
    machine: Eyeballs[int] = Eyeballs((), int, EyeballsConfig(attempt_delay=delay, first=0))
    won: list[T] = []
    failed: list[int] = []
    faults: list[Exception] = []
    trying: set[int] = set()
    told = trio.Event()

    async def one(i: int) -> None:
        trying.add(i)
        try:
            won.append(await attempts[i]())
            for other in trying if len(won) == 1 else ():
                if other < i:
                    beaten(other)
        except OSError:
            failed.append(i)
        except Exception as fault:
            faults.append(fault)
        finally:
            trying.discard(i)
        told.set()

    def now() -> int:
        return int(trio.current_time() * SECOND)

    try:
        async with trio.open_nursery() as nursery:
            begin = machine.answers(now(), "", range(len(attempts)))
            while not won and not faults and not machine.lost:
                for i in begin:
                    nursery.start_soon(one, i)
                deadline = float("inf") if machine.deadline is None else machine.deadline / SECOND
                with trio.move_on_at(deadline) as scope:
                    await told.wait()
                told = trio.Event()
                begin = [more for i in failed for more in machine.failed(now(), i)]
                failed.clear()
                if scope.cancelled_caught and not begin and machine.deadline is not None:
                    begin = machine.expired(max(now(), machine.deadline))
            nursery.cancel_scope.cancel()
    except BaseException:
        for each in won:
            drop(each)
        raise
    for each in won[1:]:
        drop(each)
    if faults and not won:
        raise faults[0]
    return won[0] if won else None
