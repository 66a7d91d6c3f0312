"""Two guests on one router. One of them works: a transfer that never ends, and somebody who answers each of its words. The other
does what it likes: a stack that is as honest as it wants, and a socket for any frames on the same wire.

The world is the host's loopback: whatever address a guest asks for that is simply somewhere in the world leads there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import attrs

import netstack
from netstack.router.flow import Flow
from netstack.router.policy.config import PolicyConfig
from netstack.router.policy.policy import Policy
from netstack.testing.netifs import Probe
from netstack.testing.wire import Wire
from tests.net.attacker import arp, eth

ROUTER_MAC, GOOD_MAC, EVIL_MAC = 0x52550A000202, 0x020000000A01, 0x020000000B01
EVERYBODY = 0xFFFFFFFFFFFF
LOCALHOST = "127.0.0.1"
FAR = "198.51.100.7"  # somewhere in the world
PERIOD = bytes(range(251)) * 64  # of the transfer: a prime, so that no power of two hides what is missing
CHUNK = len(PERIOD)


def can_ping() -> bool:
    """Does this host allow ping sockets?"""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


PINGS = can_ping()


def ip(text: str) -> int:
    return int(netstack.Ip4.parse(text))


GATEWAY, DNS, FAR_IP = ip("10.0.2.2"), ip("10.0.2.3"), ip(FAR)


class Bystander:
    """The guest that works."""

    def __init__(self, net: netstack.Net, wire: Wire) -> None:
        self.net = net
        self.overheard = Probe(wire.port("overheard", promiscuous=True))
        self.received = 0
        self.wrong: object = None
        self.slowest = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._reader: Any = None
        self._writer: Any = None

    async def start(self, flow: int, echo: int) -> None:
        stream = await self.net.connect_stream(FAR, flow)
        self._tasks.append(asyncio.create_task(self._transfer(stream)))
        self._reader, self._writer = await self.net.open_connection(FAR, echo)

    async def _transfer(self, stream: Any) -> None:
        try:
            while True:
                piece = await stream.receive()
                at = self.received % 251
                if not piece or (piece != PERIOD[at : at + len(piece)] and piece != (PERIOD * 9)[at : at + len(piece)]):
                    self.wrong = f"{len(piece)} bytes at {self.received}"
                    return
                self.received += len(piece)
        except Exception as error:
            self.wrong = error

    async def word(self) -> None:
        """One there and back."""
        began = time.perf_counter()
        async with asyncio.timeout(5):
            self._writer.write(b"are you there?")
            assert await self._reader.readexactly(14) == b"are you there?"
        self.slowest = max(self.slowest, time.perf_counter() - began)

    async def goes_on(self) -> None:
        """Its transfer moves, what it sends is answered, and nobody has put anything into it."""
        before = self.received
        await self.word()
        async with asyncio.timeout(5):
            while self.received == before and self.wrong is None:
                await asyncio.sleep(0.001)
        assert self.wrong is None, self.wrong

    def heard(self) -> list[bytes]:
        """Frames on its wire since the last call, its own too."""
        while self.overheard.netif.poll(self.net.now()):
            pass
        return self.overheard.take()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()


class Arena:
    """All of them, while the test runs."""

    def __init__(self, router: netstack.Router, good: Bystander, evil: netstack.Net, wire: Wire, device: Any) -> None:
        self.router = router
        self.device = device  # the router's end of the hostile guest's wire
        self.good = good
        self.evil = evil
        self.raw = Probe(wire.port("raw", promiscuous=True))
        self.good_ip = ip(good.net.addresses[0].partition("/")[0])
        self.evil_ip = ip(evil.addresses[0].partition("/")[0])
        self.world = 0  # the port at which somebody answers
        self.closers: list[Callable[[], object]] = []

    @property
    def now(self) -> int:
        return self.router.net.now()

    def counters(self) -> dict[str, int]:
        return {f"{group}.{name}": n for group, names in self.router.counters().items() for name, n in names.items()}

    def neighbours(self) -> dict[int, int]:
        """What the router knows of who has which link address."""
        return {int(each.ip): int(each.mac or 0) for each in self.router.net.stack.arp.table()}

    def send(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            if len(frame) > 1514:  # which the wire would not carry: a socket of an emulator's does
                self.device.enqueue(self.now, frame)
            else:
                self.raw.send(frame, self.now)

    def packet(self, data: bytes, dst: int = ROUTER_MAC, src: int = EVIL_MAC) -> bytes:
        return eth(dst, src, 0x0800, data)

    def arp(self, op: int, sha: int, spa: int, tha: int, tpa: int, dst: int = EVERYBODY, src: int = EVIL_MAC) -> bytes:
        return eth(dst, src, 0x0806, arp(op, sha, spa, tha, tpa))

    def answers(self) -> list[bytes]:
        """Frames from the router to the hostile guest since the last call."""
        while self.raw.netif.poll(self.now):
            pass
        return [frame for frame in self.raw.take() if frame[6:12] == ROUTER_MAC.to_bytes(6, "big")]

    async def settled(self) -> None:
        """What was sent has been taken, and answered."""
        while self.device.next_deadline() is not None:
            await asyncio.sleep(0.001)
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    async def attack(self, frames: Iterable[bytes], counter: str, times: int | None = None, *, heard: int = 0) -> dict[str, int]:
        """Send them; `counter` has counted `times` of it, each of them if it isn't said, and the other guest hasn't noticed but for
        `heard` of them. All counters that moved."""
        frames = list(frames)
        self.good.heard()
        before = self.counters()
        self.send(frames)
        await self.settled()
        after = self.counters()
        moved = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
        assert moved.get(counter, 0) == (len(frames) if times is None else times), (counter, moved)
        told = [frame for frame in self.good.heard() if frame in frames]
        assert len(told) <= heard, told
        await self.good.goes_on()
        return moved


class Homeward(Policy):
    """A policy as any. What it lets pass goes to the host's loopback instead of the world; `ports` say where others are there."""

    ports: dict[int, int] = {}

    def decide(self, flow: Flow) -> Any:
        said = super().decide(flow)
        if said.action == "connect" and said.to is None and not flow.inbound:
            return attrs.evolve(said, to=(LOCALHOST, self.ports.get(flow.dst_port, flow.dst_port)))
        return said


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A transfer without an end, not faster than somebody else can work beside it."""
    with contextlib.suppress(OSError):
        while True:
            writer.write(PERIOD)
            await writer.drain()
            await asyncio.sleep(0.002)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def arena(default: str = "allow", config: PolicyConfig | None = None, **options: Any) -> AsyncIterator[Arena]:
    wires = {name: Wire() for name in ("good", "evil")}
    devices = {name: wire.port("router", promiscuous=True) for name, wire in wires.items()}
    options.setdefault("dns", ["127.0.0.1:9"])  # where nobody is
    policy = Homeward(default, network="10.0.2.0/24", gateway="10.0.2.2", config=config or PolicyConfig())
    policy.allow(f"{FAR}@good", first=True)
    router = netstack.Router(devices, seed=1, policy=policy, **options)
    macs = {"good": netstack.Mac(GOOD_MAC), "evil": netstack.Mac(EVIL_MAC)}
    ports = {name: wire.port("guest", macs[name]) for name, wire in wires.items()}
    at_work: set[Any] = set()

    def server(serve: Any) -> Any:
        async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            at_work.add(task := asyncio.current_task())
            await serve(reader, writer)
            writer.close()
            at_work.discard(task)

        return asyncio.start_server(work, LOCALHOST, 0)

    servers = [await server(serve) for serve in (pour, echo)]
    flow, answers = (each.sockets[0].getsockname()[1] for each in servers)
    try:
        async with (
            router,
            netstack.open(ports["good"], ip="dhcp", seed=2) as net,
            netstack.open(ports["evil"], ip="dhcp", seed=3) as evil,
        ):
            good = Bystander(net, wires["good"])
            await good.start(flow, answers)
            there = Arena(router, good, evil, wires["evil"], devices["evil"])
            there.world = answers
            try:
                yield there
                await good.goes_on()
            finally:
                await good.stop()
                for close in there.closers:
                    close()
    finally:
        for each in servers:
            each.close()
        if at_work:
            await asyncio.wait(at_work, timeout=2)


class Site:
    """A server of the world that says "ok" to whatever comes first, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def start(self, there: Arena, *ports: int) -> Site:
        server = await asyncio.start_server(self._serve, LOCALHOST, 0)
        there.closers.append(server.close)
        there.router.policy.ports = {port: server.sockets[0].getsockname()[1] for port in ports}  # type: ignore[attr-defined]  # Homeward's
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.heard.append(data)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
        writer.close()


class NameServer(asyncio.DatagramProtocol):
    """The world's, in which an owner of a name says what he likes. `zone`: name -> (addresses, TTL), and for some a function."""

    def __init__(self) -> None:
        self.zone: dict[str, tuple[list[str], int]] = {}
        self.extra = b""  # records behind the answer, and how many
        self.extras = 0
        self.lies: list[bytes] = []  # sent before the answer: in place of the identifier
        self.asked: list[str] = []

    async def start(self) -> int:
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, (LOCALHOST, 0))
        return int(self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: Any) -> None:
        at, labels = 12, []
        while n := data[at]:
            labels.append(data[at + 1 : at + 1 + n].decode())
            at += 1 + n
        name = ".".join(labels).lower()
        self.asked.append(name)
        if name not in self.zone:
            return  # silence
        question = data[12 : at + 5]
        addresses, ttl = self.zone[name]
        kind = int.from_bytes(data[at + 1 : at + 3], "big")
        for ident in (*self.lies, data[:2]):
            said = ["203.0.113.99"] if ident != data[:2] else addresses if kind == 1 else []
            records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, ttl, 4) + ip(each).to_bytes(4, "big") for each in said)
            head = ident + b"\x81\x80\0\x01" + struct.pack("!HHH", len(said), 0, self.extras)
            self.transport.sendto(head + question + records + self.extra, address)


def in_arena(**options: Any) -> Callable[[Callable[[Arena], Awaitable[None]]], Callable[[], None]]:
    def wrap(test: Callable[[Arena], Awaitable[None]]) -> Callable[[], None]:
        @functools.wraps(test)
        def run() -> None:
            async def main() -> None:
                async with asyncio.timeout(30), arena(**options) as there:
                    await test(there)

            asyncio.run(main())

        del run.__wrapped__  # type: ignore[attr-defined]  # pytest would look for fixtures there
        return run

    return wrap
