"""Cases on an executor whose workers may die, and their verdicts in the order of the cases.

    with Crew(order, executor) as crew:
        for case, verdict in crew.run(cases): ...

**In order, whoever is first.** Verdicts are handed out in the order in which cases came in, so that what is found does not
depend on how many workers there are. At most `AHEAD` lots for each worker are under way, and nothing else is in memory.

**Lots.** A case may take less than a millisecond, and a trip to another process about as long. So cases travel in lots that take
a tenth of a second or so, as measured. Which lot a case is in changes nothing about it.

**Workers die**: of `os._exit`, of C code, of the system's lack of memory. With the standard library's pool one death breaks the
pool, and nobody says which case it was; Dask tries again elsewhere, and gives up after a while (KilledWorker). Either way: wait
until nothing is under way any more, keep what has come back, and run what has not again, by itself: first the lot, and if that is
lost too, its cases one by one. A case that is lost `TRIES` times when nothing else ran has died of itself: that is its verdict.
Cases that were only near get theirs. A pool of processes that is broken is replaced by one of ours of the same size.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import attrs

from ..errors import NetstackError, UsageError
from .attempt import GRACE, Order, Verdict, hello, run_case, run_cases
from .cases import Case

T = TypeVar("T")

AHEAD = 3  # lots under way for each worker: one at work, one in its queue, one on its way back
LOT = 64  # cases at most
GOAL = 0.1  # seconds that a lot should take
TRIES = 2
GATHER = 30.0  # seconds that a result may take from where it was made to here
TICK = 0.25  # seconds between looks at the clock while nothing comes back


class Lost(NetstackError):
    """A worker ended without an answer."""


@attrs.define
class Lot:
    cases: Sequence[Case]
    future: Future[list[Verdict]] | None = None
    verdicts: list[Verdict] | None = None

    @property
    def is_lost(self) -> bool:
        return self.future is None and self.verdicts is None


class Crew:
    """Runs cases. `tick()` is called now and then while it waits; what it raises ends the waiting."""

    def __init__(self, order: Order, executor: Executor | None, jobs: int | None, tick: Callable[[], None]) -> None:
        """`executor` stays its owner's. Without one: `jobs` processes of our own, None for one on each CPU; 0: cases run here."""
        self.order = order
        self.tick = tick
        self.deaths = 0
        self._here = executor is None and jobs == 0
        self._jobs = jobs or _workers_of(executor) or len(os.sched_getaffinity(0))
        self._theirs = executor
        self._pool: Executor | None = executor
        self._cell: ProcessPoolExecutor | None = None  # one process, for who must run alone
        self._asked = 0
        self._pace = 0.0  # seconds that a case takes

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """End our own processes at once, whatever they do."""
        if self._pool is not self._theirs:
            _end(self._pool)
        _end(self._cell)
        self._cell = None
        if self.deaths and self._theirs is not None:
            gc.collect()  # what Dask says of a dead worker holds the call that died, in a circle, and its shutdown waits for calls

    # -- what people call -------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Is there anybody, and do they find the scenario? Raises UsageError with what to do about it."""
        if self._here:
            return
        if getattr(multiprocessing.current_process(), "_inheriting", False):  # what multiprocessing itself would look at
            raise UsageError("explore() was called while a worker imported its module: write it under if __name__ == '__main__':")
        name = f"{self.order.function.__module__}:{self.order.function.__qualname__}"
        advice = "define it at the top of a module that they can import, or say jobs=0 to run it in this process"
        if self._theirs is None or isinstance(self._theirs, ProcessPoolExecutor):
            try:
                pickle.dumps(self.order)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise UsageError(f"other processes can't get {name} ({error}): {advice}") from error
        future = _submit(self._executor(), hello, self.order)
        try:
            while not future.done():
                self.tick()
                wait([future], TICK)
            future.result()
        except BrokenProcessPool as error:
            guard = "; a script must call explore() under if __name__ == '__main__':" if _is_script() else ""
            raise UsageError(f"the workers ended as soon as they began to look for {name}: {advice}{guard}") from error
        except Exception as error:
            raise UsageError(f"a worker does not find {name} ({type(error).__name__}: {error}): {advice}") from error

    def run(self, cases: Iterable[Case], most: int = LOT, ahead: int = AHEAD) -> Generator[tuple[Case, Verdict], None, None]:
        """Each case with its verdict, in order; lots of up to `most` cases, `ahead` of them for each worker. Close the iterator to
        call back what is under way."""
        if self._here or isinstance(self._theirs, ThreadPoolExecutor):
            most = 1
        if self._here:
            for case in cases:
                self.tick()
                yield case, run_case(self.order, case)
            return
        source = iter(cases)
        under_way: deque[Lot] = deque()
        room = ahead * self._jobs
        try:
            while True:
                if not any(lot.is_lost for lot in under_way):  # they'll run alone
                    while len(under_way) < room and (new := self._next_lot(source, most)) is not None:
                        under_way.append(new)
                        self._submit(new, under_way)
                if not under_way:
                    return
                lot = under_way[0]
                self._settle(lot, under_way)
                under_way.popleft()
                assert lot.verdicts is not None
                yield from zip(lot.cases, lot.verdicts, strict=True)
        finally:
            for lot in under_way:
                if lot.future is not None:
                    lot.future.cancel()

    def here(self, function: Callable[..., T], case: Case, *args: object) -> T | Verdict:
        """`function(order, case, *args)` on this machine, in a process of its own if that is how all are run. Its result; or the
        verdict about the case, where that process died."""
        if self._here or isinstance(self._theirs, ThreadPoolExecutor):
            return function(self.order, case, *args)
        if self._theirs is None or isinstance(self._theirs, ProcessPoolExecutor):  # they are on this machine
            try:
                return self._wait_alone(self._executor().submit(function, self.order, case, *args))
            except Lost:
                self._bury()
        return self._alone(lambda: self._cell_for_one().submit(function, self.order, case, *args))

    # -- lots -------------------------------------------------------------------------------------------------------------

    def _next_lot(self, source: Iterator[Case], most: int) -> Lot | None:
        size = min(most, max(1, int(GOAL / self._pace))) if self._pace else 1
        cases = tuple(case for _, case in zip(range(size), source, strict=False))
        return Lot(cases) if cases else None

    def _submit(self, lot: Lot, under_way: Iterable[Lot]) -> None:
        try:
            lot.future = self._ask(self._executor(), lot.cases)
        except BrokenProcessPool:  # somebody has died meanwhile
            self._recover(under_way)

    def _settle(self, lot: Lot, under_way: Iterable[Lot]) -> None:
        """Give this lot its verdicts, whatever it takes."""
        if lot.verdicts is None and lot.future is not None:
            self._await(lot.future)
            if lot.future.cancelled() or lot.future.exception() is not None:
                self._recover(under_way)
            else:
                self._keep(lot)
        if lot.verdicts is None:
            lot.verdicts = self._again(lot.cases)

    def _keep(self, lot: Lot) -> None:
        assert lot.future is not None
        lot.verdicts = lot.future.result()
        lot.future = None
        took = sum(verdict.wall for verdict in lot.verdicts) / len(lot.verdicts)
        self._pace = max(1e-4, took if not self._pace else 0.8 * self._pace + 0.2 * took)

    def _recover(self, under_way: Iterable[Lot]) -> None:
        """Somebody has died: let all the others come back, or be lost too."""
        for lot in under_way:
            if lot.future is None:
                continue
            self._await(lot.future)
            if lot.future.cancelled() or lot.future.exception() is not None:
                lot.future = None
            else:
                self._keep(lot)
        self._bury()

    def _bury(self) -> None:
        """A pool in which somebody died is no use any more."""
        self.deaths += 1
        if isinstance(self._pool, ProcessPoolExecutor):
            if self._pool is not self._theirs:
                _end(self._pool)
            self._pool = None

    def _again(self, cases: Sequence[Case]) -> list[Verdict]:
        """Verdicts of cases that were lost, with nothing else under way on the same workers."""
        if len(cases) > 1:
            try:
                return self._wait_alone(self._ask(self._lone_executor(), cases))
            except Lost:
                self.deaths += 1
        verdicts: list[Verdict] = []
        for case in cases:
            alone = self._alone(lambda case=case: self._ask(self._lone_executor(), [case]))  # type: ignore[misc]  # of a lambda
            verdicts += [alone] if isinstance(alone, Verdict) else alone
        return verdicts

    def _ask(self, executor: Executor, cases: Sequence[Case]) -> Future[list[Verdict]]:
        self._asked += 1
        return _submit(executor, run_cases, self.order, cases, self._asked)

    def _alone(self, submit: Callable[[], Future[T]]) -> T | Verdict:
        """Nothing else runs. So if it is lost, and lost again, it was this case."""
        reason = ""
        for _ in range(TRIES):
            started = time.monotonic()
            try:
                return self._wait_alone(submit())
            except Lost as error:
                self.deaths += 1
                reason = str(error)
            if time.monotonic() - started > self.order.limit:
                said = f"it did not end within {self.order.limit:g} s, could not be interrupted, and its process was ended"
                return Verdict("hung", "Overtime", said, wall=self.order.limit)
        return Verdict("died", "WorkerDied", f"the process that ran it ended without an answer, each of {TRIES} times ({reason})")

    def _wait_alone(self, future: Future[T]) -> T:
        try:
            self._await(future)
            return future.result()
        except Exception as error:  # whatever an executor has for a worker that died: our own code returns verdicts
            if isinstance(error, BrokenProcessPool):
                _end(self._cell)
                self._cell = None
            raise Lost(f"{type(error).__name__}: {str(error)[:200]}") from error

    def _await(self, future: Future[Any]) -> None:
        while not future.done():
            self.tick()
            wait([future], TICK)

    # -- who does it ------------------------------------------------------------------------------------------------------

    def _executor(self) -> Executor:
        if self._pool is None:
            self._pool = _processes(self._jobs)
        return self._pool

    def _lone_executor(self) -> Executor:
        """With Dask and others its own workers: nothing else is under way there. With pools of processes one of ours."""
        if self._theirs is not None and not isinstance(self._theirs, ProcessPoolExecutor):
            return self._theirs
        return self._cell_for_one()

    def _cell_for_one(self) -> ProcessPoolExecutor:
        if self._cell is None:
            self._cell = _processes(1)
        return self._cell


def _processes(count: int) -> ProcessPoolExecutor:
    """Started anew, not forked: a copy of a process with threads and loops is what nobody wants to test in."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _in_worker)


def _in_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who waits for us


def _end(pool: Executor | None) -> None:
    """Do not wait for what it does."""
    if isinstance(pool, ProcessPoolExecutor):
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(GRACE)
        pool.shutdown(wait=True)


def _submit(executor: Executor, function: Callable[..., T], *args: object) -> Future[T]:
    """`executor.submit`. From Dask's executor we ask its client: what its own futures are told goes through a coroutine that a
    worker's death can end in the wrong moment, and then they wait for ever (`_cascade_future`, in 2026.8)."""
    client = getattr(executor, "_client", None)
    if client is None or not hasattr(client, "submit"):
        return executor.submit(function, *args)
    ours: Future[T] = Future()

    def over(theirs: Any) -> None:
        if not ours.set_running_or_notify_cancel():
            return
        try:
            if theirs.status == "finished":
                ours.set_result(theirs.result(timeout=GATHER))
            else:
                error = theirs.exception(timeout=GATHER) if theirs.status == "error" else None
                ours.set_exception(error or Lost(f"the cluster gave it up ({theirs.status})"))
        except Exception as error:  # the worker that had the result has died meanwhile
            ours.set_exception(Lost(f"{type(error).__name__}: {error}"))

    theirs = client.submit(function, *args, **{"pure": False, **getattr(executor, "_kwargs", {})})
    theirs.add_done_callback(over)
    ours.add_done_callback(lambda ours: theirs.cancel() if ours.cancelled() else None)
    return ours


def _workers_of(executor: Executor | None) -> int:
    """How many, as far as it says: the standard library's pools and Dask's executor do, each in its way."""
    if executor is None:
        return 0
    count = getattr(executor, "_max_workers", None)
    client = getattr(executor, "_client", None)
    if count is None and client is not None and hasattr(client, "ncores"):
        count = sum(client.ncores().values())
    return int(count or 0)


def _is_script() -> bool:
    main = sys.modules.get("__main__")
    return getattr(main, "__spec__", None) is None and hasattr(main, "__file__")
