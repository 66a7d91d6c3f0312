"""A router in a namespace, with servers on the loopback that its guests reach at the gateway's address."""

import asyncio
import socket
import struct
import sys

import netstack
from netstack.router.nat.config import NatConfig


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    writer.close()


def byte_of_syn(sock: socket.socket) -> int:
    """The TOS byte of the SYN (IP_PKTOPTIONS of an accepted connection)."""
    control = sock.getsockopt(socket.IPPROTO_IP, 9, 64)
    length, level, kind = struct.unpack_from("=qii", control)
    assert (length, level, kind) == (20, socket.IPPROTO_IP, socket.IP_TOS), control
    return control[16]


class UdpEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]  # a datagram transport does


async def main() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 7000, backlog=512)

    async def classes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """How the router has marked this connection: its SYN, and what it sends now."""
        syn = byte_of_syn(writer.get_extra_info("socket"))
        await reader.readexactly(1)
        (relay,) = (relay for relay in router.nat.tcp.relays if relay.flow.dst_port == 7002)
        sock = socket.socket(fileno=relay.fd)
        writer.write(bytes((syn, sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS))))
        sock.detach()
        writer.close()

    marks = socket.create_server(("127.0.0.1", 7002))
    marks.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
    marking = await asyncio.start_server(classes, sock=marks)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(UdpEcho, ("127.0.0.1", 7001))
    async with netstack.Router("tap:tap0", loopback=True, nat=NatConfig()) as router:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(len(router.flows()), {name: value for name, value in router.nat.counters().items() if value}, flush=True)
    transport.close()
    server.close()
    marking.close()


netstack.run(main())
