"""Worlds in virtual time, compiled and pure: how much faster than real time, and what a frame costs on each hop.

    chat     100 bytes there and back every 50 ms for ten virtual minutes, 40 ms apart
    modem    100 kB at 1 Mbit/s, 100 ms round trip
    page     4 MB at 10 Mbit/s, 100 ms round trip
    chain    the same through three routers
    dumbbell 32 flows of 300 kB through one bottleneck of 10 Mbit/s: 64 hosts, 2 routers
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from netstack import build_info
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import Endpoint, Host, World
from netstack.testing.topology import chain, dumbbell, pair


def transfer(a: Host, b: Host, size: int) -> list[Endpoint]:
    server = Endpoint()
    b.listen(80, lambda: server)
    return [a.connect(b, 80, Endpoint(bytes(size))), server]


def finish(world: World, ends: list[Endpoint]) -> None:
    for end in ends:
        world.run(until=lambda end=end: end.is_closed)  # type: ignore[misc]  # mypy can't infer it


def chat() -> World:
    class Echo(Endpoint):
        def on_data(self, data: bytes, now: int) -> None:
            assert self.conn is not None
            self.conn.write(data, now)

    world = World(seed=1)
    a, b, _ = pair(world, delay=20 * MILLISECOND)
    b.listen(80, lambda: Echo(close=False))
    client = a.connect(b, 80, Endpoint(close=False))
    world.run(until=lambda: bool(client.events))
    assert client.conn is not None
    for _ in range(12_000):
        client.conn.write(bytes(100), world.now)
        world.rest(50 * MILLISECOND)
    assert len(client.received) == 1_200_000
    return world


def path(size: int, routers: int, rate: int) -> World:
    world = World(seed=1, rate=rate, delay=50 * MILLISECOND // (routers + 1))
    a, b, _ = chain(world, routers)
    finish(world, transfer(a, b, size))
    return world


def many() -> World:
    world = World(seed=1, delay=5 * MILLISECOND)
    bell = dumbbell(world, 32, rate=10_000_000, queue=50)
    finish(world, [end for a, b in zip(bell.senders, bell.receivers, strict=True) for end in transfer(a, b, 300_000)])
    return world


WORLDS: dict[str, Callable[[], World]] = {
    "chat": chat,
    "modem": lambda: path(100_000, 0, 1_000_000),
    "page": lambda: path(4_000_000, 0, 10_000_000),
    "chain": lambda: path(4_000_000, 3, 10_000_000),
    "dumbbell": many,
}


def measure() -> None:
    for name, make in WORLDS.items():
        best = min((timed(make) for _ in range(3)), key=lambda row: row[0])
        seconds, virtual, hops = best
        print(
            f"  {build_info().build:9}{name:9} {virtual / SECOND:8.2f} s of virtual time in {1000 * seconds:8.2f} ms: "
            f"{virtual / SECOND / seconds:7,.0f} times as fast, {hops / seconds:9,.0f} frames/s, "
            f"{seconds / hops * 1e6:5.1f} us each"
        )


def timed(make: Callable[[], World]) -> tuple[float, int, int]:
    start = time.perf_counter()
    world = make()
    took = time.perf_counter() - start
    return took, world.now, sum(way.mib.Frames for link in world.links.values() for way in link.ways)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure()
    else:
        for pure in ("0", "1"):
            subprocess.run([sys.executable, __file__, "here"], env={**os.environ, "NETSTACK_PURE": pure}, check=True)
