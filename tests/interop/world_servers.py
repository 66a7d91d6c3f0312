"""Servers with bad manners and good ones, on the ports that world_failures.py and world_crowd.py know."""

import asyncio
import hashlib
import socket
import struct

SO_RCVBUFFORCE = 33
PAGES = [b"".join(hashlib.sha256(b"%d %d" % (n, i)).digest() for i in range(600)) for n in range(50)]


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def reset_after(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    reset(writer)


async def reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def answer_and_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"answer")
    await asyncio.sleep(0.5)
    reset(writer)


async def answer_and_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"bye")
    writer.close()


async def end_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One of them by number, and its digest behind it."""
    data = PAGES[int(await reader.readline()) % len(PAGES)]
    writer.write(data + hashlib.sha256(data).digest())
    writer.close()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]  # a datagram transport does


async def main() -> None:
    handlers = {
        8001: silent, 8003: reset_after, 8004: reset_at_once, 8005: answer_and_reset, 8006: answer_and_end, 8007: end_at_once,
        8020: page,
    }  # fmt: skip
    for port, handler in handlers.items():
        await asyncio.start_server(handler, "0.0.0.0", port, backlog=2000)
    full = socket.socket()
    full.bind(("0.0.0.0", 8010))
    full.listen(0)
    crowd = [socket.socket() for _ in range(3)]
    for each in crowd:
        each.setblocking(False)
        each.connect_ex(("127.0.0.1", 8010))
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    echo.bind(("0.0.0.0", 8002))
    await asyncio.get_running_loop().create_datagram_endpoint(Echo, sock=echo)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
