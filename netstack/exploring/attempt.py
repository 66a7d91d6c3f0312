"""One case, run and judged: what a worker does, in whichever process it is.

**The same failure** is the same type of exception at the same place: the last frame of its traceback that is neither ours, nor the
standard library's, nor an installed package's. Its text may differ from case to case (a count, a time), and the way there too.

**One at a time.** A run patches what is the process's own, the clock above all, so that runs in one process wait for each other: a
pool of threads works, and is no faster than one thread.

**A limit of real time.** In virtual time nobody waits, but a scenario may really hang: it blocks on something that isn't virtual,
or computes for ever. After `limit` seconds of the machine's time it is interrupted, wherever it is, and that place is what the
verdict names. What can't be interrupted, C code for instance, ends with its process a little later, if the process is a
worker's: whoever waits for it sees a worker die.
"""

from __future__ import annotations

import ctypes
import faulthandler
import linecache
import multiprocessing
import os
import signal
import sys
import sysconfig
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import attrs

from ..netsim import Netsim
from .cases import Case
from .scenario import Function
from .storms import Survey, thinned

_LOCK = threading.Lock()
_OTHERS = [str(Path(__file__).parents[1]), *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))]
_FOREIGN = tuple(dict.fromkeys(os.path.realpath(path) + os.sep for path in _OTHERS))
TEXT = 4000  # characters of an error's text that are kept; an assertion about megabytes of data should not travel
TRACE = 20_000
FRAMES = 500
GRACE = 5.0  # seconds beyond the limit, in which an interrupted run may tidy up


class Overtime(KeyboardInterrupt):
    """The limit has passed. A KeyboardInterrupt, since event loops let that through and keep whatever else for later."""


@attrs.frozen
class Verdict:
    """What became of a case. `kind` is passed, failed, hung, or died (its worker did, again and again)."""

    kind: str
    error: str = ""  # the exception's type
    message: str = ""
    place: str = ""  # file:line in function
    trace: str = ""
    digest: str = ""  # of all bytes on all wires
    virtual: float = 0.0  # seconds that passed in the world
    wall: float = 0.0  # seconds that passed for the machine

    @property
    def ok(self) -> bool:
        return self.kind == "passed"

    @property
    def signature(self) -> tuple[str, str, str]:
        """Equal for equal failures. Where a run was interrupted is chance."""
        return (self.kind, self.error, self.place) if self.kind == "failed" else (self.kind, "", "")


@attrs.frozen
class Order:
    """What to run, and how; the same for all cases."""

    function: Function
    runtime: str = "asyncio"
    topology: Any = None
    limit: float = 60.0  # seconds


def hello(order: Order) -> str:
    """Can a worker be reached, and does it find the scenario? The name of what it found."""
    return getattr(order.function, "__qualname__", "")


def run_cases(order: Order, cases: Sequence[Case], number: int) -> list[Verdict]:
    """Each of them, in their order. Whatever they raise is a verdict. `number` is another for each call: Dask does not run again
    what it has run with the same arguments."""
    return [run_case(order, case) for case in cases]


def run_case(order: Order, case: Case, capture: str | None = None) -> Verdict:
    """Run one. `capture` is a directory for its packets."""
    return _run(order, case, capture)[0]


def survey_case(order: Order, case: Case) -> tuple[Verdict, Survey]:
    """Run one, and say what there was to see."""
    verdict, sim = _run(order, case, None)
    if sim is None:
        return verdict, Survey()
    world = sim.world
    hosts = tuple(host.name for host in world.hosts)
    servers = tuple(host.name for host in sim.hosts if host.programs and not host.was_waited_for)
    return verdict, Survey(hosts, tuple(world.links), verdict.virtual, thinned(sim.record.instants()), servers)


def _run(order: Order, case: Case, capture: str | None) -> tuple[Verdict, Netsim | None]:
    with _LOCK:
        watch = Watch(order.limit)
        sim: Netsim | None = None
        failure: BaseException | None = None
        seen = ("", 0.0)
        started = time.perf_counter()

        async def main() -> None:
            nonlocal seen
            assert sim is not None
            try:
                await order.function(sim)
            finally:  # what the hosts say when they are taken down is not the scenario's
                seen = sim.record.digest, sim.clock.now

        try:
            with watch.watching():
                schedule = case.schedule if case.schedule else None
                sim = Netsim(case.seed, topology=order.topology, capture=capture, schedule=schedule, **dict(case.faults))
                sim.run(main, runtime=order.runtime)
        except Exception as error:
            failure = error
        except KeyboardInterrupt as error:
            if not watch.fired:
                raise
            failure = error
        wall = time.perf_counter() - started
        if watch.fired:
            said = f"it did not end within {order.limit:g} s of the machine's time"
            return Verdict("hung", "Overtime", said, watch.place, watch.trace, wall=wall), sim
        if failure is None:
            return Verdict("passed", digest=seen[0], virtual=seen[1], wall=wall), sim
        return judged(failure, *seen, wall), sim


def judged(error: BaseException, digest: str, virtual: float, wall: float) -> Verdict:
    """The verdict about an exception."""
    leaf = leaf_of(error)
    text = trace_of(leaf)
    message = str(leaf)[:TEXT] or line_of(leaf.__traceback__)
    return Verdict("failed", type(leaf).__qualname__, message, place_of(leaf.__traceback__), text, digest, virtual, wall)


def leaf_of(error: BaseException) -> BaseException:
    """What a group of exceptions is about: its first. A nursery wraps a failed assertion in one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def trace_of(error: BaseException) -> str:
    """As Python shows it, with the program's own frames alone, where there are any."""
    frames = frames_of(error.__traceback__)
    own = [(frame, line) for frame, line in frames if not is_foreign(frame.f_code.co_filename)]
    lines = traceback.StackSummary.extract(iter(own or frames)).format() + traceback.format_exception_only(error)
    text = "Traceback (most recent call last):\n" + "".join(lines)
    return text if len(text) <= TRACE else f"{text[: TRACE // 2]}\n  […]\n{text[-TRACE // 2 :]}"


def place_of(tb: TracebackType | None) -> str:
    """Where it happened in the program under test, as `file.py:12 in function`."""
    return _place(iter(reversed(frames_of(tb))))


def line_of(tb: TracebackType | None) -> str:
    """The line of the program at that place: what an assertion without words is about."""
    for frame, line in reversed(frames_of(tb)):
        if not is_foreign(frame.f_code.co_filename):
            return linecache.getline(frame.f_code.co_filename, line).strip()
    return ""


def frames_of(tb: TracebackType | None) -> list[tuple[FrameType, int]]:
    """The innermost of a traceback. An exception that is raised again and again, by a program that tries again and again, gets
    longer each time: a hundred thousand frames have been seen."""
    return list(deque(traceback.walk_tb(tb), FRAMES))


def _place(frames: Iterator[tuple[FrameType, int]]) -> str:
    """The first of these, innermost first, that is the program's own; else the first of all."""
    first = ""
    for frame, line in frames:
        code = frame.f_code
        text = f"{_shown(code.co_filename)}:{line} in {code.co_name}"
        if not is_foreign(code.co_filename):
            return text
        first = first or text
    return first


def is_foreign(file: str) -> bool:
    """Does it belong to nobody who is under test? Ours, the standard library's, an installed package's."""
    if not os.path.isabs(file):  # frozen, or compiled by Cython
        return file.startswith(("<frozen", "netstack/", "netstack_"))
    return os.path.realpath(file).startswith(_FOREIGN)


def _shown(file: str) -> str:
    """Relative to where we are, or with its folder: short, and the same on every machine that has the same checkout."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else "/".join(path.parts[-2:])


class Watch:
    """Interrupts the run of this thread when its time is over. `place` is where that was."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.fired = False
        self.place = ""
        self.trace = ""
        self._thread = threading.get_ident()

    @contextmanager
    def watching(self) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            with self._by_signal(), self._or_by_death():
                yield
        else:
            with self._by_thread(), self._or_by_death():
                yield

    def _note(self, frame: FrameType | None) -> None:
        if not self.fired and frame is not None:
            self.place = _place(traceback.walk_stack(frame))
            self.trace = "".join(traceback.format_stack(frame))[-TRACE:]
        self.fired = True

    @contextmanager
    def _by_signal(self) -> Iterator[None]:
        def ring(number: int, frame: FrameType | None) -> None:
            self._note(frame)
            raise Overtime(f"{self.limit:g} s are over")

        before = signal.signal(signal.SIGALRM, ring)
        left = signal.setitimer(signal.ITIMER_REAL, self.limit, 1.0)  # again each second: the first may be swallowed
        started = time.monotonic()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            if left[0]:  # somebody else's alarm, pytest-timeout's for instance
                signal.setitimer(signal.ITIMER_REAL, max(0.001, left[0] - (time.monotonic() - started)), left[1])

    @contextmanager
    def _by_thread(self) -> Iterator[None]:
        """Another thread's exceptions come when it next runs Python."""

        def ring() -> None:
            self._note(sys._current_frames().get(self._thread))
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(Overtime))

        timer = threading.Timer(self.limit, ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)  # one that came too late

    @contextmanager
    def _or_by_death(self) -> Iterator[None]:
        if multiprocessing.parent_process() is None:  # it is the user's own: not ours to end
            yield
            return
        faulthandler.dump_traceback_later(self.limit + min(GRACE, self.limit), exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
