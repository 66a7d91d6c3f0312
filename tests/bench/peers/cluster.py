"""A cluster in virtual time: `cluster.py WAY HOSTS CONNECTIONS`.

Hosts of ten share a router, and those routers a core; a way across loses one packet in a hundred, and takes 12 ms. Each host has as
many connections as all the others, each to a host of chance. On each somebody asks for something every ten seconds or so, 200
bytes, and gets 1000 back. One connection in ten is closed after a minute or so, and opened anew; one in ten is idle, but for
keep-alive probes every two minutes.

    WAY     cores      users of connections, called by the stack itself, on the world's own clock
            streams    asyncio's streams, two tasks for each connection, on a loop in virtual time

It prints `ready` when all connections are open, and then for each number that it reads goes on for so many virtual seconds: how
many seconds of the machine an hour of that takes, packets a second of the machine (each counted once on each link that it passes),
and bytes of resident memory for each connection.
"""

import asyncio
import gc
import json
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import netstack
from netstack.adapters import PyStreamUser
from netstack.cores import StreamUser
from netstack.instant import MILLISECOND, SECOND
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.testing.net import Host, World

PORT = 7000
GROUP = 10  # hosts behind a router
REQUEST, RESPONSE = bytes(200), bytes(1000)
THINK = 5.0, 15.0  # seconds between two requests
LIFE = 30.0, 90.0  # seconds of a connection that comes and goes
BUSY, PASSING, IDLE = range(3)
KINDS = [PASSING, IDLE, *[BUSY] * 8]
CONFIG = StackConfig(tcp=TcpConfig(keepalive=120 * SECOND))


class Cluster:
    """The world, and who asks whom. All chance of the load is drawn from `rng`."""

    def __init__(self, hosts: int, connections: int) -> None:
        self.rng = random.Random(1)
        self.world = World(seed=1)
        core = self.world.router("core")
        self.hosts: list[Host] = []
        for n in range(hosts):
            if n % GROUP == 0:
                router = self.world.router(f"r{n // GROUP}")
                self.world.link(router, core, rate=1_000_000_000, delay=5 * MILLISECOND, loss=0.005)
            self.hosts.append(self.world.host(f"h{n}", config=CONFIG))
            self.world.link(self.hosts[n], router, rate=100_000_000, delay=MILLISECOND)
        self.pairs = [self.pair(n, KINDS[n % len(KINDS)]) for n in range(connections)]
        self.exchanges = 0
        self.opened = 0
        self.failures = 0

    def pair(self, n: int, kind: int) -> tuple[Host, Host, int]:
        client = self.hosts[n % len(self.hosts)]
        server = client
        while server is client:
            server = self.rng.choice(self.hosts)
        return client, server, kind

    def frames(self) -> int:
        return sum(way.mib.Frames for link in self.world.links.values() for way in link.ways)

    def think(self) -> float:
        return self.rng.uniform(*THINK)

    def lifetime(self, kind: int) -> float:
        return self.rng.uniform(*LIFE) if kind == PASSING else float("inf")


# -- without a loop ---------------------------------------------------------------------------------------------------------------


class Answering:
    """A server's end: it answers what is whole."""

    def __init__(self) -> None:
        self.conn: Connection | None = None
        self.waiting = 0

    def on_connected(self, now: int) -> None: ...
    def on_writable(self, now: int) -> None: ...

    def on_data(self, data: bytes, now: int) -> None:
        assert self.conn is not None
        self.waiting += len(data)
        while self.waiting >= len(REQUEST):
            self.waiting -= len(REQUEST)
            self.conn.write(RESPONSE, now)

    def on_eof(self, now: int) -> None:
        assert self.conn is not None
        self.conn.shutdown(now)

    def on_closed(self, error: Exception | None, now: int) -> None: ...


class Asking:
    """A client's end: it asks, and when its time is over it closes, and another one takes its place."""

    def __init__(self, cluster: Cluster, pair: tuple[Host, Host, int]) -> None:
        self.cluster = cluster
        self.client, self.server, self.kind = pair
        self.waiting = 0
        self.until = cluster.world.now + cluster.lifetime(self.kind) * SECOND
        self.conn = self.client.stack.tcp.connect(
            0, 0, int(self.server.address.address), PORT, PyStreamUser(self), cluster.world.now
        )

    def on_connected(self, now: int) -> None:
        self.cluster.opened += 1
        if self.kind != IDLE:
            self.later(self.ask, self.cluster.think())

    def later(self, what: Callable[[], object], seconds: float) -> None:
        self.cluster.world.clock.call_later(int(seconds * SECOND), what)

    def ask(self) -> None:
        now = self.cluster.world.now
        if now < self.until:
            self.waiting = len(RESPONSE)
            self.conn.write(REQUEST, now)
        else:
            self.conn.shutdown(now)

    def on_writable(self, now: int) -> None: ...

    def on_data(self, data: bytes, now: int) -> None:
        self.waiting -= len(data)
        if not self.waiting:
            self.cluster.exchanges += 1
            self.later(self.ask, self.cluster.think())

    def on_eof(self, now: int) -> None: ...

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.cluster.failures += error is not None
        self.later(lambda: Asking(self.cluster, (self.client, self.server, self.kind)), 1)


def accept(conn: Connection) -> StreamUser:
    end = Answering()
    end.conn = conn
    return PyStreamUser(end)


async def with_cores(cluster: Cluster, measure: Callable[[Callable[[float], Awaitable[None]]], Awaitable[None]]) -> None:
    world = cluster.world
    for host in cluster.hosts:
        host.stack.tcp.listen(0, PORT, accept, 1024)
    for pair in cluster.pairs:
        world.clock.call_later(int(cluster.rng.uniform(0, 10) * SECOND), lambda pair=pair: Asking(cluster, pair))  # type: ignore[misc]  # mypy can't infer it

    async def rest(seconds: float) -> None:
        world.rest(int(seconds * SECOND))

    await measure(rest)


# -- asyncio ----------------------------------------------------------------------------------------------------------------------


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readexactly(len(REQUEST))
            writer.write(RESPONSE)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def ask(cluster: Cluster, server: str, kind: int) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(cluster.rng.uniform(0, 10))
    while True:
        try:
            reader, writer = await asyncio.open_connection(server, PORT)
            cluster.opened += 1
            until = loop.time() + cluster.lifetime(kind)
            if kind == IDLE:
                await reader.read()
            while loop.time() < until:
                await asyncio.sleep(cluster.think())
                writer.write(REQUEST)
                await reader.readexactly(len(RESPONSE))
                cluster.exchanges += 1
            writer.close()
            await writer.wait_closed()
        except (asyncio.IncompleteReadError, OSError):
            cluster.failures += 1
        await asyncio.sleep(1)


async def with_streams(cluster: Cluster, measure: Callable[[Callable[[float], Awaitable[None]]], Awaitable[None]]) -> None:
    async with netstack.open_world(cluster.world):
        for host in cluster.hosts:
            await host.run(asyncio.start_server(answer, port=PORT, backlog=1024))
        tasks = [
            asyncio.ensure_future(client.run(ask(cluster, server.name, kind))) for client, server, kind in cluster.pairs
        ]
        await measure(asyncio.sleep)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- measuring --------------------------------------------------------------------------------------------------------------------


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def main(way: str, hosts: int, connections: int) -> None:
    before = resident()
    cluster = Cluster(hosts, connections)

    async def measure(rest: Callable[[float], Awaitable[None]]) -> None:
        await rest(30)
        assert cluster.opened >= connections, cluster.opened
        gc.collect()
        gc.freeze()
        print("ready", flush=True)
        for line in sys.stdin:
            seconds = float(line)
            frames, exchanges, begin = cluster.frames(), cluster.exchanges, time.perf_counter()
            await rest(seconds)
            took = time.perf_counter() - begin
            figures = {
                "hour": took * 3600 / seconds,
                "per_second": (cluster.frames() - frames) / took,
                "exchanges": (cluster.exchanges - exchanges) / seconds,
                "bytes": (resident() - before) / connections,
            }
            print(json.dumps(figures), flush=True)

    await {"cores": with_cores, "streams": with_streams}[way](cluster, measure)


if __name__ == "__main__":
    netstack.run_virtual(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
