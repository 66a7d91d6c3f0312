"""Multicast DNS as programs have it, on asyncio and on trio: the same scenarios on both, in virtual time."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import netstack
from netstack.dns import rdata
from netstack.dns.multicast.service import Service
from netstack.dns.numbers import Type
from netstack.errors import ClosedError, TimedOut, Unreachable, UsageError
from netstack.instant import MILLISECOND
from netstack.runtime.trio.world import run_virtual as run_trio
from netstack.runtime.waits import waits_here
from netstack.testing.net import World

Scenario = Callable[[World], Awaitable[Any]]


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest, seed: int) -> Callable[..., Any]:
    """Runs a scenario in a world that is open."""

    def go(scenario: Scenario, **faults: Any) -> Any:
        async def main() -> Any:
            world = World(seed=seed, delay=MILLISECOND, **faults)
            world.host("a")
            world.host("b")
            async with netstack.open_world(world):
                return await scenario(world)

        return netstack.run_virtual(main()) if request.param == "asyncio" else run_trio(main)

    return go


async def sleep(duration: float) -> None:
    waits = waits_here()
    with pytest.raises(TimedOut):
        await waits.wait(waits.event(), netstack.instant.seconds(duration))


def test_names_are_settled_and_resolved_and_denied(run):
    async def scenario(world: World) -> None:
        a, b = (host.net for host in world.hosts)
        async with a.mdns("printer") as m, b.mdns("printer.local") as n:
            await sleep(0.01)
            names = sorted([await m.settled(10), await n.settled(10)])
            assert names == ["printer-2.local", "printer.local"]
            # 10.0.0.2 has the later data, but whoever began earlier may have finished before the other asked
            owner = "10.0.0.1" if m.name == "printer.local" else "10.0.0.2"
            assert await m.resolve("printer.local") == [owner]
            assert await n.resolve("PRINTER") == [owner]
            with pytest.raises(Unreachable, match="no AAAA"):
                await m.look_up(n.name, "AAAA")
            with pytest.raises(TimedOut, match="nobody on the link"):
                await m.resolve("nobody.local", timeout=3)

    run(scenario)


def test_services_are_registered_browsed_changed_and_withdrawn(run):
    async def scenario(world: World) -> None:
        a, b = (host.net for host in world.hosts)
        async with a.mdns("server") as m, b.mdns() as n:
            r = m.register(Service("Büro.1", "_http._tcp", 8080, txt={"path": "/", "tls": True}, subtypes=("_office",)))
            assert await r.settled(10) == "Büro\\.1._http._tcp.local"
            async with n.browse("_http._tcp") as browse, n.browse("_http._tcp", "_office") as office:
                first = await anext(browse)
                assert first.kind == "added"
                found = first.service
                assert (found.instance, found.type, found.host, found.port) == ("Büro.1", "_http._tcp", "server.local", 8080)
                assert (found.txt, found.addresses) == ({"path": b"/", "tls": None}, ("10.0.0.1",))
                assert (await anext(office)).service == found
                assert browse.services == [found]
                await sleep(3)  # what is younger than a second is not flushed
                r.update(txt={"path": "/x"}, port=8081)
                assert (await anext(browse)).service.port == 8081
                await sleep(1.5)
                (srv,) = await n.look_up("Büro\\.1._http._tcp.local", Type.SRV)
                assert rdata.unpack(Type.SRV, srv.rdata).port == 8081
                assert srv.ttl in (118, 119)
                r.withdraw()
                last = await anext(browse)
                assert (last.kind, last.service.txt) == ("removed", {"path": b"/x"})
                assert browse.services == []
            with pytest.raises(TimedOut):
                await n.look_up("Büro\\.1._http._tcp.local", "SRV", timeout=2)

    run(scenario)


def test_iteration_ends_when_it_is_closed_and_waits_until_then(run):
    async def scenario(world: World) -> list[str]:
        a, b = (host.net for host in world.hosts)
        seen = []
        async with b.mdns() as n, a.mdns("server") as m:
            m.register(Service("Web", "_http._tcp", 80))
            browse = n.browse("_http._tcp")
            async for sighting in browse:
                seen.append(sighting.kind)
                if sighting.kind == "removed":
                    browse.close()
                else:
                    m.close()  # says goodbye
        return seen

    assert run(scenario) == ["added", "removed"]


def test_what_was_not_read_is_one_sighting_for_each_instance(run):
    async def scenario(world: World) -> None:
        a, b = (host.net for host in world.hosts)
        async with b.mdns() as n, a.mdns("server") as m:
            browse = n.browse("_http._tcp")
            r = m.register(Service("Web", "_http._tcp", 80))
            s = m.register(Service("Short", "_http._tcp", 90))
            await sleep(5)
            r.update(port=81)
            s.withdraw()
            await sleep(5)
            sighting = await anext(browse)
            assert (sighting.kind, sighting.service.port) == ("added", 81)
            assert not browse._waiting
            browse.close()
            with pytest.raises(StopAsyncIteration):
                await anext(browse)

    run(scenario)


def test_the_types_of_services_are_listed(run):
    async def scenario(world: World) -> list[str]:
        a, b = (host.net for host in world.hosts)
        async with b.mdns() as n, a.mdns("server") as m:
            m.register(Service("Web", "_http._tcp", 80))
            m.register(Service("Shell", "_ssh._tcp", 22))
            await sleep(3)
            return await n.types()

    assert run(scenario) == ["_http._tcp", "_ssh._tcp"]


def test_getaddrinfo_asks_the_link_for_local_names_while_it_is_on(run):
    async def scenario(world: World) -> None:
        a, b = (host.net for host in world.hosts)
        import trio

        from netstack.runtime.current import in_trio
        from netstack.runtime.trio.install import Resolver

        async def addresses(name: str) -> list[Any]:
            if in_trio():
                await trio.lowlevel.checkpoint()
                infos = await Resolver(b).getaddrinfo(name, 80, type=socket.SOCK_STREAM)
            else:
                infos = await b.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
            return [info[4] for info in infos]

        async with a.mdns("server") as m:
            await m.settled(10)
            with pytest.raises(socket.gaierror):
                await addresses("server.local")
            async with b.mdns():
                assert await addresses("server.local") == [("10.0.0.1", 80)]
                assert await addresses("Server.local.") == [("10.0.0.1", 80)]
                with pytest.raises(socket.gaierror, match="not known"):
                    await addresses("nobody.local")
                with pytest.raises(socket.gaierror):
                    await addresses("server.example")
                assert await addresses("10.9.9.9") == [("10.9.9.9", 80)]
            with pytest.raises(socket.gaierror):
                await addresses("server.local")

    run(scenario)


def test_streams_and_datagrams_go_to_names_of_the_link(run):
    async def scenario(world: World) -> bytes:
        a, b = (host.net for host in world.hosts)

        async def greet(stream: Any) -> None:
            await stream.send_all(b"hello")

        async with a.mdns("server") as m, b.mdns():
            await m.settled(10)
            await a.serve_streams(greet, 80)
            with pytest.raises(Unreachable, match="nobody"):
                await b.connect_stream("nobody.local", 80)
            stream = await b.connect_stream("server.local", 80)
            port = await b.bind_datagrams(remote=("server.local", 7))
            await port.aclose()
            return await stream.receive()

    assert run(scenario) == b"hello"


def test_leaving_ends_what_waits_and_closing_the_net_leaves(run):
    async def scenario(world: World) -> None:
        a, b = (host.net for host in world.hosts)
        m = await a.mdns("server").__aenter__()
        n = await b.mdns().__aenter__()
        await m.settled(10)
        assert await n.resolve("server.local") == ["10.0.0.1"]
        heard = b.stack.udp.mib.InDatagrams
        await a.aclose()
        await sleep(2)
        assert b.stack.udp.mib.InDatagrams == heard + 1  # the goodbye
        with pytest.raises(TimedOut):
            await n.resolve("server.local", timeout=1)
        n.close()
        n.close()
        with pytest.raises(ClosedError):
            await n.resolve("server.local")
        with pytest.raises(ClosedError):
            n.browse("_http._tcp")
        assert not b.stack.udp.ports
        assert not b._closers

    run(scenario)


def test_what_waits_when_it_is_left_gets_closed_error(seed):
    async def main() -> None:
        world = World(seed=seed)
        a = world.host("a")
        async with netstack.open_world(world):
            m = await a.net.mdns("x").__aenter__()
            tasks = [asyncio.create_task(m.resolve("y.local", timeout=60)), asyncio.create_task(m.settled())]
            browse = m.browse("_http._tcp")
            ends = asyncio.create_task(anext(browse))
            await asyncio.sleep(0.01)
            m.close()
            for task in tasks:
                with pytest.raises(ClosedError):
                    await task
            with pytest.raises(StopAsyncIteration):
                await ends

    netstack.run_virtual(main())


def test_a_cancelled_question_is_asked_no_more(seed):
    async def main() -> None:
        world = World(seed=seed)
        a = world.host("a")
        async with netstack.open_world(world), a.net.mdns() as m:
            task = asyncio.create_task(m.resolve("y.local", timeout=60))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            sent = m.mib.OutQueries
            await asyncio.sleep(60)
            assert m.mib.OutQueries == sent == 1
            assert not m._port.core.querier.asks

    netstack.run_virtual(main())


def test_a_service_of_another_host_may_be_announced_by_us(run):
    """A proxy (RFC 6763): the host is named."""

    async def scenario(world: World) -> None:
        a, b = (host.net for host in world.hosts)
        async with a.mdns() as m, b.mdns("other") as n:
            await n.settled(10)
            m.register(Service("Web", "_http._tcp", 80, host="other.local"))
            sighting = await anext(n.browse("_http._tcp"))
            assert (sighting.service.host, sighting.service.addresses) == ("other.local", ("10.0.0.2",))
            with pytest.raises(UsageError, match="needs a host"):
                m.register(Service("Web 2", "_http._tcp", 80))
            with pytest.raises(UsageError, match="registered already"):
                m.register(Service("web", "_http._tcp", 81, host="other.local"))

    run(scenario)


def test_two_browse_each_other_through_a_lossy_wire(run):
    async def scenario(world: World) -> list[str]:
        a, b = (host.net for host in world.hosts)
        async with a.mdns("a") as m, b.mdns("b") as n:
            m.register(Service("A", "_x._udp", 1))
            n.register(Service("B", "_x._udp", 2))
            browse = m.browse("_x._udp")
            names = set()
            async for sighting in browse:
                names.add(sighting.service.name)
                if len(names) == 2:
                    break
            return sorted(names)

    assert run(scenario, loss=0.2) == ["A._x._udp.local", "B._x._udp.local"]


def test_people_hear_of_a_name_that_is_not_the_one_they_chose(run, caplog):
    """RFC 6762 9."""

    async def scenario(world: World) -> str:
        a, b = (host.net for host in world.hosts)
        async with a.mdns("printer") as m:
            await m.settled(10)
            async with b.mdns("printer") as n:
                await n.settled(10)
        return n.mib.snapshot()["Renamed"]

    assert run(scenario) == 1
    assert "this host is called printer-2.local on this link: somebody else has printer.local" in caplog.text


def test_mistakes_are_said_in_a_sentence(run):
    async def scenario(world: World) -> None:
        a = world.hosts[0].net
        for name in ("", "a.b.local", "x" * 64):
            if name:
                with pytest.raises(UsageError, match="host's name"):
                    a.mdns(name)
        async with a.mdns() as m:
            with pytest.raises(UsageError, match="_http"):
                m.browse("http")
            with pytest.raises(UsageError, match="has no name"):
                await m.settled()
            with pytest.raises(UsageError, match="entered already"):
                await m.__aenter__()

    run(scenario)
