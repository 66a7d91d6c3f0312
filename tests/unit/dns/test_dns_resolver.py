"""The resolver's face, over nets of a world and on both runtimes."""

import contextlib
import socket

import pytest
from dns_world import MS, RUNTIMES, SECOND, Says, record, response, world

import netstack
from netstack.dns import name
from netstack.dns.client.errors import LookupTimedOut, NameNotFound, NoData, ResolutionError, ServerFailure
from netstack.dns.client.resolver import Resolver
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, decode
from netstack.dns.numbers import Ede, Rcode, Type
from netstack.dns.rdata import MX, A
from netstack.dns.resolve.cache import CacheConfig
from netstack.dns.resolve.forward import ForwardConfig
from netstack.dns.stream import frame
from netstack.errors import ClosedError, UsageError, WireError

pytestmark = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
SOA = record("example.", "SOA", "ns.example. admin.example. 1 3600 600 86400 60", 900)
ZONE = [
    record("www.example.", "CNAME", "web.example.", 60),
    record("web.example.", "A", "192.0.2.1"),
    record("web.example.", "A", "192.0.2.2"),
    record("example.", "MX", "10 mail.example."),
    record("1.2.0.192.in-addr.arpa.", "PTR", "web.example."),
    record("xn--bcher-kva.example.", "A", "192.0.2.7"),
    *(record("big.example.", "TXT", f'"{i:0200}"') for i in range(12)),
]


def zone(q, over_stream):
    """A server that recurses for everybody."""
    asked = q.question[0]
    owner, answer = asked.name.lower(), []
    if name.text(owner).startswith("broken"):
        return response(q, rcode=Rcode.SERVFAIL)
    while True:
        found = [r for r in ZONE if r.name == owner and r.type in (asked.type, Type.CNAME)]
        answer += found
        if not found or found[0].type == asked.type:
            break
        owner = found[0].rdata
    if found:
        return response(q, *answer)
    exists = any(r.name == owner for r in ZONE)
    return response(q, *answer, rcode=0 if exists else Rcode.NXDOMAIN, authority=(SOA,))


class Place:
    """A client with a resolver, and a server."""

    def __init__(self, **options):
        self.options = {"servers": ["10.0.0.2"], **options}

    async def __aenter__(self):
        self.world = world("client", "server", delay=5 * MS)
        self.client, server = await self.world.__aenter__()
        self.says = await Says(self.options.pop("answer", zone), self.options.pop("pause", 0)).start(server)
        self.resolver = Resolver(self.client, self.client, **self.options)
        return self

    async def __aexit__(self, *how):
        await self.resolver.aclose()
        await self.says.aclose()
        assert not self.client.stack.udp.ports
        await self.world.__aexit__(*how)


def test_an_answer_has_data_canonical_name_ttl_server_and_time(on):
    async def test(on):
        async with Place() as place:
            answer = await place.resolver.resolve("www.example")
            assert list(answer) == [A("192.0.2.1"), A("192.0.2.2")] and answer.addresses == ["192.0.2.1", "192.0.2.2"]
            assert (answer.name, answer.type, answer.canonical, answer.ttl) == ("www.example.", "A", "web.example.", 60)
            assert answer.server == ("10.0.0.2", 53) and answer.rtt >= 10 * MS and not answer.from_cache
            await on.sleep(10)
            again = await place.resolver.resolve("WWW.example.")
            assert again.from_cache and again.ttl == 50 and again.rtt == 0 and list(again) == list(answer)
            mx = await place.resolver.resolve("example", "mx")
            assert mx[0] == MX(10, name.parse("mail.example.")) and mx.texts == ["10 mail.example."]
            assert (await place.resolver.reverse("192.0.2.1")).texts == ["web.example."]
            assert (await place.resolver.resolve("bücher.example"))[0] == A("192.0.2.7")
            assert len(await place.resolver.resolve("big.example", "TXT")) == 12
            assert len(place.says.asked) == 6

    on.run(test)


def test_why_there_is_no_answer(on):
    async def test(on):
        async with Place() as place:
            for said, type, kind, code in [
                ("nobody.example", "A", NameNotFound, socket.EAI_NONAME),
                ("www.example", "AAAA", NoData, socket.EAI_NODATA),
                ("broken.example", "A", ServerFailure, socket.EAI_AGAIN),
            ]:
                with pytest.raises(kind, match=said.partition(".")[2]) as caught:
                    await place.resolver.resolve(said, type)
                assert caught.value.errno == code and isinstance(caught.value, socket.gaierror)
                assert isinstance(caught.value, (OSError, netstack.NetstackError)) and caught.value.outcome is not None
            with pytest.raises(NoData, match=r"web\.example\., which www\.example\. stands for"):
                await place.resolver.resolve("www.example", "AAAA")

    on.run(test)


def test_silence_times_out_and_says_so(on):
    async def test(on):
        async with Place(answer=lambda q, over_stream: None) as place:
            start = on.now()
            with pytest.raises(LookupTimedOut):
                await place.resolver.resolve("www.example", timeout=1)
            assert SECOND <= on.now() - start < 1.1 * SECOND
            start = on.now()
            with pytest.raises(netstack.TimedOut):
                await place.resolver.resolve("www.example")
            assert 7.9 * SECOND <= on.now() - start < 8.1 * SECOND

    on.run(test)


def test_bad_questions_are_said_in_a_sentence(on):
    async def test(on):
        async with Place() as place:
            for said in ["", "a..b", "x" * 64, ".".join(["x" * 60] * 5), b"www"]:
                with pytest.raises(UsageError):
                    await place.resolver.resolve(said)
            for type in ["QUUX", 0, 65536]:
                with pytest.raises(UsageError):
                    await place.resolver.resolve("www.example", type)
            with pytest.raises(UsageError, match="address"):
                await place.resolver.reverse("www.example")
            for options in ({}, {"servers": ["dns.example"]}, {"servers": ["10.0.0.1"], "limit": 0}):
                with pytest.raises(UsageError):
                    Resolver(place.client, place.client, **options)
            assert not place.says.asked

    on.run(test)


def test_the_same_question_is_asked_once_for_all_who_want_to_know(on):
    async def test(on):
        async with Place(pause=100 * MS) as place:

            async def ask():
                return await place.resolver.resolve("www.example")

            answers = await on.together(*[ask] * 20)
            assert len(place.says.asked) == 1 and all(len(answer) == 2 for answer in answers)

    on.run(test)


def test_who_gives_up_leaves_the_question_to_the_others_and_the_last_ends_it(on):
    async def test(on):
        async with Place(pause=300 * MS) as place:

            async def impatient():
                with pytest.raises(LookupTimedOut):
                    await place.resolver.resolve("www.example", timeout=0.1)

            async def patient():
                return await place.resolver.resolve("www.example")

            _, answer = await on.together(impatient, patient)
            assert len(answer) == 2
            await on.cancelled(lambda: place.resolver.resolve("example", "MX"), 0.1)
            await on.sleep(0.01)
            assert not place.resolver._flights and not place.client.stack.udp.ports
            assert len(await place.resolver.resolve("example", "MX")) == 1

    on.run(test)


def test_no_more_questions_than_the_limit_are_under_way(on):
    async def test(on):
        async with Place(pause=100 * MS, limit=3) as place:
            ports = []

            def ask(i):
                async def one():
                    with pytest.raises(NameNotFound):
                        await place.resolver.resolve(f"n{i}.example")
                    ports.append(len(place.client.stack.udp.ports))

                return one

            start = on.now()
            await on.together(*(ask(i) for i in range(9)))
            assert max(ports) <= 3 and len(place.says.asked) == 9
            assert 3 * 110 * MS <= on.now() - start < 5 * 110 * MS

    on.run(test)


def test_an_entry_near_its_end_is_renewed_in_the_background(on):
    async def test(on):
        async with Place(cache=CacheConfig(prefetch=0.2)) as place:
            await place.resolver.resolve("web.example")
            await on.sleep(270)
            assert (await place.resolver.resolve("web.example")).ttl == 30
            await on.sleep(2)
            answer = await place.resolver.resolve("web.example")
            assert answer.from_cache and answer.ttl == 299 and len(place.says.asked) == 2

    on.run(test)


def test_old_answers_are_given_while_the_servers_are_silent(on):
    async def test(on):
        async with Place(cache=CacheConfig(stale_for=86400)) as place:
            await place.resolver.resolve("web.example")
            place.says.answer = lambda q, over_stream: None
            await on.sleep(400)
            start = on.now()
            answer = await place.resolver.resolve("web.example")
            assert answer.stale and len(answer) == 2 and answer.ttl == 30
            assert 1.7 * SECOND < on.now() - start < 1.9 * SECOND
            await on.sleep(9)  # the servers are asked in the background until then, and rest afterwards
            start = on.now()
            assert (await place.resolver.resolve("web.example")).stale and on.now() - start < MS
            place.says.answer = zone
            await on.sleep(31)
            answer = await place.resolver.resolve("web.example")
            assert not answer.stale and not answer.from_cache

    on.run(test)


def asking(said, type=Type.A, flags=0x0100, edns=None, id=4711):
    m = Message(id, flags)
    m.question = [Question(name.parse(said), type)]
    m.edns = edns
    return m.encode()


def test_whole_messages_are_answered_as_a_forwarding_server_would(on):
    async def test(on):
        async with Place() as place:
            r = place.resolver
            m = decode(await r.query(asking("wWw.eXample.", edns=Edns(4096, do=True))))
            assert (m.id, m.qr, m.rd, m.ra, m.aa, m.tc, m.rcode) == (4711, True, True, True, False, False, 0)
            assert m.question[0].name == name.parse("wWw.eXample.") and len(m.answer) == 3 and m.edns.do and m.edns.payload == 1232
            m = decode(await r.query(asking("www.EXAMPLE.")))
            assert m.edns is None and m.answer[0].name == name.parse("www.EXAMPLE.") and m.answer[0].ttl == 60
            m = decode(await r.query(asking("nobody.example.")))
            assert m.rcode == Rcode.NXDOMAIN and m.authority[0].type == Type.SOA
            m = decode(await r.query(asking("broken.example.", edns=Edns(1232))))
            assert m.rcode == Rcode.SERVFAIL and m.edns.errors[0].code == Ede.OTHER
            m = decode(await r.query(asking("big.example.", Type.TXT), 512))
            assert m.tc and not m.answer
            assert len(decode(await r.query(asking("big.example.", Type.TXT))).answer) == 12
            assert decode(await r.query(asking("www.example.", edns=Edns(version=1)))).rcode == Rcode.BADVERS
            assert decode(await r.query(asking("www.example.", flags=0))).rcode == Rcode.REFUSED
            assert decode(await r.query(asking("www.example.", Type.AXFR))).rcode == Rcode.REFUSED
            assert decode(await r.query(asking("www.example.", flags=0x2900))).rcode == Rcode.NOTIMP
            assert decode(await r.query(b"\x12\x34\x01\0\0\1" + bytes(6))).rcode == Rcode.FORMERR
            for wire in (b"", b"\0" * 11, asking("www.example.", flags=0x8180)):
                with pytest.raises(WireError):
                    await r.query(wire)

    on.run(test)


def test_a_closed_resolver_says_so_and_wakes_who_waits(on):
    async def test(on):
        async with Place(answer=lambda q, over_stream: None) as place:

            async def ask():
                with pytest.raises(ClosedError):
                    await place.resolver.resolve("www.example")

            async def close():
                await on.sleep(0.1)
                await place.resolver.aclose()

            await on.together(ask, ask, close)
            with pytest.raises(ClosedError):
                await place.resolver.resolve("www.example")

    on.run(test)


def test_a_truncated_answer_comes_over_a_stream_that_is_kept(on):
    async def test(on):
        async with Place(servers=["tcp://10.0.0.2"], config=ForwardConfig()) as place:
            for said in ("www.example", "web.example", "nobody.example"):
                with contextlib.suppress(NameNotFound):
                    await place.resolver.resolve(said)
            assert place.says.streams == 1 and all(over_stream for _, _, over_stream in place.says.asked)

    on.run(test)


def test_all_errors_are_of_one_tree(on):
    for kind in (NameNotFound, NoData, ServerFailure, LookupTimedOut):
        assert issubclass(kind, ResolutionError) and issubclass(kind, socket.gaierror)
    assert issubclass(LookupTimedOut, TimeoutError)


def test_answers_to_questions_that_nobody_asked_find_nobody(on):
    """A hostile server answers questions that nobody asked, and cuts messages as it likes."""

    async def test(on):
        async with world("client", "server") as (client, server):

            async def hostile(stream):
                asked = await stream.receive()
                honest = zone(decode(asked[2:]), True).encode()
                noise = b"".join(frame(i.to_bytes(2, "big") + honest[2:]) for i in range(200) if i != asked[2] << 8 | asked[3])
                data = noise + frame(honest)
                for o in range(0, len(data), 1000):
                    await stream.send_all(data[o : o + 1000])
                await stream.receive()

            listener = await server.serve_streams(hostile, 53)
            async with Resolver(client, client, ["tcp://10.0.0.2"]) as resolver:
                assert len(await resolver.resolve("www.example")) == 2
            await listener.aclose()

            async def torn(stream):
                await stream.receive()
                await stream.send_all(b"\0\3abc")
                await stream.receive()

            listener = await server.serve_streams(torn, 53)
            async with Resolver(client, client, ["tcp://10.0.0.2"]) as resolver:
                with pytest.raises(ServerFailure, match="12"):
                    await resolver.resolve("www.example")
            await listener.aclose()

    on.run(test)
