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


def classes() -> None:
    """DSCP goes on, as it is at the beginning and as it becomes."""
    with socket.socket() as sock:
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        sock.connect((GATEWAY, 7002))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x20)
        sock.send(b"?")
        assert (said := sock.recv(2)) == b"\xb8\x20", said


def path_mtu() -> None:
    """A datagram that may not be cut is too long for the host's loopback (1280): the guest hears by how much."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        sock.connect((GATEWAY, 7001))
        sock.send(BIG[:1400])
        try:
            sock.recv(1)
        except OSError as error:
            assert error.errno == 90, error
        else:
            raise AssertionError("a datagram that was too long has passed")
        assert sock.getsockopt(socket.IPPROTO_IP, 14) == 1280  # IP_MTU
        sock.send(BIG[:1252])
        assert sock.recv(65536) == BIG[:1252]


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
classes()
path_mtu()
datagrams()
forbidden("169.254.169.254")
print("well")
