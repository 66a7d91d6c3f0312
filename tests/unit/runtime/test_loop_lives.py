"""How loops with a net begin and end, and what they leave behind: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loop_world import BASES, Recorder, echo, on_net

import netstack
from netstack.errors import UsageError
from netstack.loopback import Loopback
from netstack.runtime.asyncio import build
from netstack.runtime.loopmix import over
from netstack.runtime.substitute import loops
from netstack.testing.wire import Wire

LOCAL = "127.0.0.1"


@on_net()
async def test_abandoned_connections_leave_nothing_behind() -> None:
    """Given up while they connect, dropped by the server, closed with data unread, and left by both."""
    loop: Any = asyncio.get_running_loop()
    descriptors = len(os.listdir("/proc/self/fd"))
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder())
        return made[-1]

    server = await loop.create_server(make, LOCAL, 0, backlog=1000)
    name = server.sockets[0].getsockname()
    for _ in range(25):
        attempts = [asyncio.ensure_future(loop.create_connection(Recorder, *name)) for _ in range(400)]
        for attempt in attempts[::4]:
            attempt.cancel()
        done = [made for made in await asyncio.gather(*attempts, return_exceptions=True) if isinstance(made, tuple)]
        for i, (transport, _) in enumerate(done):
            transport.write(b"x" * 1000)
            if i % 2:
                transport.abort()
            else:
                transport.close()
        await asyncio.sleep(0)
        server.abort_clients()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)
    made.clear()
    assert not loop.net.clients.alive
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert [conn for conn in loop.net.connections() if conn["state"] == "ESTABLISHED"] == []
    assert not loop.net.sockets.alive


@pytest.mark.parametrize("base", BASES)
def test_a_loop_that_is_closed_delivers_what_was_written(base: str) -> None:
    """A program may return from main with its streams open: a kernel would send what it has taken, and a FIN."""
    wire = Wire()
    loop: Any = netstack.new_event_loop(wire.port("a"), base=base, addresses=["10.0.0.1/24"])
    far = build(wire.port("b"), ["10.0.0.2/24"], {}, loop)
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder())
        return made[-1]

    async def main() -> Recorder:
        await far.create_server(make, port=9)
        transport, protocol = await loop.create_connection(Recorder, "10.0.0.2", 9)
        transport.write(b"x" * 1_000_000)
        loop.add_reader(far.sockets.stream(), print)  # and a watch that nobody takes back
        recorder: Recorder = protocol
        return recorder

    protocol = loop.run_until_complete(main())
    loop.close()
    assert (bytes(made[0].data), made[0].ended) == (b"x" * 1_000_000, True)
    assert protocol.lost.result() is None
    far.drop()


@pytest.mark.parametrize("base", BASES)
def test_a_loop_closes_with_everything_open(base: str) -> None:
    loop: Any = netstack.new_event_loop("loopback:", base=base)
    net = loop.net
    kept: list[Recorder] = []

    async def main() -> None:
        await loop.create_server(Recorder, LOCAL, 7)
        transport, protocol = await loop.create_connection(Recorder, LOCAL, 7)
        transport.write(b"unanswered")
        kept.append(protocol)
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(LOCAL, 0))
        with pytest.raises(BlockingIOError):
            net.sockets.stream().connect((LOCAL, 7))

    loop.run_until_complete(main())
    loop.close()
    assert kept[0].lost.result() is None
    assert loop.is_closed()
    assert loop.net is None
    assert net.stack.tcp.hub.count == 0
    loop.close()
    gc.collect()


@pytest.mark.parametrize("base", BASES)
def test_a_loop_that_another_one_closes_ends_at_once(base: str) -> None:
    loop: Any = netstack.new_event_loop("loopback:", base=base)

    async def outer() -> None:
        loop.close()

    asyncio.run(outer())
    assert loop.is_closed()


@pytest.mark.parametrize("base", BASES)
def test_a_stop_that_is_still_on_its_way_does_not_keep_a_loop_from_closing(base: str) -> None:
    loop: Any = netstack.new_event_loop("loopback:", base=base)
    loop.call_soon(loop.stop)
    loop.close()
    assert loop.is_closed()


def test_the_environment_names_net_and_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSTACK", "loopback:?address=10.0.0.1/24")

    async def addresses() -> list[str]:
        loop: Any = asyncio.get_running_loop()
        return list(loop.net.addresses)

    with asyncio.Runner(loop_factory=netstack.new_event_loop) as runner:
        assert runner.run(addresses()) == ["10.0.0.1/24"]
    monkeypatch.setenv("NETSTACK", "posix:")
    loop: Any = netstack.new_event_loop()
    assert loop.net is None
    loop.close()
    monkeypatch.setenv("NETSTACK_LOOP", "libev")
    with pytest.raises(UsageError, match="'libev' is no loop"):
        netstack.new_event_loop()


def test_what_can_not_be_is_one_sentence_and_leaves_no_loop() -> None:
    with pytest.raises(UsageError, match="no kind of device called 'nonsense'"):
        netstack.new_event_loop("nonsense:x?address=10.0.0.1/24")
    with pytest.raises(UsageError, match="the host needs an address"):
        netstack.new_event_loop(Wire().port("a"))
    with pytest.raises(UsageError, match="can't be said of the kernel's network"):
        netstack.new_event_loop("posix", gateway="10.0.0.9")
    with pytest.raises(TypeError, match="'adress' is not an option"):
        netstack.new_event_loop("loopback:", adress=1)

    async def main() -> None: ...

    with pytest.raises(UsageError):
        netstack.run(main(), net="nonsense:x")


def test_a_device_may_be_given_as_an_object() -> None:
    async def main() -> str:
        loop: Any = asyncio.get_running_loop()
        return str(loop.net.netif.name)

    assert netstack.run(main(), net=Loopback("mine")) == "mine"


@pytest.mark.parametrize("base", BASES)
def test_without_a_net_it_is_the_base_loop(base: str) -> None:
    async def main() -> bytes:
        server = await asyncio.start_server(echo, LOCAL, 0)
        assert type(server).__module__ != "netstack.runtime.servers"
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"kernel")
        data = await reader.readexactly(6)
        writer.close()
        await writer.wait_closed()
        server.close()
        return data

    assert netstack.run(main(), net="posix", base=base) == b"kernel"


def test_the_class_can_be_derived_from_and_mixed_into_any_loop() -> None:
    class Base(asyncio.SelectorEventLoop):
        turns = 0

    class Derived(over(Base)):  # type: ignore[misc]  # made at run time
        pass

    loop = Derived()
    assert isinstance(loop, Base)
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    loop.close()


@on_net(hosts={"db": "10.0.0.5", "Web": ["10.0.0.6", "10.0.0.7"]})
async def test_names_are_those_of_the_net() -> None:
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(b"WEB", "http", type=socket.SOCK_STREAM)
    assert [info[4] for info in infos] == [("10.0.0.6", 80), ("10.0.0.7", 80)]
    assert await loop.getnameinfo(("10.0.0.5", 80)) == ("db", "http")
    with pytest.raises(socket.gaierror, match=r"'example\.org' is not known here") as caught:
        await loop.getaddrinfo("example.org", 80)
    assert caught.value.errno == socket.EAI_NONAME


@on_net(kernel=True, names="system")
async def test_the_systems_resolver_answers_where_that_was_said() -> None:
    loop = asyncio.get_running_loop()
    assert (await loop.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM))[0][4] == (LOCAL, 1)
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo("nobody.invalid", 80)


# -- programs that nobody may change ------------------------------------------------------------------------------------------


def test_whoever_asks_for_a_loop_while_it_is_substituted_gets_ours() -> None:
    asked: list[Any] = []

    def make(base: Any) -> asyncio.AbstractEventLoop:
        asked.append(base)
        return netstack.new_event_loop("loopback:")

    before = asyncio.new_event_loop, asyncio.events.new_event_loop, asyncio.SelectorEventLoop
    with loops(make):

        async def net() -> bool:
            loop: Any = asyncio.get_running_loop()
            return loop.net is not None

        assert asyncio.run(net())
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            assert runner.run(net())
            assert isinstance(runner.get_loop(), asyncio.SelectorEventLoop)
    assert asked == [None, before[2]]
    assert before == (asyncio.new_event_loop, asyncio.events.new_event_loop, asyncio.SelectorEventLoop)


PROGRAM = """
import asyncio, sys, socket
async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 7)
    reader, writer = await asyncio.open_connection("localhost", 7)
    assert await reader.read() == b""
    writer.close()
    server.close()
    print(sys.argv[1:], asyncio.get_running_loop().net is not None, type(socket.socket()).__module__)
if __name__ == "__main__":
    asyncio.run(main())
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-m", "netstack", "run", *words], capture_output=True, text=True, cwd=root
    )


def test_a_program_runs_unchanged_on_a_stack(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run("--net", "loopback:", str(program), "-x", "--net", "y")
    assert done.stdout == "['-x', '--net', 'y'] True socket\n", done.stderr
    done = run("--net", "loopback:", "--patch", str(program))
    assert done.stdout == "[] True netstack.runtime.stacksocket\n", done.stderr


def test_a_net_that_can_not_be_had_is_one_sentence_and_a_programs_own_failure_a_traceback(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run("--net", "nonsense:x?address=10.0.0.1/24", str(program))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no kind of device called 'nonsense'" in done.stderr
    program.write_text("open('/nowhere/at/all')")
    done = run("--net", "loopback:", str(program))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "FileNotFoundError" in done.stderr
