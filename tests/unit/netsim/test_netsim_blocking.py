"""Plain functions that wait by blocking, on hosts: on both loops, and what such functions may not do in a coroutine."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from typing import Any

import pytest

from netstack.netsim import HostCrashed, Netsim, Outcome, run


def ran(scenario: Any, runtime: str, **options: Any) -> Outcome:
    outcome = run(scenario, runtime=runtime, **options)
    assert outcome.ok, outcome.traceback
    assert all(thread.name.count(": ") == 0 for thread in threading.enumerate())
    return outcome


def serve() -> None:
    with socket.create_server(("0.0.0.0", 80)) as listener:
        while True:
            sock, _ = listener.accept()
            with sock, sock.makefile("rb") as lines:
                while lines.readline().strip():
                    pass
                time.sleep(2)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + bytes(50_000))


def fetch(host: str) -> tuple[int, int, str]:
    connection = http.client.HTTPConnection(host, timeout=100)
    connection.request("GET", "/")
    response = connection.getresponse()
    size = len(response.read())
    connection.close()
    return response.status, size, socket.gethostname()


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_blocking_sockets_and_sleeps_wait_in_virtual_time(runtime: str) -> None:
    async def scenario(netsim: Netsim) -> None:
        server, client = netsim.host("server"), netsim.host("client")
        server.start(server.run_sync, serve)
        await netsim.clock.advance(1)
        assert await client.run_sync(fetch, "server") == (200, 50_000, "client")
        assert netsim.clock.now > 3

    weather = {"loss": 0.1, "delay": "80ms"}
    before = time.monotonic()
    outcome = ran(scenario, runtime, seed=7, faults=weather)
    assert time.monotonic() - before < 5
    assert ran(scenario, runtime, seed=7, faults=weather) == outcome


def receive(limit: float | None) -> bytes:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("", 7))
        sock.settimeout(limit)
        return sock.recv(100)


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_time_outs_refusals_and_crashes_are_told_where_the_function_waits(runtime: str) -> None:
    async def scenario(netsim: Netsim) -> None:
        a, b = netsim.host("a"), netsim.host("b")
        with pytest.raises(TimeoutError, match="timed out"):
            await a.run_sync(receive, 30)
        assert netsim.clock.now == pytest.approx(30, abs=1e-3)
        with pytest.raises(ConnectionRefusedError):
            await a.run_sync(fetch, "b")
        netsim.world.clock.call_later(1_000_000_000, lambda: netsim.crash(b))
        with pytest.raises(HostCrashed, match="b crashed"):
            await b.run_sync(receive, None)

    ran(scenario, runtime)


def test_in_a_coroutine_what_would_block_is_refused_in_a_sentence() -> None:
    async def blocks() -> None:
        with socket.create_server(("0.0.0.0", 80)) as listener:
            listener.accept()

    async def sleeps() -> None:
        time.sleep(1)

    async def scenario(netsim: Netsim) -> None:
        with pytest.raises(ValueError, match=r"accept on a blocking socket would stop every host .* host.run_sync"):
            await netsim.host("a").run(blocks)
        with pytest.raises(ValueError, match=r"time.sleep.1. in a coroutine would stop every host"):
            await netsim.host("a").run(sleeps)

    ran(scenario, "asyncio")
