"""One program, three worlds: a page over HTTP and a name over DNS, on whatever network it is run.

    netstack run --net posix examples/appliance.py 8080 5353                       the kernel's sockets
    netstack run --net 'tap:tap0?host=10.79.0.1/24&address=10.79.0.2/24' examples/appliance.py
    netstack image examples/appliance.py --target qemu -o app.img --boot           a machine of its own

It is an asyncio program and nothing more: no line of it says on which network it runs, and the stack is not named.
"""

import asyncio
import struct
import sys
import time

NAME = b"\x09appliance\x04test\x00"
BEGAN = time.monotonic()


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A page to whoever asks, and good-bye."""
    try:
        async with asyncio.timeout(10):
            request = await reader.readuntil(b"\r\n\r\n")
        path = request.split(b" ", 2)[1].decode("latin-1")
        body = f"up for {time.monotonic() - BEGAN:.1f} s\n" if path == "/uptime" else "<h1>A machine of its own</h1>\n"
        status = "200 OK" if path in ("/", "/uptime") else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body.encode())
        await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError):
        pass  # theirs
    finally:
        writer.close()


class Names(asyncio.DatagramProtocol):
    """Says who `appliance.test` is: the address at which it was asked."""

    def __init__(self, address: str) -> None:
        self.answer = struct.pack("!HHHIH4B", 0xC00C, 1, 1, 60, 4, *map(int, address.split(".")))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        if len(data) < 17 or data[2] & 0x80 or data[4:6] != b"\0\1":
            return  # no question
        end = data.find(b"\0", 12) + 5
        known = data[12 : end - 4].lower() == NAME
        here = known and data[end - 4 : end] == b"\0\1\0\1"
        code = 0 if known else 3
        self.transport.sendto(  # type: ignore[attr-defined]  # a DatagramTransport
            data[:2] + struct.pack("!HHHHH", 0x8400 | code, 1, here, 0, 0) + data[12:end] + (self.answer if here else b""), peer
        )


async def main(http_port: int = 80, dns_port: int = 53) -> None:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(http, "0.0.0.0", http_port)
    net = getattr(loop, "net", None)  # how to be reached: only asked so that the name has an address
    address = net.addresses[0].partition("/")[0] if net is not None else "127.0.0.1"
    await loop.create_datagram_endpoint(lambda: Names(address), ("0.0.0.0", dns_port))
    print(f"appliance: http port {http_port}, dns port {dns_port}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
