"""Requests by hand, a segment at a time, as those send them who want to be misread by whoever looks on.

Some of what is sent counts for nothing by the rules of TCP: a wrong checksum, what was acknowledged already, what lies outside of
the window, a wrong acknowledgement. Whoever looks at the wire may believe it; what reaches the parser of HTTP is what TCP says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import netstack
from netstack import const, run_virtual
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND
from netstack.testing.net import World
from tests.net.attacker import MF, Attacker, ip4, tcp

HERE, THERE, PORT = 0x0A000063, 0x0A000001, 40000
ISS = 2**32 - 60  # so that the numbers wrap within the request
BODY = bytes(range(256))
REQUEST = b"POST /good?q=1 HTTP/1.1\r\nHost: a\r\nX-Number: 7\r\nContent-Length: 256\r\n\r\n" + BODY
EVIL = b"GET /evil HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
EVIL += b"GET /worse HTTP/1.1\r\nHost: c\r\n\r\n" * 10


async def tell(request: Request) -> Response:
    """What the application sees of a request."""
    body = await request.body.read()
    return Response.text(f"{request.method} {request.target} {request.headers['x-number']} {len(body)} {body == BODY}")


class Sender:
    """One end of a connection, made of segments."""

    def __init__(self, net: Any, attacker: Attacker) -> None:
        self.net = net
        self.attacker = attacker
        attacker.answers = {HERE}
        self.ack = 0  # what of theirs we say that we have
        self.heard: dict[int, bytes] = {}  # by its sequence number: we acknowledge nothing of it

    def segment(self, at: int, data: bytes, flags: str = "A", ack: int = 0, **more: Any) -> bytes:
        return tcp(HERE, THERE, PORT, 80, flags, seq=ISS + 1 + at, ack=self.ack + ack, data=data, **more)

    def send(self, at: int, data: bytes, flags: str = "A", **more: Any) -> None:
        """`data` as the part of the stream that begins `at`."""
        self.packet(self.segment(at, data, flags, **more))

    def packet(self, packet: bytes) -> None:
        self.attacker.send(packet)
        self.net.now()  # whoever asks for the time does something: the world is turned

    def listen(self) -> int:
        """How much of the stream the server has acknowledged."""
        acked = 0
        for _, segment in self.attacker.segments():
            if segment.dport == PORT:
                acked = (segment.ack - ISS - 1) & const.M32
                self.heard[segment.seq] = segment.payload
        return acked


def broken(packet: bytes) -> bytes:
    """With a checksum of TCP that is wrong."""
    return packet[:36] + bytes((packet[36] ^ 1,)) + packet[37:]


def tricks(sender: Sender, begun: int) -> Iterator[Callable[[], None]]:
    """What counts for nothing though it looks like a request, while `begun` bytes of the stream are acknowledged."""
    evil = EVIL[: len(REQUEST)]
    send = sender.packet
    yield lambda: send(broken(sender.segment(begun, evil)))
    yield lambda: sender.send(begun, evil, flags="")  # RFC 9293 3.10.7.4, fifth step: no ACK bit
    yield lambda: sender.send(begun, evil, ack=100_000)  # it acknowledges what was never sent
    yield lambda: sender.send(begun, evil, ack=-(1 << 30))  # it acknowledges what lies before any window: RFC 5961 5
    yield lambda: sender.send(begun + (1 << 24), evil)  # beyond the window
    yield lambda: sender.send(begun - (1 << 24), evil)  # long before it
    yield lambda: sender.send(0, evil[:begun])  # other bytes for what was acknowledged
    yield lambda: sender.send(begun + 1, evil, flags="R")  # RFC 5961 3: a reset that is not exact
    yield lambda: sender.send(begun, evil, flags="SA")  # RFC 5961 4
    yield lambda: send(ip4(HERE, THERE, const.PROTO_TCP, sender.segment(begun, evil)[20:], ident=7, frag=MF))  # half of a datagram
    yield lambda: send(ip4(HERE, 0x0A000002, const.PROTO_TCP, sender.segment(begun, evil)[20:]))  # another's address


def visit(act: Callable[[Sender], Any]) -> tuple[bytes, Any]:
    """A server, a handshake by hand, and `act`. What came back, and the server's counters."""

    async def main() -> tuple[bytes, Any]:
        world = World(delay=MILLISECOND)
        host = world.host("a", "10.0.0.1/16")
        async with netstack.open_world(world):
            server = HttpServer(host.net, tell)
            await server.listen(80)
            attacker = Attacker(world.wire, world.clock, int(host.stack.netif.mac or 0))
            sender = Sender(host.net, attacker)
            sender.packet(tcp(HERE, THERE, PORT, 80, "S", seq=ISS))
            await rest()
            ((_, answer),) = [heard for heard in attacker.segments() if heard[1].dport == PORT]
            sender.ack = answer.seq + 1
            sender.send(0, b"")
            await rest()
            await act(sender)
            await rest(500)
            sender.listen()
            await server.aclose(0 * MILLISECOND)
            return b"".join(sender.heard.values()), server.mib

    return run_virtual(main())


async def rest(milliseconds: int = 5) -> None:
    await asyncio.sleep(milliseconds / 1000)


def check(heard: bytes, mib: Any) -> None:
    assert heard.count(b"HTTP/1.1") == 1, heard
    assert heard.endswith(b"POST /good?q=1 7 256 True"), heard
    assert (mib.Requests, mib.Refused) == (1, 0)


def test_segments_in_any_order_and_twice_are_one_request(seed: int) -> None:
    rng = random.Random(seed)

    async def act(sender: Sender) -> None:
        edges = sorted({0, len(REQUEST), *(rng.randrange(len(REQUEST)) for _ in range(rng.randrange(30)))})
        pieces = list(pairwise(edges))
        pieces += [(at, min(at + rng.randrange(1, 80), len(REQUEST))) for at in rng.sample(range(len(REQUEST)), 20)]
        rng.shuffle(pieces)
        for at, to in pieces:
            sender.send(at, REQUEST[at:to])
            if not rng.randrange(4):
                await rest(rng.randrange(1, 30))

    for _ in range(5):
        check(*visit(act))


def test_what_counts_for_nothing_in_tcp_is_not_heard_in_http() -> None:
    """Each trick before the first byte, in the request line, in the fields, before the body and in it."""

    for begun in (0, 3, 20, len(REQUEST) - 256, len(REQUEST) - 100):

        async def act(sender: Sender, begun: int = begun) -> None:
            sender.send(0, REQUEST[:begun])
            await rest(60)
            assert sender.listen() == begun
            for trick in tricks(sender, begun):
                trick()
                await rest()
            sender.send(begun, REQUEST[begun:])

        heard, mib = visit(act)
        check(heard, mib)
