"""The iterative resolver on somebody else's wire: whatever the transport looks like, and whatever comes, there is an answer."""

import asyncio
import ipaddress
import random
import time
from unittest.mock import AsyncMock

import pytest
from recursion_world import ROOT, Internet, reply, serves, zone

from netstack.dns import name as names
from netstack.dns.client.iterative import iterative
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, decode
from netstack.dns.numbers import Ede, Rcode, Type
from netstack.dns.resolve.recursion import RecursionConfig
from netstack.errors import UsageError

SECOND = 1_000_000_000
WWW = names.parse("www.example.")


def world():
    root = zone(".", f""". NS a.root.
        a.root. A {ROOT}
        example. NS ns.example.
        ns.example. A 10.0.0.1""")
    example = zone("example.", """example. NS ns.example.
        ns.example. A 10.0.0.1
        www.example. A 192.0.2.1
        big.example. TXT """ + " ".join([f'"{"x" * 200}"'] * 9))
    return Internet({ROOT: serves(root), "10.0.0.1": serves(example)})


def run(coroutine):
    """To its end, without an event loop: nothing in it waits for one."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something that is not the transport's")


class Wire:
    def __init__(self, internet=None):
        self.internet = internet or world()
        self.now = 5 * SECOND
        self.seen = []

    async def exchange(self, wire, address, port, tcp, timeout):
        self.seen.append((address, port, tcp, timeout))
        says = self.internet.servers.get(address)
        m = decode(wire)
        said = None if says is None else says(m, tcp)
        if said is None:
            self.now += int(timeout * SECOND)
            return None
        self.now += 1_000_000
        return said.encode(65535 if tcp else m.edns.payload if m.edns else 512)


def query(name=WWW, type=1, *, flags=0x0100, edns=True, do=False, rclass=1):
    m = Message(0x1234, flags)
    m.question = [Question(name, type, rclass)]
    m.edns = Edns(1232, do=do) if edns else None
    return m.encode()


def test_a_whole_message_is_answered_with_one():
    wire = Wire()
    resolver = iterative([ROOT], wire, lambda: wire.now)
    m = decode(run(resolver.resolve(query())))
    assert (m.id, m.flags, m.rcode, m.question, m.answer[0].rdata) == (0x1234, 0x8180, 0, [Question(WWW, 1)], bytes([192, 0, 2, 1]))
    assert m.edns is not None and wire.seen[0][:3] == (ROOT, 53, False) and 0 < wire.seen[0][3] <= 2
    asked = len(wire.seen)
    assert decode(run(resolver.resolve(query(edns=False)))).edns is None and len(wire.seen) == asked


def transports(wire):
    async def two(wire_, address_):
        return await wire.exchange(wire_, address_, 53, False, 1.0)

    async def three(query, server, port):
        return await wire.exchange(query, server, port, False, 1.0)

    async def named(*, address, timeout, message):
        return await wire.exchange(message, address, 53, False, timeout)

    async def other_order(address, data, tcp=False):
        return await wire.exchange(data, address, 53, tcp, 1.0)

    async def anything(*values):
        return await wire.exchange(*values)

    async def with_more(wire_, address_, port_=53, tcp_=False):
        return await wire.exchange(wire_, address_, port_, tcp_, 1.0)

    class Sends:
        async def query(self, payload, host, stream):
            return await wire.exchange(payload, host, 53, stream, 1.0)

    class Calls:
        async def __call__(self, wire_, address_, port_, tcp_, timeout_):
            return await wire.exchange(wire_, address_, port_, tcp_, timeout_)

    async def unknown_names(destination, blob):
        return await wire.exchange(blob, destination, 53, False, 1.0)

    async def types(a: str, b: int, c: bytes, d: bool, e: float):
        assert b == 53
        return await wire.exchange(c, a, b, d, e)

    async def protocol(data, server, proto="udp"):
        assert proto in ("udp", "tcp")
        return await wire.exchange(data, server, 53, proto == "tcp", 1.0)

    async def keywords(wire_, address, **more):
        return await wire.exchange(wire_, address, more["port"], more["tcp"], more["timeout"])

    async def as_sockets_do(wire_, address, *, log=None):
        assert log is None
        return bytearray(await wire.exchange(wire_, address, 53, False, 1.0)), (address, 53)

    def at_once(wire_, address):
        return run(wire.exchange(wire_, address, 53, False, 1.0))

    return [two, three, named, other_order, anything, with_more, Sends(), Calls(), wire, unknown_names, types, protocol, keywords,
            as_sockets_do, at_once, AsyncMock(side_effect=wire.exchange)]  # fmt: skip


@pytest.mark.parametrize("i", range(16))
def test_transports_have_the_parameters_that_they_like(i):
    wire = Wire()
    resolver = iterative({"a.root.": ROOT}, transports(wire)[i], lambda: wire.now / SECOND)
    assert decode(run(resolver.resolve(query()))).answer


def test_what_is_no_transport_is_refused():
    async def one(wire):
        pass

    async def seven(a, b, c, d, e, f, g):
        pass

    for bad in (None, 5, "10.0.0.1", Wire, one, seven):
        with pytest.raises(UsageError, match="transport"):
            iterative([ROOT], bad, lambda: 0)


def test_what_is_no_answer_is_said_or_never_gets_in():
    async def text(wire, address):
        return "an answer"

    async def another_server(wire, address):
        return await Wire().exchange(wire, address, 53, False, 1.0), ("10.0.0.99", 53)

    async def another_question(wire, address):
        m = decode(await Wire().exchange(wire, address, 53, False, 1.0))
        m.question = [Question(names.parse("evil.example."), 1)]
        return m.encode()

    with pytest.raises(UsageError, match="octets"):
        run(iterative([ROOT], text, lambda: 7).resolve(query()))
    for transport in (another_server, another_question):
        m = decode(run(iterative([ROOT], transport, lambda: 7).resolve(query())))
        assert m.rcode == Rcode.SERVFAIL and not m.answer


def test_hints_are_what_people_have(tmp_path):
    text = f". 3600000 NS a.root.\na.root. 3600000 A {ROOT}\n"
    file = tmp_path / "root.hints"
    file.write_text(text)
    pairs = [("a.root.", ROOT)], [["a.root", [ROOT, "2001:db8::1"]]], [("a.root.", ipaddress.ip_address(ROOT))]
    for hints in (text, file, str(file), {"a.root": ROOT}, {"a.root.": [ROOT]}, (ROOT,), {ROOT}, ROOT, *pairs):
        wire = Wire()
        assert decode(run(iterative(hints, wire, lambda w=wire: w.now).resolve(query()))).answer
    for bad in (None, 5, b". NS a.", [], {"a.root.": "b.root."}, [("a.root.", "A", ROOT)], "/no/such/file", ("a.root.", ROOT)):
        with pytest.raises(UsageError):
            iterative(bad, Wire(), lambda: 0)


@pytest.mark.parametrize("now", [time.monotonic, time.monotonic_ns, time.time])
def test_the_clock_tells_seconds_or_nanoseconds(now):
    assert decode(run(iterative([ROOT], Wire(), now).resolve(query()))).answer
    with pytest.raises(UsageError, match="clock"):
        iterative([ROOT], Wire(), now())


def test_truncated_answers_are_fetched_over_tcp():
    wire = Wire()
    m = decode(run(iterative([ROOT], wire, lambda: wire.now).resolve(query(names.parse("big.example."), 16))))
    assert len(m.answer[0].rdata) == 9 * 201 and wire.seen[-1][2]


@pytest.mark.parametrize("error", [TimeoutError, asyncio.TimeoutError, OSError, ConnectionRefusedError, KeyError, ValueError])
def test_whatever_the_transport_raises_there_is_an_answer(error):
    async def broken(wire, address, port, tcp, timeout):
        raise error("no")

    m = decode(run(iterative([ROOT], broken, lambda: 7).resolve(query())))
    assert m.rcode == Rcode.SERVFAIL and m.edns.errors[0].code == Ede.NO_REACHABLE_AUTHORITY


@pytest.mark.parametrize("said", [b"", b"\0" * 11, b"\0" * 500, bytes(range(256)) * 3, None])
def test_whatever_the_transport_gives_there_is_an_answer(said):
    async def broken(wire, address, port, tcp, timeout):
        return said if said is None or said[:1] != b"\0" else wire[:2] + said[2:]

    assert decode(run(iterative([ROOT], broken, lambda: 7).resolve(query()))).rcode == Rcode.SERVFAIL


def test_a_clock_that_stands_still_does_not_make_it_wait():
    internet = world()
    internet.servers.pop("10.0.0.1")

    async def exchange(wire, address):
        says = internet.servers.get(address)
        return None if says is None else says(decode(wire), False).encode()

    assert decode(run(iterative([ROOT], exchange, lambda: 0.0).resolve(query()))).rcode == Rcode.SERVFAIL


def test_seconds_or_nanoseconds_the_ttl_runs_down():
    for unit in (1.0, 1_000_000_000):
        wire, time = Wire(), [unit * 100]
        resolver = iterative([ROOT], wire, lambda time=time: time[0])
        run(resolver.resolve(query()))
        time[0] += unit * 10
        assert decode(run(resolver.resolve(query()))).answer[0].ttl == 290


@pytest.mark.parametrize(("wire", "rcode"), [
    (b"", None), (b"\0" * 11, None), (query(flags=0x8100), None),
    (query()[:20], Rcode.FORMERR), (query(flags=0x2900), Rcode.NOTIMP), (query(flags=0), Rcode.REFUSED),
    (query(type=Type.AXFR), Rcode.REFUSED), (query(rclass=3), Rcode.REFUSED), (query(rclass=255), Rcode.REFUSED),
    (b"\x12\x34\x01\0" + bytes(8), Rcode.FORMERR),
])  # fmt: skip
def test_what_is_no_question_is_refused_or_met_with_silence(wire, rcode):
    said = run(iterative([ROOT], Wire(), lambda: 0).resolve(wire))
    assert said == b"" if rcode is None else (decode(said).rcode == rcode and decode(said).id == 0x1234)


def test_an_edns_version_that_nobody_has_is_badvers():
    wire = bytearray(query())
    wire[-5] = 1
    assert decode(run(iterative([ROOT], Wire(), lambda: 0).resolve(bytes(wire)))).rcode == Rcode.BADVERS


def test_mutated_queries_and_answers_never_raise(seed):
    rng = random.Random(seed)
    wire = Wire()

    def mutate(data):
        data = bytearray(data)
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)

    async def mangling(data, address, port, tcp, timeout):
        said = await wire.exchange(data, address, port, tcp, timeout)
        return said if said is None or rng.random() < 0.5 else data[:2] + mutate(said)[2:]

    resolver = iterative([ROOT], mangling, lambda: wire.now, config=RecursionConfig(failure_ttl=1))
    answered = 0
    for _ in range(400):
        wire.now += 700 * SECOND
        said = run(resolver.resolve(mutate(query(names.parse(f"n{rng.randrange(50)}.example.")))))
        answered += said == b"" or decode(said).qr
    assert answered == 400


def test_an_alias_loop_shows_what_there_is():
    internet = world()
    internet.servers["10.0.0.1"] = lambda q, over: reply(q, "www.example. CNAME www.example.")
    m = decode(run(iterative([ROOT], Wire(internet), lambda: 0).resolve(query())))
    assert m.rcode == Rcode.SERVFAIL and [r.type for r in m.answer] == [Type.CNAME]
