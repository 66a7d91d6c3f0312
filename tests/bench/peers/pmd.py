"""Sink and source on pmd-pytcp, over a tap of 1500 bytes: `pmd.py TAP ADDRESS/LENGTH`. Runs where pmd-pytcp is installed."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from pmd_net_addr import Ip4IfAddr, MacAddress
from pmd_pytcp import socket, stack

Handler = Callable[[Any], Awaitable[None]]

SINK, SOURCE = 9, 19
QUEUED = 1 << 18  # what a sender may have waiting. Its `send` takes everything, and has no bound: it has to be looked up


async def sink(conn: Any) -> None:
    while await conn.recv(1 << 18):
        pass


async def source(conn: Any) -> None:
    while True:
        await conn.send(bytes(1 << 16))
        while len(conn._tcp_session._tx.buffer) > QUEUED:
            await asyncio.sleep(0)


async def attend(handler: Handler, conn: Any) -> None:
    with suppress(OSError):
        await handler(conn)
    conn.close()


async def listen(address: str, port: int, handler: Handler) -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((address, port))
    listener.listen(backlog=16)
    tasks = set()
    while True:
        conn, _ = await listener.accept()
        task = asyncio.create_task(attend(handler, conn))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def main(tap: str, interface: str) -> None:
    address = interface.partition("/")[0]
    device = stack.initialize_interface__tap(tap, mac_address=MacAddress("02:00:00:00:00:02"))
    stack.init()
    stack.add_interface(**device, ip4_support=True, ip4_host=Ip4IfAddr(interface), ip4_dhcp=False, ip6_support=False)
    await stack.start()
    while not any(str(own) == address for own in stack.local_ip4_unicast()):  # it probes for its address first
        await asyncio.sleep(0.1)
    async with asyncio.TaskGroup() as group:
        group.create_task(listen(address, SINK, sink))
        group.create_task(listen(address, SOURCE, source))
        print("ready", flush=True)


asyncio.run(main(*sys.argv[1:]))
