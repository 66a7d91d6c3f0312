"""Two stacks joined in memory, in one process: one writes without end, the other counts. `memory.py protocol|core SECONDS`.

`protocol`: transports and protocols on an event loop. `core`: users below it, and a crank of their own (bench_memory).
"""

import asyncio
import json
import sys
import time

import netstack
from netstack.testing.cord import OFFLOAD, Cord
from tests.bench.bench_memory import bulk
from tests.bench.peers.services import SINK, Source

BYTES_A_SECOND = 2 << 30  # that `core` moves for each second that it is given: near what takes a second


class Count(asyncio.Protocol):
    total = 0

    def data_received(self, data: bytes) -> None:
        Count.total += len(data)


async def protocol(seconds: float) -> float:
    """Gbit/s."""
    cord = Cord()
    async with (
        netstack.open(cord.a, addresses=["10.0.0.1/24"]) as here,
        netstack.open(cord.b, addresses=["10.0.0.2/24"]) as there,
    ):
        await there.create_server(Count, port=SINK)
        await here.create_connection(Source, "10.0.0.2", SINK)
        await asyncio.sleep(seconds / 10)
        start, before = time.perf_counter(), Count.total
        await asyncio.sleep(seconds)
        return (Count.total - before) * 8e-9 / (time.perf_counter() - start)


face, seconds = sys.argv[1], float(sys.argv[2])
gbit = netstack.run(protocol(seconds)) if face == "protocol" else bulk(OFFLOAD, True, int(BYTES_A_SECOND * seconds))
print(json.dumps({"gbit": gbit}), flush=True)
