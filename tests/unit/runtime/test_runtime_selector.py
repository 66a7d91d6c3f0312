"""The selector that turns stacks: a selector like any other to its loop, and a short way for devices and deadlines."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from netstack.runtime.base import Edges
from netstack.runtime.loop import new_event_loop, run
from netstack.runtime.selector import StackSelector


class Mill:
    """Stands for a crank: notes its turns, and takes what waits."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.frames: list[bytes] = []
        self.deadlines = 0
        self.fault: Exception | None = None

    def on_frames(self) -> None:
        self.frames.append(os.read(self.fd, 100))
        if self.fault is not None:
            raise self.fault

    def on_deadline(self) -> None:
        self.deadlines += 1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def selector() -> Iterator[StackSelector]:
    selector = StackSelector()
    yield selector
    selector.close()


def test_it_selects_as_the_standard_one_does(selector: StackSelector) -> None:
    left, right = socket.socketpair()
    standard = selectors.EpollSelector()
    try:
        for chosen in (selector, standard):
            key = chosen.register(left, selectors.EVENT_READ, "mine")
            assert key == (left, left.fileno(), selectors.EVENT_READ, "mine")
            assert chosen.get_key(left) is chosen.get_map()[left.fileno()]
            assert chosen.select(0) == []
            with pytest.raises(KeyError):
                chosen.register(left, selectors.EVENT_READ)
            with pytest.raises(ValueError, match="Invalid events"):
                chosen.register(right, 4)
        right.send(b"x")
        assert selector.select(None) == standard.select(None) == [(selector.get_key(left), selectors.EVENT_READ)]
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        assert selector.modify(left, both, "yours") == standard.modify(left, both, "yours")
        assert selector.select(-1) == standard.select(-1) == [(selector.get_key(left), both)]
        right.close()
        assert selector.select(5) == standard.select(5) == [(selector.get_key(left), both)]
        assert len(selector.get_map()) == 1
    finally:
        left.close()
        standard.close()
    assert selector.unregister(left).data == "yours"  # closed before, and still known
    with pytest.raises(KeyError):
        selector.unregister(left)
    assert not selector.get_map()


def test_a_device_turns_its_crank_and_the_loop_never_hears_of_it(selector: StackSelector, pipe: tuple[int, int]) -> None:
    mill = Mill(pipe[0])
    selector.serve(pipe[0], mill)
    os.write(pipe[1], b"frame")
    assert selector.select(None) == []
    assert mill.frames == [b"frame"]
    assert not selector.get_map()
    selector.dismiss(pipe[0])
    os.write(pipe[1], b"late")
    assert selector.select(0) == []
    assert mill.frames == [b"frame"]


def test_deadlines_are_kept_by_their_crank_and_only_the_last_counts(selector: StackSelector) -> None:
    first, second, third = Mill(-1), Mill(-1), Mill(-1)
    now = time.monotonic_ns()
    selector.arm(first, now + 3_600_000_000_000)
    selector.arm(second, now + 1_000_000)
    selector.arm(third, now + 1_000_000)
    selector.disarm(third)
    assert selector.select(None) == []
    assert (first.deadlines, second.deadlines, third.deadlines) == (0, 1, 0)
    assert time.monotonic_ns() >= now + 1_000_000
    selector.arm(first, now)  # past
    assert selector.select(None) == []
    assert first.deadlines == 1


def test_a_turn_that_raises_is_told_to_the_loop_which_goes_on(pipe: tuple[int, int]) -> None:
    told: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        mill.fault = ValueError("a fault of a program")
        loop.stack_selector.serve(pipe[0], mill)  # type: ignore[attr-defined]  # of our loop
        os.write(pipe[1], b"x")
        while not told:
            await asyncio.sleep(0)
        loop.stack_selector.dismiss(pipe[0])  # type: ignore[attr-defined]

    mill = Mill(pipe[0])
    run(main())
    assert told == [mill.fault]


def test_turns_leave_the_loop_its_timers_callbacks_and_stop(pipe: tuple[int, int]) -> None:
    """After a turn the selector may go on selecting, but only while the loop has nothing to do."""
    loop = new_event_loop()
    order: list[str] = []

    class Busy(Mill):
        def on_frames(self) -> None:
            super().on_frames()
            what = self.frames[-1]
            if what == b"soon":
                loop.call_soon(done, "soon")
            elif what == b"later":
                loop.call_later(0.001, done, "later")
            elif what == b"stop":
                loop.stop()
            else:
                os.write(pipe[1], b"stop")  # and nothing for the loop

    def done(what: str) -> None:
        order.append(what)
        os.write(pipe[1], {"soon": b"later", "later": b"quiet"}[what])

    mill = Busy(pipe[0])
    loop.stack_selector.serve(pipe[0], mill)  # type: ignore[attr-defined]  # of our loop
    os.write(pipe[1], b"soon")
    guard = loop.call_later(10, loop.stop)
    loop.run_forever()
    assert order == ["soon", "later"]
    assert mill.frames == [b"soon", b"later", b"quiet", b"stop"]
    assert not guard.cancelled() and guard.when() > loop.time()
    guard.cancel()
    loop.close()


def test_what_a_task_writes_that_runs_after_a_turn_is_sent_before_the_selector_waits_again(pipe: tuple[int, int]) -> None:
    loop = new_event_loop()

    class Owing(Mill):
        def on_frames(self) -> None:
            super().on_frames()
            if self.frames[-1] == b"stop":
                loop.stop()
            else:
                loop.debts.append(self)  # type: ignore[attr-defined]  # of our loop

        def pay(self) -> None:
            os.write(pipe[1], b"stop")

    mill = Owing(pipe[0])
    loop.stack_selector.serve(pipe[0], mill)  # type: ignore[attr-defined]
    os.write(pipe[1], b"ask")
    guard = loop.call_later(10, loop.stop)
    loop.run_forever()
    assert mill.frames == [b"ask", b"stop"]
    assert guard.when() > loop.time()
    guard.cancel()
    loop.close()


def test_unchanged_programs_run_on_the_loop() -> None:
    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "signal")
        os.kill(os.getpid(), signal.SIGUSR1)
        seen.append(await asyncio.to_thread(lambda: "thread"))
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('child')", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        seen.append(out.decode().strip())
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        seen.append(await reader.read())
        writer.close()
        server.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        return seen

    seen: list[object] = []
    assert set(run(main())) == {"signal", "thread", "child", b""}


def test_edges_are_told_together_once_and_before_any_turn(pipe: tuple[int, int]) -> None:
    order: list[object] = []

    class Ours(Edges):
        def on_frames(self) -> None:
            order.append(sorted(self.events))
            self.events = []

    class Noting(Mill):
        def on_frames(self) -> None:
            super().on_frames()
            order.append("turn")

    selector = StackSelector()
    ours = Ours()
    ends = [socket.socketpair() for _ in range(3)]
    fds = [near.fileno() for near, _ in ends]
    selector.serve(pipe[0], Noting(pipe[0]))
    for fd in fds:
        selector.watch_edges(fd, ours, 0x80000001)  # EPOLLIN, EPOLLET
    for _, far in ends:
        far.send(b"x")
    os.write(pipe[1], b"frame")
    assert selector.select(0) == []
    assert order == [[(fd, 1) for fd in sorted(fds)], "turn"]
    assert selector.select(0) == [] and len(order) == 2  # nobody is told twice
    selector.forget_edges(fds[0], False)
    selector.forget_edges(fds[0], False)
    ends[1][0].close()
    selector.forget_edges(fds[1], True)
    for _, far in ends[::2]:
        far.send(b"y")
    assert selector.select(0) == []
    assert order[2:] == [[(fds[2], 1)]]
    selector.close()
    for pair in ends:
        for end in pair:
            end.close()
