"""The asyncio loop whose time jumps, and worlds on it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import netstack
from netstack import VirtualLoop, run_virtual
from netstack.errors import PeerReset, UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.clock import Spinning, Stalled
from netstack.testing.net import World

# -- the loop -------------------------------------------------------------------------------------------------------------------


def test_time_jumps_and_each_timer_comes_at_its_instant() -> None:
    log: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        log.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert loop.time() == 0
        loop.call_later(0.5, lambda: log.append(("callback", loop.time())))
        await asyncio.gather(sleeper("day", 86400), sleeper("tick", 0.1), sleeper("minute", 60))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await asyncio.Event().wait()

    before = time.monotonic()
    run_virtual(main())
    assert time.monotonic() - before < 5
    assert log == [("tick", 0.1), ("callback", 0.5), ("minute", 60.0), ("day", 86400.0)]


def test_a_callback_that_asks_for_the_same_instant_again_gets_past_it() -> None:
    """As aiohttp's keep-alive does: it looks whether its time has come, and not yet means again at that time."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        closed = loop.create_future()
        until = loop.time() + 75

        def look() -> None:
            if loop.time() <= until:
                loop.call_at(until, look)
            else:
                closed.set_result(loop.time())

        loop.call_at(until, look)
        return await closed

    assert run_virtual(main()) == pytest.approx(75, abs=1e-6)


async def spin() -> None:
    while True:
        await asyncio.sleep(0)


async def rearm() -> None:
    loop = asyncio.get_running_loop()

    def busybody() -> None:
        loop.call_at(0, busybody)

    busybody()
    await asyncio.Event().wait()


@pytest.mark.parametrize(("program", "culprit"), [(spin, "spin"), (rearm, "busybody")])
def test_a_program_that_never_waits_is_stopped_and_named(program: Callable[[], Any], culprit: str) -> None:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(spin=1000)) as runner, pytest.raises(Spinning, match=culprit):
        runner.run(program())


def test_a_program_that_waits_for_what_can_not_come_is_told() -> None:
    with pytest.raises(Stalled, match=r"after 3\.0 s"):
        run_virtual(stalls())


def test_a_timer_that_never_comes_is_none() -> None:
    """anyio's `sleep_forever` sleeps until infinity."""

    async def main() -> None:
        asyncio.get_running_loop().call_later(3, lambda: None)
        await asyncio.sleep(float("inf"))

    with pytest.raises(Stalled, match=r"after 3\.0 s"):
        run_virtual(main())


def test_a_thread_of_before_may_wake_it() -> None:
    leave, wake = threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    heard = asyncio.Event()

    def work() -> None:
        wake.wait()
        loops[0].call_soon_threadsafe(heard.set)
        leave.wait()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        wake.set()
        await heard.wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        run_virtual(main())
        with pytest.raises(Stalled):
            run_virtual(stalls())
    finally:
        leave.set()
        thread.join()


async def stalls() -> None:
    await asyncio.sleep(3)
    await asyncio.Event().wait()


def test_time_stands_still_while_a_thread_works() -> None:
    def work() -> int:
        time.sleep(0.02)
        return 7

    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(0.001):
            answer = await asyncio.to_thread(work)
        return answer, loop.time()

    assert run_virtual(main()) == (7, 0)


def test_threads_are_heard_in_the_order_in_which_they_got_their_work() -> None:
    gates = [threading.Event() for _ in range(4)]

    def work(n: int) -> int:
        gates[n].wait(20)
        if n:
            gates[n - 1].set()  # the last one is ready first
        return n

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        order: list[int] = []
        works = [loop.run_in_executor(None, work, n) for n in range(4)]
        for future in works:
            future.add_done_callback(lambda done: order.append(done.result()))
        gates[3].set()
        await asyncio.gather(*works)
        return order

    assert run_virtual(main()) == [0, 1, 2, 3]


def test_a_thread_may_wait_for_one_that_got_its_work_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netstack.runtime.virtual.OUT_OF_TURN", 0.01)
    heard = threading.Event()

    async def main() -> str:
        first = asyncio.create_task(asyncio.to_thread(heard.wait, 20))
        await asyncio.to_thread(lambda: None)
        heard.set()
        return "heard" if await first else "never"

    assert run_virtual(main()) == "heard"


def test_what_threads_raise_and_what_is_given_up_come_back_as_they_should() -> None:
    def fail() -> None:
        raise LookupError("nothing there")

    async def main() -> None:
        with pytest.raises(LookupError):
            await asyncio.to_thread(fail)
        leave = threading.Event()
        given_up = asyncio.create_task(asyncio.to_thread(leave.wait, 20))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        leave.set()
        assert await asyncio.to_thread(lambda: 7) == 7

    run_virtual(main())


def test_sets_of_tasks_have_the_same_order_in_each_run() -> None:
    async def nothing() -> None: ...

    async def main() -> list[str]:
        tasks = {asyncio.create_task(nothing(), name=str(n)) for n in range(100)}
        ballast = [bytearray(n) for n in range(random.randrange(1000))]  # other addresses in the next run
        done, _ = await asyncio.wait(tasks)
        ballast.clear()
        assert tasks == done == asyncio.all_tasks() - {asyncio.current_task()} | done
        return [task.get_name() for task in done]

    assert run_virtual(main()) == run_virtual(main()) == run_virtual(main())


def test_other_threads_may_call_the_loop() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()

        def call() -> None:
            time.sleep(0.02)
            loop.call_soon_threadsafe(heard.set)

        thread = threading.Thread(target=call)
        thread.start()
        await heard.wait()
        thread.join()
        return loop.time()

    assert run_virtual(main()) == 0


# -- worlds ---------------------------------------------------------------------------------------------------------------------


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def transfer(seed: int) -> tuple[list[float], int]:
    """Echoes across links with loss, a router between. When each came back, and how many segments were sent twice."""
    world = World(seed=seed, loss=0.2, delay=20 * MILLISECOND)
    a, r, b = world.host("a"), world.router("r"), world.host("b")
    world.link(a, r)
    world.link(r, b)
    came: list[float] = []
    async with netstack.open_world(world):
        await b.net.start_server(echo, port=7)
        reader, writer = await a.net.open_connection(str(b.address.address), 7)
        for n in range(1, 20):
            writer.write(bytes(n * 500))
            await reader.readexactly(n * 500)
            came.append(asyncio.get_running_loop().time())
        writer.close()
        await writer.wait_closed()
        return came, a.net.counters()["Tcp"]["RetransSegs"]


def test_a_transfer_under_loss_depends_on_its_seed_alone() -> None:
    before = time.monotonic()
    first = run_virtual(transfer(7))
    assert first[0][-1] > 3  # seconds of network time …
    assert time.monotonic() - before < 3  # … take milliseconds
    assert first[1] > 0
    assert run_virtual(transfer(7)) == first
    assert run_virtual(transfer(8)) != first


def test_time_outs_of_the_program_and_of_the_network_are_on_one_clock() -> None:
    async def main() -> None:
        world = World(seed=1, delay=10 * MILLISECOND)
        a, b = world.host("a"), world.host("b")
        async with netstack.open_world(world):
            server = await b.net.start_server(echo, port=7)
            loop = asyncio.get_running_loop()
            reader, writer = await a.net.open_connection("10.0.0.2", 7)
            assert loop.time() == pytest.approx(0.03)  # to ask for the other's address, and a handshake
            world.partition("a", "b")
            writer.write(b"lost")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await reader.read(1)
            assert loop.time() == pytest.approx(5.03)
            assert a.net.counters()["Tcp"]["RetransSegs"] >= 3
            world.heal()
            assert await reader.read(10) == b"lost"
            assert world.now == pytest.approx(loop.time() * SECOND, abs=2)
            writer.transport.abort()
            server.close()

    run_virtual(main())


def test_datagrams_and_pings_through_a_router_move_the_world() -> None:
    """A datagram leaves no timer behind: the world must hear of it all the same."""

    async def main() -> None:
        world = World(seed=1, delay=10 * MILLISECOND)
        a, r, b = world.host("a"), world.router("r"), world.host("b")
        world.link(a, r)
        world.link(r, b)
        async with netstack.open_world(world):
            server, client = await b.net.udp(53), await a.net.udp(remote=("10.0.0.2", 53))
            client.send_nowait(b"question")
            data, address = await server.receive()
            assert (data, asyncio.get_running_loop().time()) == (b"question", pytest.approx(0.02))
            server.send_nowait(b"answer", address)
            assert (await client.receive())[0] == b"answer"
            assert await a.net.ping("10.0.0.2") == 40 * MILLISECOND

    run_virtual(main())


def test_the_net_of_a_program_is_that_of_its_host() -> None:
    from netstack.runtime.current import current_net

    async def main() -> None:
        world = World()
        a, b = world.host("a"), world.host("b")
        async with netstack.open_world(world):

            async def program() -> Any:
                inner = asyncio.create_task(asyncio.sleep(1, current_net()))
                return current_net(), await inner

            assert current_net() is None
            assert await asyncio.gather(a.run(program()), b.run(program())) == [(a.net, a.net), (b.net, b.net)]
            assert current_net() is None

    run_virtual(main())


def test_unchanged_programs_run_on_hosts_and_call_each_other_by_name() -> None:
    """asyncio's own functions; and a connection that a handler opens is of the host that it runs on."""
    world = World(seed=5, loss=0.1, delay=10 * MILLISECOND)
    a, b, c = (world.host(name) for name in "abc")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, out = await asyncio.open_connection("c", 7)
        out.write(await reader.readline())
        writer.write(await onward.readline())
        for each in (out, writer):
            each.close()

    async def client() -> bytes:
        reader, writer = await asyncio.open_connection("b", 70)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def main() -> None:
        async with netstack.open_world(world):
            servers = [await b.run(asyncio.start_server(relay, port=70)), await c.run(asyncio.start_server(echo, port=7))]
            assert await a.run(client()) == b"hello\n"
            assert c.net.counters()["Tcp"]["PassiveOpens"] == 1
            assert b.net.counters()["Tcp"]["ActiveOpens"] == b.net.counters()["Tcp"]["PassiveOpens"] == 1
            for server in servers:
                server.close()

    run_virtual(main())


def test_what_the_program_does_not_own_waits_for_no_packet() -> None:
    """The kernel's network is left alone: a task without a host uses it."""

    async def main() -> None:
        world = World()
        world.host("a")
        async with netstack.open_world(world):
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            assert type(server.sockets[0]).__module__ == "asyncio.trsock"
            assert server.sockets[0].fileno() > 2
            server.close()
            await server.wait_closed()

    run_virtual(main())


def test_aiohttp_under_loss_in_virtual_time() -> None:
    web = pytest.importorskip("aiohttp.web")
    aiohttp = pytest.importorskip("aiohttp")
    world = World(seed=3, loss=0.2, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")

    async def serve() -> Any:
        async def hello(request: Any) -> Any:
            return web.Response(text=f"hello {request.remote}")

        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app, keepalive_timeout=75)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 80).start()
        return runner

    async def client() -> list[str]:
        answers = []
        async with aiohttp.ClientSession() as session:
            for _ in range(5):
                async with session.get("http://10.0.0.2/") as response:
                    answers.append(await response.text())
                await asyncio.sleep(100)  # longer than the server keeps the connection
        return answers

    async def main() -> int:
        async with netstack.open_world(world):
            runner = await b.run(serve())
            assert await a.run(client()) == ["hello 10.0.0.1"] * 5
            await b.run(runner.cleanup())
        return world.now

    before = time.monotonic()
    first = run_virtual(main())
    assert first > 500 * SECOND
    assert time.monotonic() - before < 10


def test_a_fault_of_the_world_ends_its_block() -> None:
    class Stuck:
        def next_deadline(self) -> int:
            return 0

        def run(self, now: int) -> None: ...

    async def main() -> None:
        world = World()
        world.host("a")
        world.clock.add(Stuck(), "stuck")
        async with netstack.open_world(world):
            await asyncio.sleep(1)

    with pytest.raises(Spinning, match="stuck"):
        run_virtual(main())


def test_a_world_has_one_loop_at_a_time_and_its_hosts_nets_only_then() -> None:
    world = World()
    a = world.host("a")

    async def main() -> None:
        async with netstack.open_world(world):
            with pytest.raises(UsageError, match="one event loop"):
                await netstack.open_world(world).__aenter__()
            assert a.net is a.net

    with pytest.raises(UsageError, match="open_world"):
        _ = a.net
    run_virtual(main())
    with pytest.raises(UsageError, match="open_world"):
        _ = a.net
    run_virtual(main())  # once more, on another loop, at a later time


def test_a_host_that_was_restarted_has_a_new_net() -> None:
    async def main() -> None:
        world = World(seed=3, delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        async with netstack.open_world(world):
            await b.net.start_server(echo, port=7)
            reader, writer = await a.net.open_connection("10.0.0.2", 7)
            old = b.net
            b.crash()
            b.restart()
            assert b.net is not old
            writer.write(b"still there?")
            with pytest.raises(PeerReset):
                await reader.read(1)
            writer.transport.abort()

    run_virtual(main())


def test_a_world_lives_in_real_time_on_an_ordinary_loop() -> None:
    async def main() -> None:
        world = World(delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        async with netstack.open_world(world):
            before = asyncio.get_running_loop().time()
            assert await a.net.ping("10.0.0.2") >= 2 * MILLISECOND
            assert asyncio.get_running_loop().time() - before >= 0.002
            assert b.net.counters()["Icmp"]["InEchos"] == 1

    asyncio.run(main())
