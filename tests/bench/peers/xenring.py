"""A program on netfront over the simulated hypervisor, and what stands for the world behind a netback of ours, in one process:
`xenring.py receive|send`. For each line of standard input, that many seconds, it prints {"gbit": …}.

The program is the one that is measured on a tap: our stack, our event loop, the same Protocols. The world is a second stack of
ours whose user costs nothing, as the kernel and its client in C are behind a tap. Each byte goes through the rings as on Xen:
into a granted page, and out of it by a grant copy; or the other way round.
"""

import asyncio
import json
import sys
import time

from netstack_xen.back import XenBack
from netstack_xen.front import Xen
from netstack_xen.simulated import Machine, toolstack

import netstack
from netstack.address import Ip4
from netstack.instant import Instant
from netstack.runtime.net import Net
from netstack.testing.load import Quiet, Sink, Source
from tests.bench.peers import services

GUEST, WORLD = "10.0.0.2", "10.0.0.1"
WARM = 0.1  # of the time: a client that comes over a tap connects within it, too


class Counting(services.Sink):
    got = 0

    def data_received(self, data: bytes) -> None:
        Counting.got += len(data)


async def measure(world: Net, way: str, seconds: float) -> float:
    """Gbit/s, by a connection of its own."""
    user: Quiet = Source(services.DATA, 1 << 60) if way == "receive" else Sink(True)
    port = services.SINK if way == "receive" else services.SOURCE
    conn = world.stack.tcp.connect(0, 0, int(Ip4.parse(GUEST)), port, user, time.monotonic_ns())
    user.bind(conn)

    def count() -> int:
        return Counting.got if way == "receive" else user.received

    await asyncio.sleep(seconds * WARM)
    start, before = time.perf_counter(), count()
    await asyncio.sleep(seconds)
    gbit = (count() - before) * 8e-9 / (time.perf_counter() - start)
    conn.abort(time.monotonic_ns())
    return gbit


async def main(way: str) -> None:
    with Machine() as machine:
        toolstack.add_vif(machine.domain(0).store, 1)
        now = Instant(time.monotonic_ns())
        back = XenBack(machine.domain(0), 1, now=now, own=True)
        front = Xen(machine.domain(1), now=now, own=True)
        async with (
            netstack.open(back, addresses=[f"{WORLD}/24"]) as world,
            netstack.open(front, addresses=[f"{GUEST}/24"]) as guest,
        ):
            await guest.create_server(Counting, port=services.SINK)
            await guest.create_server(services.Source, port=services.SOURCE)
            while not (front.up and back.lanes):
                await asyncio.sleep(0.001)
            print("ready", flush=True)
            while line := sys.stdin.readline():
                print(json.dumps({"gbit": await measure(world, way, float(line))}), flush=True)


if __name__ == "__main__":
    netstack.run(main(sys.argv[1]))
