"""Two stacks joined in memory, in one process: one writes without end, the other counts. `memory.py SECONDS`."""

import asyncio
import json
import sys
import time

import netstack
from netstack.signatures import Netif
from netstack.testing.wire import Wire
from tests.bench.peers.services import SINK, Source


class Count(asyncio.Protocol):
    total = 0

    def data_received(self, data: bytes) -> None:
        Count.total += len(data)


def joined() -> tuple[Netif, Netif]:
    """Two devices: of the cord that carries super-segments where there is one, else of the wire for tests."""
    try:
        from netstack.testing.cord import Cord
    except ImportError:
        wire = Wire()
        return wire.port(), wire.port()
    cord = Cord()
    return cord.a, cord.b


async def main(seconds: float) -> None:
    left, right = joined()
    async with (
        netstack.open(left, addresses=["10.0.0.1/24"]) as here,
        netstack.open(right, addresses=["10.0.0.2/24"]) as there,
    ):
        await there.create_server(Count, port=SINK)
        await here.create_connection(Source, "10.0.0.2", SINK)
        await asyncio.sleep(seconds / 10)
        start, before = time.perf_counter(), Count.total
        await asyncio.sleep(seconds)
        print(json.dumps({"gbit": (Count.total - before) * 8e-9 / (time.perf_counter() - start)}), flush=True)


asyncio.run(main(float(sys.argv[1])))
