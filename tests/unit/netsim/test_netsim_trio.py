"""Test worlds in trio: the same promises as on asyncio."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import trio
import trio.testing

from netstack.errors import UsageError
from netstack.netsim import HostCrashed, Netsim, Outcome, ontrio, run


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What spins is found out sooner."""
    monkeypatch.setattr(ontrio.Rounds, "spin", 2000)


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def serve(port: int = 7) -> None:
    await trio.serve_tcp(echo, port)


async def call(host: str, data: bytes, port: int = 7) -> bytes:
    answer = b""
    async with await trio.open_tcp_stream(host, port) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, data)
        while len(answer) < len(data):
            answer += await stream.receive_some()
    return answer


def ran(scenario: Any, **options: Any) -> Outcome:
    return run(scenario, runtime="trio", **options)


def test_programs_that_know_nothing_of_it_talk_under_loss_and_the_same_seed_gives_the_same_bytes() -> None:
    async def scenario(netsim: Netsim) -> None:
        server, client = netsim.host("server"), netsim.host("client")
        server.start(serve)
        await netsim.clock.advance(0.1)
        async with trio.open_nursery() as nursery:
            for size in (10_000, 20_000):
                nursery.start_soon(client.run, call, "server", bytes(size))

    weather = {"loss": 0.2, "delay": "80ms"}
    first = ran(scenario, seed=7, faults=weather)
    assert first.ok, first.traceback
    assert first.seconds > 1
    assert ran(scenario, seed=7, faults=weather) == first
    assert ran(scenario, seed=8, faults=weather).digest != first.digest


def test_all_clocks_of_a_program_are_the_clock_of_its_run() -> None:
    async def scenario(netsim: Netsim) -> None:
        await netsim.host("a").run(trio.sleep, 90)
        assert time.monotonic() == time.perf_counter() == trio.current_time() == netsim.clock.now == 90
        assert time.time() == 1_767_225_600 + 90
        await netsim.clock.advance("30s")
        assert time.monotonic() == 120

    before = time.monotonic()
    outcome = ran(scenario)
    assert outcome.ok, outcome.traceback
    assert 0 < time.monotonic() - before < 5


def failing(scenario: Any) -> Outcome:
    outcome = ran(scenario)
    assert not outcome.ok
    return outcome


def test_a_failure_in_the_background_fails_the_run_with_the_name_of_its_host() -> None:
    async def broken() -> None:
        await trio.sleep(1)
        raise LookupError("no such thing")

    async def scenario(netsim: Netsim) -> None:
        netsim.host("web").start(broken)
        await trio.sleep(100)

    outcome = failing(scenario)
    assert outcome.error == "LookupError: no such thing"
    assert "on host 'web', in " in outcome.traceback
    assert outcome.seconds == 1


def test_a_run_in_which_nothing_can_happen_any_more_is_stalled_and_says_who_waits_where() -> None:
    async def scenario(netsim: Netsim) -> None:
        netsim.host("a").start(serve)
        await trio.sleep_forever()

    outcome = failing(scenario)
    assert outcome.error.startswith("Stalled: nothing is left to happen")
    assert "a: serve: serve, netsim/test_netsim_trio.py:" in outcome.report


def test_a_program_that_spins_is_named() -> None:
    async def spins() -> None:
        while True:
            await trio.sleep(0)

    async def scenario(netsim: Netsim) -> None:
        netsim.host("a").start(spins)
        await trio.sleep(1)

    outcome = failing(scenario)
    assert outcome.error.startswith("Spinning: ")
    assert "spins" in outcome.error


def test_a_crash_ends_what_runs_there_without_a_word_and_a_restart_starts_it_anew() -> None:
    starts: list[float] = []

    async def service() -> None:
        starts.append(time.monotonic())
        await serve()

    async def scenario(netsim: Netsim) -> None:
        server, client = netsim.host("server"), netsim.host("client")
        program = server.start(service)
        await netsim.clock.advance(5)
        assert await client.run(call, "server", b"one") == b"one"
        stream = await client.run(trio.open_tcp_stream, "server", 7)
        await netsim.clock.advance(1)
        frames = netsim.record.frames

        async def waits() -> None:
            with pytest.raises(HostCrashed, match="server crashed while sleep ran there"):
                await server.run(trio.sleep, 1000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await trio.sleep(0.001)
            netsim.crash("server")
        await netsim.clock.advance(1)
        assert netsim.record.frames == frames
        assert program.state == "crashed"
        with pytest.raises(HostCrashed, match=r"netsim.restart\('server'\)"):
            await server.run(trio.sleep, 1)
        netsim.restart("server")
        await stream.send_all(b"who are you?")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        assert await client.run(call, "server", b"two") == b"two"

    outcome = ran(scenario, faults={"delay": "10ms"})
    assert outcome.ok, outcome.traceback
    assert len(starts) == 2


def test_time_waits_for_threads() -> None:
    sleep = time.sleep

    async def scenario(netsim: Netsim) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 10)
            await trio.to_thread.run_sync(sleep, 0.02)
            assert trio.current_time() == 0

    outcome = ran(scenario)
    assert outcome.ok, outcome.traceback


def test_threads_are_heard_in_the_order_in_which_they_got_their_work() -> None:
    gates = [threading.Event() for _ in range(4)]
    heard: list[int] = []

    def work(n: int) -> None:
        gates[n].wait(20)
        if n:
            gates[n - 1].set()  # the last one is ready first

    async def ask(n: int) -> None:
        await trio.to_thread.run_sync(work, n)
        heard.append(n)

    async def scenario(netsim: Netsim) -> None:
        netsim.host("a")
        async with trio.open_nursery() as nursery:
            for n in range(4):
                nursery.start_soon(ask, n)
                await trio.testing.wait_all_tasks_blocked()
            gates[3].set()

    outcome = ran(scenario)
    assert outcome.ok, outcome.traceback
    assert heard == [0, 1, 2, 3]


def test_a_thread_may_wait_for_one_that_got_its_work_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netstack.netsim.triothreads.GLANCES", 2)
    told = threading.Event()
    heard: list[bool] = []

    async def wait() -> None:
        heard.append(await trio.to_thread.run_sync(told.wait, 20))

    async def scenario(netsim: Netsim) -> None:
        netsim.host("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await trio.to_thread.run_sync(lambda: None)
            told.set()

    outcome = ran(scenario)
    assert outcome.ok, outcome.traceback
    assert heard == [True]


def test_a_thread_that_is_given_up_holds_nobody_up_for_good() -> None:
    leave = threading.Event()

    async def scenario(netsim: Netsim) -> None:
        netsim.host("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: trio.to_thread.run_sync(leave.wait, 20, abandon_on_cancel=True))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        threading.Timer(0.02, leave.set).start()
        await trio.sleep(1)
        assert await trio.to_thread.run_sync(lambda: 7) == 7

    outcome = ran(scenario)
    assert outcome.ok, outcome.traceback


def test_outside_of_its_run_a_world_says_what_to_do() -> None:
    async def main() -> None:
        await Netsim().host("a").run(trio.sleep, 1)

    with pytest.raises(UsageError, match="in real time"):
        trio.run(main)
