"""Vchans between two domains of a simulated machine, in one process and on one loop, beside a pair of unix sockets on that loop.

`bulk` is one direction, a task that sends 64 KiB at a time and one that receives; `echo` a byte there and a byte back. The
simulated machine's notification is a function call: what Xen's own hypercall costs is not in it.
"""

import argparse
import asyncio
import socket
import time
from typing import Any

from netstack_xen.simulated import Machine
from netstack_xen.vchan import Vchan

BLOCK = bytes(65536)


async def bulk(near: Any, far: Any, size: int) -> float:
    """Gigabits a second."""

    async def send() -> None:
        for _ in range(size // len(BLOCK)):
            await near.send_all(BLOCK)

    async def receive() -> None:
        got = 0
        while got < size:
            got += len(await far.receive())

    began = time.perf_counter()
    await asyncio.gather(send(), receive())
    return size * 8 / (time.perf_counter() - began) / 1e9


async def echo(near: Any, far: Any, count: int) -> float:
    """Microseconds."""

    async def answer() -> None:
        for _ in range(count):
            await far.send_all(await far.receive())

    answering = asyncio.create_task(answer())
    began = time.perf_counter()
    for _ in range(count):
        await near.send_all(b"x")
        await near.receive()
    taken = time.perf_counter() - began
    await answering
    return taken / count * 1e6


class Unix:
    """An end of a pair of unix sockets, by the loop's own functions."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def send_all(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def receive(self) -> bytes:
        return await self._loop.sock_recv(self._sock, 65536)


async def vchans(buffer: int, size: int, count: int) -> tuple[float, float, float]:
    with Machine(page_limit=2048) as machine:
        async with Vchan(machine.domain(1), buffer=buffer) as server, Vchan(machine.domain(2)) as client:
            far: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def handler(stream: Any) -> None:
                far.set_result(stream)
                await asyncio.sleep(3600)

            await server.serve_streams(handler, 80)
            near = await client.connect_stream("1", 80)
            figures = await bulk(near, await far, size), await echo(near, await far, count)

            async def brief(stream: Any) -> None:
                await stream.send_all(await stream.receive())

            await server.serve_streams(brief, 81)
            began = time.perf_counter()
            for _ in range(count // 40):
                stream = await client.connect_stream("1", 81)
                await stream.send_all(b"x")
                await stream.receive()
                await stream.aclose()
            return *figures, (count // 40) / (time.perf_counter() - began)


async def unix(size: int, count: int) -> tuple[float, float]:
    ends = socket.socketpair()
    with ends[0], ends[1]:
        near, far = map(Unix, ends)
        return await bulk(near, far, size), await echo(near, far, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=512)
    parser.add_argument("--echoes", type=int, default=20_000)
    options = parser.parse_args()
    size = options.mb << 20
    print("                         bulk Gbit/s   echo us   connections/s")
    for _ in range(2):
        print("unix sockets            {:10.1f} {:10.1f}".format(*asyncio.run(unix(size, options.echoes))))
        for buffer in (4096, 16384, 65536, 1 << 20):
            figures = asyncio.run(vchans(buffer, size, options.echoes))
            print("vchan of {:7d} bytes  {:10.1f} {:10.1f} {:10.0f}".format(buffer, *figures))


if __name__ == "__main__":
    main()
