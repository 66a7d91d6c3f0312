"""The pytest plug-in: under each plug-in that runs `async def` tests, and under none; what it says of failures, what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.util
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netstack.netsim import substitutes

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[3]

ON_ASYNCIO = """
import asyncio, time
import pytest

async def serve():
    async def echo(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()
    return await asyncio.start_server(echo, "0.0.0.0", 80)

async def call(host, n):
    reader, writer = await asyncio.open_connection(host, 80)
    writer.write(bytes(n))
    writer.write_eof()
    got = await reader.read(-1)
    writer.close()
    return len(got)
"""
ON_TRIO = """
import time
import pytest, trio

async def serve():
    async def echo(stream):
        async for data in stream:
            await stream.send_all(data)
    await trio.serve_tcp(echo, 80)

async def call(host, n):
    async with await trio.open_tcp_stream(host, 80) as stream:
        await stream.send_all(bytes(n))
        await stream.send_eof()
        return sum([len(data) async for data in stream])
"""
ON_ANYIO = """
import time
import pytest, anyio

async def serve():
    async def echo(stream):
        async with stream:
            async for data in stream:
                await stream.send(data)
    async with await anyio.create_tcp_listener(local_host="0.0.0.0", local_port=80) as listener:
        await listener.serve(echo)

async def call(host, n):
    async with await anyio.connect_tcp(host, 80) as stream:
        await stream.send(bytes(n))
        await stream.send_eof()
        return sum([len(data) async for data in stream])
"""
TESTS = """
@pytest.mark.netsim(loss="20%", delay="80ms", seed=7)
MARK
async def test_under_loss(netsim):
    server, client = netsim.host("server"), netsim.host("client")
    START
    await netsim.clock.advance(1)
    assert await client.run(call, "server", 3000) == 3000
    assert time.monotonic() == netsim.clock.now > 1.5
    assert netsim.seed == 7

FIXTURE
async def server(netsim):
    server = netsim.host("server")
    START
    await netsim.clock.advance("1s")
    yield server
    assert time.monotonic() == netsim.clock.now > 3600
    await netsim.clock.advance(1)

MARK
async def test_with_a_fixture(server, netsim):
    assert time.time() == 1767225600 + netsim.clock.now
    await netsim.clock.advance("1h")
    assert await netsim.host("client").run(call, "server", 3000) == 3000
"""


class Way:
    """A plug-in, and how tests are written for it."""

    def __init__(self, plugin: str, programs: str, mark: str, fixture: str = "@pytest.fixture", ini: str = "") -> None:
        self.plugins = ["-p", plugin] if plugin else []
        start = "await server.run(serve)" if programs is ON_ASYNCIO else "server.start(serve)"
        self.text = programs + TESTS.replace("MARK", mark).replace("FIXTURE", fixture).replace("START", start)
        self.ini = f"[pytest]\nfilterwarnings = error\n{ini}\n"
        self.passed = 4 if plugin.startswith("anyio") else 2

    @property
    def module(self) -> str:
        return self.plugins[1].partition(".")[0] if self.plugins else "pytest"


SCOPES = "asyncio_default_fixture_loop_scope = function\n"
WAYS = {
    "pytest-asyncio": Way(
        "pytest_asyncio.plugin", ON_ASYNCIO, "@pytest.mark.asyncio", "import pytest_asyncio\n@pytest_asyncio.fixture", SCOPES
    ),
    "pytest-asyncio, auto": Way("pytest_asyncio.plugin", ON_ASYNCIO, "", ini=f"{SCOPES}asyncio_mode = auto"),
    "pytest-asyncio, one loop": Way(
        "pytest_asyncio.plugin",
        ON_ASYNCIO,
        "@pytest.mark.asyncio",
        'import pytest_asyncio\n@pytest_asyncio.fixture(loop_scope="function")',
        "asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session",
    ),
    "pytest-trio": Way("pytest_trio.plugin", ON_TRIO, "@pytest.mark.trio"),
    "pytest-trio, trio_mode": Way("pytest_trio.plugin", ON_TRIO, "", ini="trio_mode = true"),
    "anyio": Way("anyio.pytest_plugin", ON_ANYIO, "@pytest.mark.anyio"),
}


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "netstack.netsim.plugin", "-p", "no:cacheprovider", *options)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No other plug-in than those that are named; and nothing is left behind by any of these."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    before = state()
    yield
    assert state() == before


def state() -> list[object]:
    return [
        time.time, time.sleep, socket.getaddrinfo, os.urandom, asyncio.events.new_event_loop, socket.socket.__init__,
        random.Random.seed, datetime.datetime.now.__self__, type(datetime.datetime.__dict__["now"]), threading.enumerate(),
        substitutes._worlds, random.getstate(),
    ]  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_a_world_runs_under_whichever_plugin_runs_the_test(pytester: pytest.Pytester, name: str) -> None:
    way = WAYS[name]
    pytest.importorskip(way.module)
    pytester.makeini(way.ini)
    pytester.makepyfile(way.text)
    result = run(pytester, *way.plugins)
    result.assert_outcomes(passed=way.passed)
    assert not Path(pytester.path, ".netsim").exists()


def test_a_test_that_nobody_claims_runs_on_asyncio_and_a_plain_function_says_so_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        ON_ASYNCIO
        + """
@pytest.mark.netsim(delay="80ms")
class TestThem:
    async def test_coroutine(self, netsim):
        await netsim.host("server").run(serve)
        assert await netsim.host("client").run(call, "server", 3000) == 3000
        assert netsim.clock.now > 0.3

    def test_plain(self, netsim):
        async def main(n):
            await netsim.host("server").run(serve)
            return await netsim.host("client").run(call, "server", n)

        assert netsim.run(main, 5000) == 5000
        assert time.monotonic() > 0.3

@pytest.mark.netsim(topology="chain:2", delay="10ms")
@pytest.mark.parametrize("n", [1, 10_000])
async def test_parametrized(netsim, n):
    await netsim.host("b").run(serve)
    assert await netsim.host("a").run(call, "b", n) == n
    assert netsim.clock.now > 0.1
"""
    )
    run(pytester, "-W", "error").assert_outcomes(passed=4)


FAILING = (
    ON_ASYNCIO
    + """
async def waits():
    await asyncio.Event().wait()

async def breaks():
    await asyncio.sleep(2)
    raise LookupError("no such thing")

async def test_it(netsim):
    server, client = netsim.host("server"), netsim.host("client")
    await server.run(serve)
    server.start(waits)
    await client.run(call, "server", 1000)
    assert not WRONG, f"digest {netsim.record.digest}"

async def test_background(netsim):
    netsim.host("web").start(breaks)
    await asyncio.sleep(1000)

async def test_stalls(netsim):
    await netsim.host("web").run(waits)
"""
)


def test_a_failure_says_its_seed_leaves_captures_and_says_what_everybody_was_doing(pytester: pytest.Pytester) -> None:
    file = pytester.makepyfile(FAILING.replace("WRONG", "True"))
    result = run(pytester)
    result.assert_outcomes(failed=3)
    text = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*- netsim -*",
            "repeat this with --netsim-seed *",
            "after * s of virtual time, * frames",
            "server (10.0.0.1):",
            "    server: waits: waits, *:*",
            "client (10.0.0.2): nothing runs",
            "capture: .netsim/*__test_it/wire.pcapng",
            "E  *LookupError: no such thing",
            "E  *on host 'web', in breaks, which was started there",
            '>  *await netsim.host("web").run(waits)',
            "E  *Stalled: nothing is left to happen*",
        ]
    )
    seed = text.partition("--netsim-seed ")[2].split()[0]
    (capture,) = Path(pytester.path, ".netsim").glob("*__test_it/wire.pcapng")
    first = capture.read_bytes()
    assert first[:4] == b"\x0a\x0d\x0d\x0a"

    again = run(pytester, "--netsim-seed", seed, "-k", "test_it").stdout.str()
    assert again.partition("digest ")[2][:32] == text.partition("digest ")[2][:32]
    assert capture.read_bytes() == first

    file.write_text(FAILING.replace("WRONG", "False"), "utf-8")
    run(pytester, "--netsim-seed", seed, "-k", "test_it").assert_outcomes(passed=1, deselected=2)
    assert not capture.parent.exists()


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("losss=0.1", "'losss' is not a fault: write some of loss"),
        ("delay='soon'", "'delay=soon' can't be read: write it like delay=20ms"),
        ("0.1", "@pytest.mark.netsim takes names and values"),
        ("topology='ring'", "'ring' is not a topology: write 'pair'"),
        ("seed=None, loss=2", "loss=2 is not a probability"),
    ],
)
def test_a_mark_that_can_not_be_is_refused_in_a_sentence(pytester: pytest.Pytester, mark: str, said: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.netsim({mark})\nasync def test_it(netsim): pass")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()


def test_a_loop_that_is_shared_stays_in_real_time_and_says_what_to_do(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    pytester.makeini(f"[pytest]\n{SCOPES}")
    pytester.makepyfile(
        """
import pytest
@pytest.mark.asyncio(loop_scope="module")
async def test_it(netsim):
    await netsim.clock.advance(1)
"""
    )
    result = run(pytester, "-p", "pytest_asyncio.plugin")
    result.assert_outcomes(failed=1)
    assert "unless its loop is shared with other tests (loop_scope)" in result.stdout.str()


def test_who_does_not_ask_is_left_alone(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    pytester.makeini(f"[pytest]\nfilterwarnings = error\n{SCOPES}")
    pytester.makepyfile(
        """
import asyncio, random, time
import pytest
real = [time.monotonic]  # a name of the module would be exchanged as well

async def test_world(netsim):
    random.seed(1)
    assert time.monotonic is not real[0]

test_world = pytest.mark.asyncio(test_world)

@pytest.mark.asyncio
async def test_none():
    assert type(asyncio.get_running_loop()).__name__ == "_UnixSelectorEventLoop"
    assert time.monotonic is real[0]
    begun = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - begun >= 0.009

def test_plain():
    assert time.monotonic is real[0]
"""
    )
    run(pytester, "-p", "pytest_asyncio.plugin").assert_outcomes(passed=3)


ENDS = {
    "fails": "assert False",
    "is interrupted": "raise KeyboardInterrupt",
    "exits": "pytest.exit('enough')",
    "is skipped": "pytest.skip('no')",
    "is cancelled": "asyncio.current_task().cancel(); await asyncio.sleep(1)",
    "leaves tasks behind": "asyncio.create_task(asyncio.sleep(1000)); await asyncio.sleep(0)",
    "has its program fail": "netsim.host('a').start(breaks); await asyncio.sleep(10)",
}


@pytest.mark.once
@pytest.mark.parametrize("plugin", ["", "pytest_asyncio.plugin"])
@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_of_a_world_however_its_test_ends(pytester: pytest.Pytester, end: str, plugin: str) -> None:
    """`alone` looks for substitutes and threads; here it is descriptors, and what the collector finds."""
    if plugin:
        pytest.importorskip("pytest_asyncio")
    pytester.makeini(f"[pytest]\n{SCOPES if plugin else ''}")
    mark = "@pytest.mark.asyncio" if plugin else ""
    pytester.makepyfile(
        ON_ASYNCIO
        + f"""
async def breaks():
    raise LookupError

{mark}
async def test_it(netsim):
    server, client = netsim.host("server"), netsim.host("client")
    await server.run(serve)
    server.start(serve_for_ever)
    reader, writer = await client.run(asyncio.open_connection, "server", 80)
    {ENDS[end]}

async def serve_for_ever():
    import socket
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind(("0.0.0.0", 7))
    sock.listen()
    await asyncio.get_running_loop().sock_accept(sock)
"""
    )
    before = set(os.listdir("/proc/self/fd"))
    options = [
        "-p",
        "netstack.netsim.plugin",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        "-W",
        "error",
        *(["-p", plugin] if plugin else []),
    ]
    with contextlib.suppress(KeyboardInterrupt, pytest.exit.Exception):
        pytester.inline_run(*options, no_reraise_ctrlc=True)
    assert set(os.listdir("/proc/self/fd")) == before


ON_TRIO_ENDS = {
    "fails": "assert False",
    "is interrupted": "raise KeyboardInterrupt",
    "is skipped": "pytest.skip('no')",
    "has its program fail": "netsim.host('a').start(breaks); await anyio.sleep(10)",
    "stalls": "await anyio.sleep_forever()",
}


@pytest.mark.once
@pytest.mark.parametrize("plugin", ["pytest_trio.plugin", "anyio.pytest_plugin"])
@pytest.mark.parametrize("end", ON_TRIO_ENDS)
def test_nothing_is_left_of_a_world_in_trio_however_its_test_ends(pytester: pytest.Pytester, end: str, plugin: str) -> None:
    pytest.importorskip("anyio")
    pytester.makepyfile(
        ON_ANYIO
        + f"""
async def breaks():
    raise LookupError

@pytest.mark.{"trio" if "trio" in plugin else "anyio"}
async def test_it(netsim):
    server, client = netsim.host("server"), netsim.host("client")
    server.start(serve)
    await anyio.sleep(0.1)
    await client.run(call, "server", 100)
    {ON_TRIO_ENDS[end]}
"""
    )
    before = set(os.listdir("/proc/self/fd"))
    options = ["-p", "netstack.netsim.plugin", "-p", "no:cacheprovider", "--tb=no", "-p", plugin]
    with contextlib.suppress(KeyboardInterrupt):
        pytester.inline_run(*options, no_reraise_ctrlc=True)
    assert set(os.listdir("/proc/self/fd")) == before


def test_captures_that_are_asked_for_are_written_where_all_is_well(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        ON_ASYNCIO
        + """
@pytest.mark.netsim(topology="pair", capture="seen")
async def test_it(netsim):
    await netsim.host("a").run(serve)
    await netsim.host("b").run(call, "a", 100)
"""
    )
    run(pytester).assert_outcomes(passed=1)
    assert Path(pytester.path, "seen", "a-b.pcapng").stat().st_size > 500


@pytest.mark.once
def test_the_plugin_imports_next_to_nothing() -> None:
    code = "import sys, pytest; before = set(sys.modules); import netstack.netsim.plugin; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) <= {"netstack", "netstack._build", "netstack.netsim", "netstack.netsim.plugin"}


def test_the_entry_point_is_the_plugin() -> None:
    text = (ROOT / "setup.py").read_text("utf-8")
    assert '"pytest11": ["netsim = netstack.netsim.plugin"]' in text
    assert importlib.util.find_spec("netstack.netsim.plugin") is not None
