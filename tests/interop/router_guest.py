"""What a guest does through a router: `router_guest.py GATEWAY`. Ends with an error when something is not as it should be."""

import asyncio
import hashlib
import socket
import sys

GATEWAY = sys.argv[1]
BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(1 << 16))  # 2 MiB


async def talk(data: bytes) -> None:
    reader, writer = await asyncio.open_connection(GATEWAY, 7000)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.ensure_future(send())
    assert await reader.read() == data
    await sending
    writer.close()
    await writer.wait_closed()


def refused(port: int) -> None:
    with socket.socket() as sock:
        sock.settimeout(5)
        error = sock.connect_ex((GATEWAY, port))
        assert error == 111, f"a closed port answers with errno {error}"


def datagrams() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        for size in (1, 1472, 1473, 9000, 60000):
            sock.sendto(BIG[:size], (GATEWAY, 7001))
            assert sock.recv(65536) == BIG[:size], size
        sock.connect((GATEWAY, 7009))
        sock.send(b"anybody?")
        try:
            sock.recv(1)
        except ConnectionRefusedError:
            return
        raise AssertionError("a closed port said nothing")


def forbidden(host: str) -> None:
    with socket.socket() as sock:
        sock.settimeout(5)
        error = sock.connect_ex((host, 80))
        assert error in (111, 113), f"{host} answers with errno {error}"


async def main() -> None:
    await talk(BIG)
    await asyncio.gather(*(talk(BIG[i : i + 30000]) for i in range(100)))


asyncio.run(main())
refused(7009)
datagrams()
forbidden("169.254.169.254")
print("well")
