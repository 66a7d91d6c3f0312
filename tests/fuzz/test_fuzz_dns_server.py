"""Mutated messages to a running server: nothing comes back but answers, and the server neither fails nor grows.

`python -m tests.fuzz.test_fuzz_dns_server 1000000` sends as many, and says what came of it.
"""

from __future__ import annotations

import collections
import contextlib
import random
import struct
import sys
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import netstack
from netstack.dns import name
from netstack.dns.authority.access import Access
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Opcode, Type
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.server import DnsServer
from netstack.dns.stream import Deframer, frame
from netstack.dns.tsig import Key, Keys, sign
from netstack.errors import ClosedError, TimedOut, WireError
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.testing.net import World

N = name.parse
NOW = 1_700_000_000
KEY = Key("key.", b"0123456789abcdef")
BATCH = 50


def zone() -> Zone:
    made = Zone(N("example."))
    made.add("@", "SOA", 3600, "ns.example. hostmaster.example. 7 7200 900 1209600 300")
    made.add("@", "NS", 3600, "ns")
    made.add("ns", "A", 3600, "192.0.2.53")
    made.add("*.wild", "TXT", 60, '"anything"')
    made.add("alias", "CNAME", 60, "www")
    made.add("below", "DNAME", 60, "wild")
    made.add("cut", "NS", 60, "ns.cut")
    made.add("ns.cut", "A", 60, "192.0.2.54")
    for i in range(60):
        made.add("www", "AAAA", 60, f"2001:db8::{i:x}")
    return made


def seeds() -> list[bytes]:
    """Lawful messages of every kind, to begin with."""
    found = []

    def query(text: str, type: int, opt: bytes = b"", rclass: int = 1) -> bytes:
        head = struct.pack(">HHHHHH", 0xBEEF, 0x0100, 1, 0, 0, 1 if opt else 0)
        return head + N(text) + struct.pack(">HH", type, rclass) + opt

    def opt(options: bytes = b"", version: int = 0, flags: int = 0x8000) -> bytes:
        return struct.pack(">BHHBBHH", 0, 41, 4096, 0, version, flags, len(options)) + options

    options = b"".join(
        struct.pack(">HH", code, len(data)) + data
        for code, data in ((3, b""), (10, b"CLIENTCK"), (11, b""), (12, bytes(9)), (8, b"\0\1\x18\0\x0a\0\0"))
    )
    for text in ("www.example.", "nobody.example.", "x.wild.example.", "alias.example.", "a.below.example.", "a.cut.example.", "."):
        for type in (Type.A, Type.AAAA, Type.TXT, Type.ANY, Type.DS, Type.RRSIG):
            found += [query(text, type), query(text, type, opt()), query(text, type, opt(options))]
    found += [query("example.", Type.AXFR), query("version.bind.", Type.TXT, rclass=3), query("www.example.", 1, opt(version=1))]
    m = Message(1, 0)
    m.question = [Question(N("example."), Type.IXFR)]
    m.authority = [Record(N("example."), Type.SOA, 1, 0, N("a.") + N("b.") + bytes(20))]
    found.append(m.encode())
    m = Message(2, int(Opcode.UPDATE) << 11)
    m.question = [Question(N("example."), Type.SOA)]
    m.answer = [Record(N("www.example."), Type.AAAA, 255, 0, b"")]
    m.authority = [Record(N("new.example."), Type.TXT, 1, 60, b"\3new"), Record(N("new.example."), Type.ANY, 255, 0, b"")]
    found += [m.encode(), sign(m.encode(), KEY, NOW), sign(query("www.example.", 1, opt()), KEY, NOW)]
    m = Message(3, int(Opcode.NOTIFY) << 11)
    m.question = [Question(N("example."), Type.SOA)]
    return [*found, m.encode()]


def mutated(rng: random.Random, pool: list[bytes]) -> bytes:
    wire = bytearray(rng.choice(pool))
    for _ in range(rng.choice((0, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(wire)) if wire else 0
        what = rng.randrange(7)
        if what == 0 and wire:
            wire[at] = rng.choice((0, 1, 63, 64, 0xC0, 0xFF, rng.randrange(256)))
        elif what == 1 and wire:
            wire[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            del wire[at : at + rng.randrange(1, 20)]
        elif what == 3:
            wire[at:at] = rng.randbytes(rng.randrange(1, 20))
        elif what == 4:
            wire = wire[:at] + rng.choice(pool)[at:]
        elif what == 5 and len(wire) >= 12:
            wire[rng.randrange(4, 12)] = rng.choice((0, 1, 2, 255))
        elif len(wire) > 14:
            struct.pack_into(">H", wire, rng.randrange(12, len(wire) - 1), 0xC000 | rng.randrange(len(wire)))
    return bytes(wire)


def checked(answers: list[bytes], asked: list[bytes], longest: int) -> Iterator[Message]:
    ids = collections.Counter(wire[:2] for wire in asked)
    for answer in answers:
        assert len(answer) <= longest
        assert ids[answer[:2]]
        m = decode(answer)  # whatever it says, it is lawful
        assert m.qr
        yield m


async def campaign(n: int, seed: int, watch: Any = None) -> collections.Counter[str]:
    """`n` messages, of which every fourth batch goes over TCP. What came back, by rcode."""
    rng, pool, said = random.Random(seed), seeds(), collections.Counter[str]()
    world = World(seed=seed)
    client, host = world.host("client"), world.host("server")
    async with netstack.open_world(world):
        server = DnsServer(
            host.net, host.net, [zone()], keys=Keys([KEY]), access=Access(update="any", transfer="any"), wall=lambda: NOW,
            config=DnsConfig(nsid=b"ns1", any_over_streams=True, ready=65536), rng=random.Random(seed),
        )  # fmt: skip

        @server.answer("*.wild.example.")
        async def passes(question: Question, asker: object) -> None:
            return None

        async with server:
            await server.listen(53)
            port = await client.net.bind_datagrams(remote=("10.0.0.2", 53))
            for batch in range(max(n // BATCH, 1)):
                asked = [mutated(rng, pool) for _ in range(BATCH)]
                if batch % 4:
                    answers = await over_udp(port, asked)
                    assert len(answers) <= len(asked)
                    longest = 1232
                else:
                    answers = await over_tcp(client.net, asked)
                    longest = 65535
                for m in checked(answers, asked, longest):
                    said[f"{'tcp' if longest > 1232 else 'udp'} {m.rcode}"] += 1
                if watch is not None:
                    watch(batch, server)
            assert server.mib.Faults == 0
            assert server.desk.pending == 0
            # and it still serves
            (answer,) = await over_udp(port, [pool[0]])
            assert decode(answer).id == 0xBEEF
            await port.aclose()
    return said


async def over_udp(port: Any, asked: list[bytes]) -> list[bytes]:
    for wire in asked:
        await port.send(wire)
    answers = []
    with contextlib.suppress(TimedOut):
        while True:
            answers.append((await port.receive(Duration(20 * MILLISECOND)))[0])
    return answers


async def over_tcp(net: Any, asked: list[bytes]) -> list[bytes]:
    stream = await net.connect_stream("10.0.0.2", 53)
    deframer, answers = Deframer(), []
    with contextlib.suppress(OSError, ClosedError, WireError):
        await stream.send_all(b"".join(map(frame, asked)))
        await stream.send_eof()
        while data := await stream.receive(65536, Duration(20 * SECOND)):
            answers += deframer.feed(data)
    stream.abort()
    return answers


def test_mutated_messages_get_lawful_answers_or_silence(seed: int) -> None:
    held: list[int] = []

    def watch(batch: int, server: DnsServer[Any, Any]) -> None:
        if batch in (20, 59):
            held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        said = netstack.run_virtual(campaign(60 * BATCH, seed, watch))
    finally:
        tracemalloc.stop()
    assert held[1] - held[0] < 3_000_000, held
    for each in ("udp 0", "udp 1", "udp 3", "udp 5", "tcp 0", "tcp 1"):
        assert said[each], said


def main(n: int) -> None:
    began = time.monotonic()
    with open("/proc/self/statm") as statm:

        def watch(batch: int, server: DnsServer[Any, Any]) -> None:
            if batch % (n // BATCH // 8 or 1) == 0:
                statm.seek(0)
                print(f"{batch * BATCH:9d} messages, {int(statm.read().split()[1]) * 4:7d} KiB", flush=True)

        said = netstack.run_virtual(campaign(n, 1, watch))
    print(f"{time.monotonic() - began:.1f} s", dict(said))


if __name__ == "__main__":
    main(int(sys.argv[1]))
