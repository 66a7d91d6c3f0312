"""Same seed, same bytes: in one process, in two, whatever the order of sets."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from netstack.netsim import Netsim, run

ROOT = Path(__file__).resolve().parents[3]
WEATHER = {"loss": 0.1, "delay": "20ms", "jitter": "10ms", "duplicate": 0.05, "reorder": 0.05}


async def gossip(netsim: Netsim) -> None:
    """Ten hosts that tell each other what they have rolled, by TCP and UDP, while one of them crashes and comes back."""
    names = [f"host{n}" for n in range(10)]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            await reader.readline() + secrets.token_bytes(random.randrange(2000)) + uuid.uuid4().bytes + uuid.uuid1().bytes
        )
        writer.close()

    async def serve() -> None:
        await asyncio.start_server(answer, "0.0.0.0", 7)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("0.0.0.0", 7))

    async def talk() -> None:
        dice = random.Random()
        loop = asyncio.get_running_loop()
        for _ in range(3):
            name = dice.choice(names)
            try:
                async with asyncio.timeout(20):
                    reader, writer = await asyncio.open_connection(name, 7)
                    writer.write(os.urandom(dice.randrange(500)).replace(b"\n", b"") + b"\n")
                    await reader.read(-1)
                    writer.close()
            except OSError:
                await asyncio.sleep(dice.random())
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(name, 7))
            transport.sendto(random.randbytes(100))
            transport.close()

    for name in names:
        netsim.host(name).start(serve)
    talks = [asyncio.create_task(netsim.host(name).run(talk)) for name in names]
    await netsim.clock.advance(0.5)
    netsim.crash("host3")
    await netsim.clock.advance(2)
    netsim.restart("host3")
    await asyncio.gather(*talks, return_exceptions=True)


def test_the_same_seed_gives_the_same_bytes_in_one_process() -> None:
    first = run(gossip, seed=11, faults=WEATHER)
    assert first.ok, first.traceback
    assert first.frames > 300
    assert {run(gossip, seed=11, faults=WEATHER).digest for _ in range(3)} == {first.digest}
    assert run(gossip, seed=12, faults=WEATHER).digest != first.digest


@pytest.mark.once
def test_the_same_seed_gives_the_same_bytes_in_processes_that_order_their_sets_differently() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from test_netsim_repeatable import *; print(run(gossip, seed=11, faults=WEATHER).digest)"
    )
    path = os.pathsep.join((str(ROOT), str(ROOT / "backends")))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hashes},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hashes in ("1", "2")
    ]
    said = [worker.communicate(timeout=60)[0].strip() for worker in workers]
    assert said == [run(gossip, seed=11, faults=WEATHER).digest] * 2
