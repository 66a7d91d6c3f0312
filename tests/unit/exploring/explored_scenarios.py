"""Scenarios with bugs that are known, for the explorer to find; and some that do worse than fail. Imported by workers, too."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any


class Mailbox(asyncio.DatagramProtocol):
    """Datagrams as they come."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.arrived.put_nowait((data, addr))

    def error_received(self, error: OSError) -> None:
        """Nobody listens there: whoever waits, waits longer."""

    @classmethod
    async def open(cls, **where: Any) -> Mailbox:
        _, mailbox = await asyncio.get_running_loop().create_datagram_endpoint(cls, **where)
        return mailbox

    async def ask(self, data: bytes, patience: float = 1.0) -> bytes | None:
        self.transport.sendto(data)
        return await self.wait(patience)

    async def wait(self, patience: float) -> bytes | None:
        try:
            async with asyncio.timeout(patience):
                return (await self.arrived.get())[0]
        except TimeoutError:
            return None


# -- a client that forgets to send again -------------------------------------------------------------------------------


async def echo() -> None:
    mailbox = await Mailbox.open(local_addr=("0.0.0.0", 7))
    while True:
        data, who = await mailbox.arrived.get()
        mailbox.transport.sendto(data, who)


async def forgetful(name: str) -> None:
    """Three questions, a second apart. It means to try each five times, and sends it once."""
    mailbox = await Mailbox.open(remote_addr=(name, 7))
    try:
        for number in range(3):
            await asyncio.sleep(1)
            mailbox.transport.sendto(b"%d" % number)
            answer = None
            for _ in range(5):
                answer = answer or await mailbox.wait(0.5)
            assert answer is not None, f"question {number} was never answered"
    finally:
        mailbox.transport.close()


async def lost_reply(netsim: Any) -> None:
    netsim.host("server").start(echo)
    await netsim.host("client").run(forgetful, "server")


# -- a lock that two have ----------------------------------------------------------------------------------------------

LEASE = 3.0  # seconds


async def locks() -> None:
    """Who asks gets the lock, unless somebody has it and has asked within the time of a lease."""
    mailbox = await Mailbox.open(local_addr=("0.0.0.0", 9))
    holder, until = b"", 0.0
    loop = asyncio.get_running_loop()
    while True:
        name, who = await mailbox.arrived.get()
        if holder in (b"", name) or loop.time() > until:
            holder, until = name, loop.time() + LEASE
        mailbox.transport.sendto(holder, who)


async def worker(name: bytes, holding: set[bytes]) -> None:
    """Renews in good time; and forgets that a lease ends when nobody has answered."""
    mailbox = await Mailbox.open(remote_addr=("locks", 9))
    try:
        for _ in range(20):
            answer = await mailbox.ask(name, 0.5)
            if answer == name:
                holding.add(name)
            elif answer is not None:
                holding.discard(name)
            assert len(holding) < 2, f"{sorted(holding)} hold the lock"
            await asyncio.sleep(0.5)
    finally:
        mailbox.transport.close()


async def two_holders(netsim: Any) -> None:
    netsim.host("locks").start(locks)
    holding: set[bytes] = set()
    async with asyncio.TaskGroup() as group:
        for name in ("ann", "bob"):
            group.create_task(netsim.host(name).run(worker, name.encode(), holding))


# -- a count that is one too high --------------------------------------------------------------------------------------


async def counter(disk: dict[str, int]) -> None:
    """Counts on its disk, which outlives a crash; which requests it has counted it knows by heart. Answers 20 ms later."""
    mailbox = await Mailbox.open(local_addr=("0.0.0.0", 9))
    known = set()
    while True:
        request, who = await mailbox.arrived.get()
        if request not in known:
            known.add(request)
            disk["count"] += 1
        await asyncio.sleep(0.02)
        mailbox.transport.sendto(request, who)


async def adder(times: int) -> None:
    mailbox = await Mailbox.open(remote_addr=("counter", 9))
    try:
        for number in range(times):
            request = b"+1, the %d." % number
            while await mailbox.ask(request, 1.0) != request:
                pass
            await asyncio.sleep(2)
    finally:
        mailbox.transport.close()


async def off_by_one(netsim: Any) -> None:
    """Wrong only where the server crashes between writing and answering: 20 ms of each two seconds."""
    disk = {"count": 0}
    netsim.host("counter").start(counter, disk)
    await netsim.host("client").run(adder, 3)
    assert disk["count"] == 3, f"counted to {disk['count']}"


# -- worse -------------------------------------------------------------------------------------------------------------


async def fine(netsim: Any) -> None:
    netsim.host("server").start(echo)
    await netsim.host("client").run(once, "server")


async def once(name: str) -> None:
    mailbox = await Mailbox.open(remote_addr=(name, 7))
    for _ in range(50):
        if await mailbox.ask(b"?") is not None:
            break
    mailbox.transport.close()


async def always_wrong(netsim: Any) -> None:
    netsim.host("a")
    raise ValueError("always")


async def kills(netsim: Any) -> None:
    """Seed 5 whoever runs it; of seed 8 the first process dies, and those after it find the file."""
    if netsim.seed == 5:
        os._exit(3)
    await kills_once(netsim)


async def kills_once(netsim: Any) -> None:
    if netsim.seed == 8:
        try:
            Path(os.environ["EXPLORED_ONCE"]).open("x").close()
        except FileExistsError:
            pass
        else:
            os._exit(3)
    await fine(netsim)


async def hangs_at_two(netsim: Any) -> None:
    if netsim.seed == 2:
        forever()
    await fine(netsim)


def forever() -> None:
    while True:
        pass


async def sleeps_at_two(netsim: Any) -> None:
    """It blocks where nothing can be interrupted but by a signal."""
    if netsim.seed == 2:
        os.read(os.pipe()[0], 1)
    await fine(netsim)


RUNS = itertools.count()


async def moody(netsim: Any) -> None:
    """What it sends depends on what the process did before."""
    await fine(netsim)
    mailbox = await netsim.host("client").run(Mailbox.open(remote_addr=("server", 7)))
    mailbox.transport.sendto(b"%d" % next(RUNS))
    await asyncio.sleep(1)
    mailbox.transport.close()


async def in_trio(netsim: Any) -> None:
    import trio

    async def serve(stream: Any) -> None:
        await stream.send_all(await stream.receive_some())

    async def client() -> None:
        with trio.fail_after(5):
            stream = await trio.open_tcp_stream("server", 7)
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"
            await stream.aclose()

    netsim.host("server").start(trio.serve_tcp, serve, 7)
    await trio.sleep(1)
    await netsim.host("client").run(client)
