"""A router in a namespace, with servers on the loopback that its guests reach at the gateway's address."""

import asyncio
import sys

import netstack
from netstack.router.nat.config import NatConfig


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    writer.close()


class UdpEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]  # a datagram transport does


async def main() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 7000, backlog=512)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(UdpEcho, ("127.0.0.1", 7001))
    async with netstack.Router("tap:tap0", loopback=True, nat=NatConfig()) as router:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(len(router.flows()), {name: value for name, value in router.nat.counters().items() if value}, flush=True)
    transport.close()
    server.close()


netstack.run(main())
