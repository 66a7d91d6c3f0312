"""`netstack smallservers`: echo (RFC 862), discard (RFC 863) and the character generator (RFC 864).

Small, old, and the best way to see what a stack does: echo moves every byte both ways, discard shows how fast it receives,
the character generator how fast it sends. Echo and discard answer on TCP and UDP. The character generator is TCP only: over
UDP it answers one small datagram with a larger one, and so multiplies a forged sender's traffic.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from ..stack import Stack
from .echoport import LAST_SMALL, EchoPort
from .options import add_net_options
from .service import run_service

if TYPE_CHECKING:
    from ..runtime.asyncio import Net
    from ..runtime.datagrams import UdpTransport
    from ..udp.core import UdpPort

ECHO, DISCARD, CHARGEN = 7, 9, 19

# connections of all three services together: a stranger who opens more is reset, or he would own the memory of the process
LIMIT = 1024
WRITE_AHEAD = 256 * 1024  # bytes queued for a reader: a few super-segments, so that the stack never waits for the generator


def pattern() -> bytes:
    """RFC 864's lines: 72 of the 95 printable characters, each line one further round the ring; ten rounds, 70,300 bytes."""
    ring = bytes(range(32, 127))
    return b"".join((ring + ring)[start : start + 72] + b"\r\n" for start in range(95)) * 10


def configure(parser: argparse.ArgumentParser) -> None:
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    return run_service(args, small_servers)


@asynccontextmanager
async def small_servers(net: "Net") -> AsyncIterator[str]:
    """Listens on all of them; gives the line that says so."""
    door = Door()
    servers = [
        await net.create_server(lambda: Echo(door), port=ECHO),
        await net.create_server(lambda: Discard(door), port=DISCARD),
        await net.create_server(lambda: Generator(door), port=CHARGEN),
    ]
    ports = await small_ports(net)
    try:
        yield f"echo on {ECHO} and discard on {DISCARD}, TCP and UDP; character generator on {CHARGEN}, TCP"
    finally:
        for port in ports:
            port.close()
        for server in servers:
            server.close()


async def small_ports(net: "Net") -> "Sequence[UdpPort | UdpTransport]":
    """Echo and discard on UDP: where the stack is ours without anything between it and them."""
    if isinstance(getattr(net, "stack", None), Stack):
        echo, discard = EchoPort(), EchoPort()
        ports = [net.stack.udp.bind(0, ECHO, echo), net.stack.udp.bind(0, DISCARD, discard)]
        echo.port = ports[0]  # the other one has none, and so keeps silent
        return ports
    pairs = [await net.create_datagram_endpoint(protocol, ("", port)) for protocol, port in ((Mirror, ECHO), (Well, DISCARD))]
    return [transport for transport, _ in pairs]


class Well(asyncio.DatagramProtocol):
    """Takes datagrams, and that is all."""


class Mirror(asyncio.DatagramProtocol):
    """Gives each datagram back, as `EchoPort` does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is none to isinstance() before Python 3.12

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr[1] > LAST_SMALL:
            self.transport.sendto(data, addr)


class Door:
    """Counts who is in."""

    __slots__ = ("inside",)

    def __init__(self) -> None:
        self.inside = 0

    def enter(self, transport: asyncio.Transport) -> None:
        self.inside += 1
        if self.inside > LIMIT:
            transport.abort()

    def leave(self) -> None:
        self.inside -= 1


class Echo(asyncio.Protocol):
    """Gives back what it gets, and reads no more while the peer does not read what it was given."""

    transport: asyncio.Transport

    def __init__(self, door: Door) -> None:
        self.door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.door.enter(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class Discard(asyncio.Protocol):
    """Reads, and that is all."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.door.enter(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave()


PATTERN = pattern()


class Generator(asyncio.Protocol):
    """Writes the pattern for as long as somebody reads it; each write hands over the same 70,300 bytes by reference."""

    transport: asyncio.Transport

    def __init__(self, door: Door) -> None:
        self.door = door
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_AHEAD)
        self.door.enter(transport)
        self.fill()

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self.fill()

    def fill(self) -> None:
        transport = self.transport
        while not self.full and not transport.is_closing():
            transport.write(PATTERN)
