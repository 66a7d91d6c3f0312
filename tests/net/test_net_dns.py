"""A small network with a name server in it, and programs of others that know nothing of us: they say a name and get a page."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

import netstack
from netstack.dns.authority import load
from netstack.dns.client.errors import LookupTimedOut, ServerFailure
from netstack.dns.client.resolver import Resolver
from netstack.dns.resolve.forward import ForwardConfig
from netstack.dns.serve.server import DnsServer
from netstack.instant import MILLISECOND
from netstack.testing.net import World

ZONE = """
@     300 IN SOA ns admin 1 3600 600 86400 60
@     300 IN NS  ns
ns    300 IN A   10.0.0.2
shop  60  IN CNAME web
web   60  IN A   10.0.0.77
web   60  IN A   10.0.0.3
""".splitlines()

BAD_WIRE = """
@     300 IN SOA ns admin 1 3600 600 86400 60
@     300 IN NS  ns
ns    300 IN A   10.0.0.2
*.big 300 IN TXT {}
*     300 IN A   10.0.0.77
""".format(" ".join(["y" * 100] * 20)).splitlines()


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    host = next(line for line in asked.split(b"\r\n") if line.lower().startswith(b"host:"))
    body = b"this is " + host[6:]
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def with_aiohttp() -> str:
    aiohttp = pytest.importorskip("aiohttp")
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session, session.get("http://shop.example/") as answer:
        text: str = await answer.text()
        return text


async def with_httpx() -> str:
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient(trust_env=False) as client:
        text: str = (await client.get("http://shop.example/")).text
        return text


async def with_asyncio() -> str:
    reader, writer = await asyncio.open_connection("shop.example", 80)
    writer.write(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return text.rpartition("\r\n")[2]


@pytest.mark.parametrize("program", [with_asyncio, with_aiohttp, with_httpx])
@pytest.mark.parametrize("through", ["straight", "a forwarder"])
def test_programs_of_others_fetch_a_page_by_its_name(program, through):
    """One of the two addresses is dead, and the one who serves names may be a forwarder of ours."""

    async def main() -> None:
        world = World(seed=5, delay=5 * MILLISECOND)
        client, ns, web, middle = (world.host(name) for name in ("client", "ns", "web", "middle"))
        async with netstack.open_world(world):
            server = DnsServer(ns.net, ns.net, [load.read(ZONE, "example.")])
            await server.listen(53)
            relay = None
            if through == "straight":
                client.net.dns = ["10.0.0.2"]
            else:
                resolver = Resolver(middle.net, middle.net, ["10.0.0.2"])
                relay = DnsServer(middle.net, middle.net, finder=resolver.finder)
                await relay.listen(53)
                client.net.dns = ["10.0.0.4"]
            await web.net.start_server(page, port=80)
            loop = asyncio.get_running_loop()
            before = loop.time()
            assert await client.run(program()) == "this is shop.example"
            assert loop.time() - before < 1
            answer = await client.net.resolve("shop.example")
            assert answer.canonical == "web.example." and sorted(answer.addresses) == ["10.0.0.3", "10.0.0.77"]
            if relay is not None:
                await relay.aclose()
            await server.aclose()

    netstack.run_virtual(main())


@pytest.mark.parametrize(("kind", "servers", "most", "lost"), [("A", 1, 2_200, 1), ("A", 2, 2_200, 1), ("TXT", 1, 4_500, 5)])
def test_hardly_a_look_up_is_lost_on_a_wire_that_loses_every_fifth_frame(kind, servers, most, lost):
    """Each way; a third of all attempts comes to nothing. What is bigger than a datagram comes over TCP. In three runs of ten
    one of the thousand large answers is lost, by all of its attempts: so more than five are in one of a hundred thousand."""

    async def ask(resolver, name):
        try:
            await resolver.resolve(name, kind)
        except LookupTimedOut:
            return 1
        return 0

    async def main() -> None:
        world = World(seed=4, delay=10 * MILLISECOND, loss=0.2)
        client = world.host("client")
        hosts = [world.host(f"server {i}") for i in range(servers)]
        async with netstack.open_world(world):
            for host in hosts:
                await DnsServer(host.net, host.net, [load.read(BAD_WIRE, "example.")]).listen(53)
            places = [str(host.address.address) for host in hosts]
            config = ForwardConfig(failure_ttl=1)
            async with Resolver(client.net, client.net, places, rng=random.Random(1), config=config) as resolver:
                while True:  # what happens while a neighbour can't be found is another matter
                    with contextlib.suppress(LookupTimedOut, ServerFailure):
                        await resolver.resolve("warm.example")
                        break
                mib = resolver.finder.mib
                missed = 0
                for start in range(0, 1000, 20):
                    names = [f"n{i}.example" if kind == "A" else f"n{i}.big.example" for i in range(start, start + 20)]
                    missed += sum(await asyncio.gather(*(ask(resolver, name) for name in names)))
                assert missed <= lost
                assert 1_300 < mib.OutDatagrams + mib.OutStreams < most

    netstack.run_virtual(main())
