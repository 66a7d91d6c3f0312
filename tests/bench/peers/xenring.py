"""A program on netfront over the simulated hypervisor, and what stands for the world behind a netback of ours, in one process:
`xenring.py receive|send SECONDS`.

The program is the one that is measured on a tap: our stack, an event loop, the same Protocol. The world is a second stack of ours
with a user that costs nothing, as the kernel and its client are behind a tap. Each byte goes through the rings as on Xen: into a
granted page, out of it by a grant copy, and the other way likewise.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable

import netstack
from netstack.instant import Instant
from netstack.testing.load import Quiet, Sink, Source
from netstack_xen.back import XenBack
from netstack_xen.front import Xen
from netstack_xen.simulated import Machine, toolstack
from tests.bench.peers import services

GUEST, WORLD = "10.0.0.2", "10.0.0.1"


class Guest(services.Sink):
    got = 0

    def data_received(self, data: bytes) -> None:
        Guest.got += len(data)


async def measure(way: str, seconds: float) -> float:
    """Gbit/s."""
    with Machine() as machine:
        toolstack.add_vif(machine.domain(0).store, 1)
        now = Instant(time.monotonic_ns())
        back = XenBack(machine.domain(0), 1, now=now, own=True)
        front = Xen(machine.domain(1), now=now, own=True)
        async with (
            netstack.open(back, addresses=[f"{WORLD}/24"]) as world,
            netstack.open(front, addresses=[f"{GUEST}/24"]) as guest,
        ):
            while not front.up:
                await asyncio.sleep(0.01)
            await guest.create_server(Guest, port=services.SINK)
            await guest.create_server(services.Source, port=services.SOURCE)
            user: Quiet = Source(services.DATA, 1 << 60) if way == "receive" else Sink(True)
            port = services.SINK if way == "receive" else services.SOURCE
            tcp = world.stack.tcp
            user.bind(tcp.connect(0, 0, int(netstack.Ip4.parse(GUEST)), port, user, time.monotonic_ns()))
            count: Callable[[], int] = (lambda: Guest.got) if way == "receive" else (lambda: user.received)
            await asyncio.sleep(seconds / 10)
            start, before = time.perf_counter(), count()
            await asyncio.sleep(seconds)
            figure = (count() - before) * 8e-9 / (time.perf_counter() - start)
            user.conn.abort(time.monotonic_ns())

        return figure


way, seconds = sys.argv[1], float(sys.argv[2])
print(json.dumps({"gbit": netstack.run(measure(way, seconds))}), flush=True)
