"""What an idle connection costs: memory for each of 100,000, and the processor time that all of them take.

A crowd without memory of its own opens them: it is a device, sends SYNs from many addresses, and answers each segment by what
stands in it, so that all growth is the server's. The server is `netstack.open` on that device, under the real event loop.

    stack      accepted by one shared user: what the stack keeps (the connection, its round-trip times and congestion control,
               its place in the tables)
    asyncio    accepted by `net.create_server`: the same, with a transport and a protocol of its own for each
    opened     as they are after the handshake         talked    after 100 bytes there and 100 bytes back, both acknowledged

Bytes are the growth of the process's resident memory from a warm server with 1,000 connections on, after a garbage collection
and malloc_trim, for each connection. Processor time is the process's own, while it waits in the loop: `idle` without
keep-alive, then with a probe for each connection every --keepalive seconds, answered by the crowd in the same process.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import struct
import subprocess
import sys
import time
from collections import deque

import netstack
from netstack import const
from netstack.adapters import PyStreamUser
from netstack.address import Cidr
from netstack.checksum import checksum, pseudo_ip4
from netstack.instant import SECOND, Instant
from netstack.netif import FrameNetif
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig

SERVER = Cidr.parse("10.0.0.1/8")
PORT = 80
FIRST, PORTS = 0x0A010000, 1000  # the crowd's first address; ports of each
WARM = 1000
WAVE = 500  # handshakes at once: below the limit of half-open connections
TALK = bytes(100)

IP = struct.Struct("!BBHHHBBHII")
TCP = struct.Struct("!HHIIHHHH")
SYN_OPTIONS = bytes.fromhex("020405b4 0402 080a 000003e8 00000000 01 030307")  # as Linux: MSS, SACK, timestamps, window scale


class Crowd(FrameNetif):
    """Any number of peers that remember nothing."""

    def __init__(self) -> None:
        super().__init__("crowd", None, 1500)
        self.waiting: deque[bytes] = deque()
        self.opened = 0
        self.answered = 0
        self.talk = False
        self.probes = False

    def segment(self, me: int, port: int, seq: int, ack: int, flags: int, options: bytes, payload: bytes = b"") -> None:
        size = 20 + len(options) + len(payload)
        offset = (20 + len(options)) << 10 | flags
        body = TCP.pack(port, PORT, seq, ack, offset, 64000, 0, 0) + options + payload
        check = checksum(body, pseudo_ip4(me, int(SERVER.address), const.PROTO_TCP, size))
        head = IP.pack(0x45, 0, 20 + size, 0, 0x4000, 64, const.PROTO_TCP, 0, me, int(SERVER.address))
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
        self.waiting.append(head + body[:16] + check.to_bytes(2, "big") + body[18:])

    def open(self, i: int) -> None:
        self.segment(FIRST + i // PORTS, 10000 + i % PORTS, i, 0, const.SYN, SYN_OPTIONS)

    def transmit(self, frame: bytes, now: int) -> None:
        """Answer by what stands in the segment: it has our acknowledgement number for our sequence number, and so on."""
        me = int.from_bytes(frame[16:20], "big")
        _, port, seq, ack, offset, _, _, _ = TCP.unpack_from(frame, 20)
        header = offset >> 12 << 2
        n = len(frame) - 20 - header
        at = frame.find(b"\x08\x0a", 40, 20 + header)
        tsval = frame[at + 2 : at + 6] if at > 0 else bytes(4)
        options = b"\x01\x01\x08\x0a\0\0\x03\xe8" + tsval
        if offset & const.SYN:
            self.opened += 1
            self.segment(me, port, ack, seq + 1, const.ACK, options)
            if self.talk:
                self.segment(me, port, ack, seq + 1, const.ACK | const.PSH, options, TALK)
        elif n:
            self.answered += 1
            self.segment(me, port, ack, seq + n, const.ACK, options)
        elif self.probes:
            self.answered += 1
            self.segment(me, port, ack, seq + 1, const.ACK, options)
        else:
            return
        self.wake()

    def poll(self, now: Instant) -> bool:
        for _ in range(min(len(self.waiting), const.BATCH)):
            self.receive(self.waiting.popleft(), now)
        self.flush(now)
        return bool(self.waiting)


class Shared:
    """The user of all connections."""

    def on_connected(self, now: int) -> None: ...
    def on_data(self, data: bytes, now: int) -> None: ...
    def on_eof(self, now: int) -> None: ...
    def on_writable(self, now: int) -> None: ...
    def on_closed(self, error: Exception | None, now: int) -> None: ...


class Answer(asyncio.Protocol):
    """A server's protocol: keeps its transport, answers what comes."""

    __slots__ = ("transport",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(TALK)


def resident() -> int:
    """Bytes, without what a collection or the allocator could give back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/smaps_rollup") as maps:
        return next(int(line.split()[1]) * 1024 for line in maps if line.startswith("Rss:"))


async def processor(seconds: float) -> float:
    """Milliseconds of processor time while nothing but the loop runs."""
    gc.collect()
    before = time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - before) * 1000


async def measure(face: str, options: argparse.Namespace) -> None:
    crowd = Crowd()
    crowd.talk = options.talk
    keep = int(options.keepalive * SECOND) if options.probe else 0
    config = StackConfig(tcp=TcpConfig(max_connections=options.count + WARM, keepalive=keep))
    async with netstack.open(crowd, addresses=[SERVER], config=config) as net:
        tcp = net.stack.tcp
        new = []
        if face == "asyncio":
            await net.create_server(Answer, port=PORT)
        else:
            shared = PyStreamUser(Shared())

            def accept(conn: object) -> PyStreamUser:
                if options.talk:
                    new.append(conn)
                return shared

            tcp.listen(0, PORT, accept)

        async def reach(count: int) -> None:
            while crowd.opened < count:
                for i in range(crowd.opened, min(count, crowd.opened + WAVE)):
                    crowd.open(i)
                aim = min(count, crowd.opened + WAVE)
                crowd.wake()
                while tcp.mib.CurrEstab < aim or crowd.waiting:
                    await asyncio.sleep(0)
                while new:
                    new.pop().write(TALK, net.now())
            while (options.talk and crowd.answered < count) or crowd.waiting:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)  # the last delayed ACKs

        await reach(WARM)
        before = resident()
        await reach(WARM + options.count)
        each = (resident() - before) / options.count
        assert tcp.mib.CurrEstab == WARM + options.count
        crowd.probes = True
        crowd.answered = 0
        # a whole cycle of probes, at the rhythm in which the connections were opened
        spent = await processor(options.keepalive if options.probe else options.seconds)
        kind = "talked" if options.talk else "opened"
        if options.probe:
            per = spent * 1000 / max(1, crowd.answered)
            share = per * options.count / 75 / 1e4
            print(
                f"{face:8} keep-alive {options.keepalive:g} s: {crowd.answered:,} probes, {per:.1f} us"
                f" for each with the crowd's answer; one every 75 s takes {share:.1f} % of a core"
            )
        else:
            print(f"{face:8} {kind}   {each:7,.0f} bytes    idle: {spent:.1f} ms of processor time in {options.seconds:g} s")
        if options.sizes:
            sizes(next(iter(tcp.connections())))
        sys.stdout.flush()
        os._exit(0)  # to reset them all is not what is measured


def sizes(conn: object) -> None:
    """The objects of one connection, with the header that the collector adds."""
    import sys

    total = 0
    parts = {"connection": conn}
    parts |= {name: getattr(conn, name) for name in ("rtt", "cc", "sendq", "sacks", "ooo", "rx", "recovery") if hasattr(conn, name)}
    for name, part in parts.items():
        if part is not None:
            size = sys.getsizeof(part)
            total += size
            print(f"    {name:12} {type(part).__name__:14} {size:5}")
    print(f"    {'':27} {total:5}  and the table: 24 for an entry, 1.3 of them on average, 4 to 8 for its index, 36 for the key")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--keepalive", type=float, default=10)
    parser.add_argument("--sizes", action="store_true", help="the objects of one connection as well")
    parser.add_argument("--face", choices=("stack", "asyncio"), help=argparse.SUPPRESS)
    parser.add_argument("--talk", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.face:
        asyncio.run(measure(options.face, options))
    print(f"{netstack.build_info().build} build, {options.count:,} connections\n", flush=True)
    for words in (
        ["--face", "stack"],
        ["--face", "stack", "--talk"],
        ["--face", "asyncio"],
        ["--face", "asyncio", "--talk"],
        ["--face", "stack", "--probe"],
    ):
        if subprocess.run([sys.executable, __file__, *sys.argv[1:], *words]).returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
