"""Test worlds without pytest's part in them: hosts, programs, time, and what befalls them."""

from __future__ import annotations

import asyncio
import datetime
import time
from typing import Any

import pytest

from netstack.errors import UsageError
from netstack.netsim import HostCrashed, Netsim, Outcome, run, times
from netstack.netsim.onasyncio import SimLoop
from netstack.testing.clock import Spinning, Stalled


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What spins is found out sooner."""
    monkeypatch.setattr(SimLoop, "spin", 2000)
    monkeypatch.setattr(times, "ASKED", 2000)


async def serve(port: int = 7) -> asyncio.Server:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(echo, "0.0.0.0", port)


async def serve_for_ever(port: int = 7) -> None:
    async with await serve(port) as server:
        await server.serve_forever()


async def call(host: str, data: bytes, port: int = 7) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    return answer


async def echoes(netsim: Netsim) -> float:
    server, client = netsim.host("server"), netsim.host("client")
    await server.run(serve)
    assert await client.run(call, "server", bytes(30_000)) == bytes(30_000)
    assert server.stats["Tcp"]["PassiveOpens"] == 1
    return netsim.clock.now


def test_programs_that_know_nothing_of_it_talk_under_loss_and_the_same_seed_gives_the_same_bytes() -> None:
    weather = {"loss": 0.2, "delay": "80ms"}
    first = run(echoes, seed=7, faults=weather)
    assert first.ok, first.traceback
    assert first.seconds > 1
    assert run(echoes, seed=7, faults=weather) == first
    assert run(echoes, seed=8, faults=weather).digest != first.digest


def test_all_clocks_of_a_program_are_the_clock_of_its_loop() -> None:
    async def scenario(netsim: Netsim) -> None:
        loop = asyncio.get_running_loop()
        await netsim.host("a").run(asyncio.sleep, 90)
        assert time.monotonic() == time.perf_counter() == loop.time() == netsim.clock.now == 90
        assert time.time() == 1_767_225_600 + 90
        assert time.time_ns() == (1_767_225_600 + 90) * 10**9
        assert datetime.datetime.now(datetime.UTC) == datetime.datetime(2026, 1, 1, 0, 1, 30, tzinfo=datetime.UTC)
        assert time.gmtime()[:6] == (2026, 1, 1, 0, 1, 30)
        await netsim.clock.advance("30s")
        assert time.monotonic() == 120

    before = time.monotonic(), datetime.datetime.now()
    outcome = run(scenario)
    assert outcome.ok, outcome.traceback
    assert time.monotonic() - before[0] < 5
    assert datetime.datetime.now() - before[1] < datetime.timedelta(seconds=5)


def failing(scenario: Any) -> Outcome:
    outcome = run(scenario)
    assert not outcome.ok
    return outcome


def test_a_failure_in_the_background_fails_the_run_with_the_name_of_its_host() -> None:
    async def broken() -> None:
        await asyncio.sleep(1)
        raise LookupError("no such thing")

    async def scenario(netsim: Netsim) -> None:
        netsim.host("web").start(broken)
        await asyncio.sleep(100)

    outcome = failing(scenario)
    assert outcome.error == "LookupError: no such thing"
    assert "on host 'web', in " in outcome.traceback
    assert outcome.seconds == 1


def test_a_run_in_which_nothing_can_happen_any_more_is_stalled_and_says_who_waits_where() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    async def scenario(netsim: Netsim) -> None:
        await netsim.host("a").run(waits)

    outcome = failing(scenario)
    assert outcome.error.startswith("Stalled: nothing is left to happen")
    assert "a: " in outcome.report
    assert "waits, netsim/test_netsim_worlds.py:" in outcome.report
    assert outcome.report in outcome.traceback


def test_a_program_that_spins_is_named() -> None:
    async def spins() -> None:
        while True:
            await asyncio.sleep(0)

    async def scenario(netsim: Netsim) -> None:
        netsim.host("a").start(spins)
        await asyncio.sleep(1)

    outcome = failing(scenario)
    assert outcome.error.startswith("Spinning: ")
    assert "spins" in outcome.error


def test_who_waits_for_time_to_pass_by_asking_for_it_is_told() -> None:
    async def scenario(netsim: Netsim) -> None:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            pass

    assert "asked for the time" in failing(scenario).error


def test_a_crash_ends_what_runs_there_without_a_word_and_a_restart_starts_it_anew() -> None:
    starts: list[float] = []

    async def service() -> None:
        starts.append(time.monotonic())
        await serve_for_ever()

    async def scenario(netsim: Netsim) -> None:
        server, client = netsim.host("server"), netsim.host("client")
        program = server.start(service)
        assert await client.run(call, "server", b"one") == b"one"
        waiting = asyncio.create_task(server.run(asyncio.sleep, 1000))
        reader, writer = await client.run(asyncio.open_connection, "server", 7)
        await netsim.clock.advance(5)  # by then they have announced themselves by ARP
        frames = netsim.record.frames
        netsim.crash("server")
        with pytest.raises(HostCrashed, match="server crashed while sleep ran there"):
            await waiting
        await netsim.clock.advance(1)
        assert netsim.record.frames == frames
        assert program.state == "crashed"
        with pytest.raises(HostCrashed, match=r"netsim.restart\('server'\)"):
            await server.run(asyncio.sleep, 1)
        netsim.restart("server")
        writer.write(b"who are you?")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        assert await client.run(call, "server", b"two") == b"two"

    outcome = run(scenario, faults={"delay": "10ms"})
    assert outcome.ok, outcome.traceback
    assert len(starts) == 2


def test_hosts_that_come_later_are_known_by_name_and_may_still_be_linked() -> None:
    async def scenario(netsim: Netsim) -> None:
        early, late = netsim.host("early"), netsim.host("late")
        await early.run(serve)
        assert await late.run(call, "early", b"x") == b"x"
        later = netsim.host("later")
        await later.run(serve)
        assert await early.run(call, "later", b"y") == b"y"
        assert await early.run(call, "localhost", b"z") == b"z"
        netsim.router("r")
        netsim.link("left", "r", delay="1ms")
        netsim.link("r", "right", delay="1ms")
        await netsim.host("right").run(serve)
        assert await netsim.host("left").run(call, "right", b"over the router") == b"over the router"
        with pytest.raises(OSError, match="not known"):
            await early.run(call, "example.org", b"")

    outcome = run(scenario)
    assert outcome.ok, outcome.traceback


def test_a_netsim_runs_once() -> None:
    sim = Netsim(3)

    async def main(number: int) -> int:
        return number

    assert sim.run(main, 5) == 5
    with pytest.raises(UsageError, match="has run already"):
        sim.run(main, 5)


def test_outside_of_its_loop_a_world_says_what_to_do() -> None:
    async def main() -> None:
        await Netsim().host("a").run(asyncio.sleep, 1)

    with pytest.raises(UsageError, match="in real time"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"losss": 0.1}, "'losss' is not a fault: write some of loss"),
        ({"loss": 20}, "is not a probability"),
        ({"delay": "80 parsec"}, "delay=80 parsec"),
        ({"delay": [1]}, "delay=.1. is not a duration"),
        ({"topology": "ring:3"}, "'ring:3' is not a topology: write 'pair'"),
        ({"topology": "chain:x"}, "says no number"),
        ({"topology": {"host": ["a"]}}, "a topology says 'host'"),
        ({"seed": "7"}, "seed='7' is not a number"),
    ],
)
def test_what_can_not_be_is_refused_in_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Netsim(**arguments)


def test_stalled_and_spinning_are_the_errors_of_the_clock() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stalled):
        Netsim().run(main)
    with pytest.raises(Spinning):
        Netsim().run(spin)
