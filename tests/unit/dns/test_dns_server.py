"""The server's faces: two hosts, a wire and a clock, on asyncio and on trio."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from dns_desk import query, small_zone
from dns_world import RUNTIMES, Both, Says, record, response, world

import netstack
from netstack.dns.message import Message, Question, decode
from netstack.dns.numbers import Rcode, Type
from netstack.dns.resolve.forward import Forwarder
from netstack.dns.serve.client import Client
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.handlers import Answer
from netstack.dns.serve.server import DnsServer
from netstack.dns.serve.view import View
from netstack.dns.stream import Deframer, frame
from netstack.instant import MILLISECOND, SECOND, Duration

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
AT = "10.0.0.2"


@contextlib.asynccontextmanager
async def serving(net: Any, *zones: Any, **options: Any) -> AsyncIterator[DnsServer[Any, Any]]:
    async with netstack.serve_dns(net, *(zones or (small_zone(),)), **options) as server:
        yield server


async def over_udp(net: Any, *wires: bytes, wait: float = 3) -> list[Message]:
    """The answers to queries sent from one port, as they come."""
    port = await net.bind_datagrams(remote=(AT, 53))
    found = []
    try:
        for wire in wires:
            await port.send(wire)
        for _ in wires:
            found.append(decode((await port.receive(Duration(int(wait * SECOND))))[0]))
    finally:
        await port.aclose()
    return found


class Line:
    """A client's stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._deframer = Deframer()
        self._ready: list[bytes] = []

    async def send(self, *wires: bytes) -> None:
        await self.stream.send_all(b"".join(map(frame, wires)))

    async def message(self, wait: float = 30) -> Message | None:
        """None at the end of the stream."""
        while not self._ready:
            data = await self.stream.receive(65536, Duration(int(wait * SECOND)))
            if not data:
                return None
            self._ready += self._deframer.feed(data)
        return decode(self._ready.pop(0))


async def connect(net: Any) -> Line:
    return Line(await net.connect_stream(AT, 53))


@runtimes
def test_a_zone_is_served_over_udp_and_tcp(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:
            (m,) = await over_udp(client, query("www.example."))
            assert [r.rdata for r in m.answer] == [bytes((192, 0, 2, 80)), bytes((192, 0, 2, 81))]
            line = await connect(client)
            await line.send(query("big.example.", Type.TXT, id=1), query("www.example.", id=2))
            answers = [await line.message(), await line.message()]
            assert [(m.id, len(m.answer)) for m in answers if m is not None] == [(1, 40), (2, 2)]
            await line.stream.send_eof()
            assert await line.message() is None
            assert (server.quick.mib.Fills, server.mib.QryUDP, server.mib.QryTCP, server.mib.TCPConnections) == (1, 0, 2, 1)

    on.run(test)


@runtimes
def test_port_zero_is_one_for_udp_and_tcp(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), DnsServer(net, net, [small_zone()]) as server:
            _, number = await server.listen(0)
            udp = await client.bind_datagrams(remote=(AT, number))
            await udp.send(query("www.example."))
            assert decode((await udp.receive())[0]).answer
            await udp.aclose()
            line = Line(await client.connect_stream(AT, number))
            await line.send(query("www.example."))
            assert (await line.message()) is not None

    on.run(test)


@runtimes
def test_queries_under_loss_are_all_answered_in_the_end(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server", loss=0.2, seed=11) as (client, net), serving(net):
            for i in range(50):
                for _attempt in range(20):
                    with contextlib.suppress(netstack.TimedOut):
                        (m,) = await over_udp(client, query("www.example.", id=i), wait=0.5)
                        assert m.id == i and len(m.answer) == 2
                        break
                else:
                    raise AssertionError(f"query {i} was never answered")
        async with world("client", "server", loss=0.05, seed=11) as (client, net), serving(net):
            line = await connect(client)
            await line.send(*(query("big.example.", Type.TXT, id=i) for i in range(100)))
            assert [m.id for i in range(100) if (m := await line.message()) is not None] == list(range(100))
            await line.stream.aclose()

    on.run(test)


# -- callbacks ----------------------------------------------------------------------------------------------------------------


def late(on: Both, seconds: float, result: Any) -> Callable[[Question, Client], Awaitable[Any]]:
    async def handler(question: Question, client: Client) -> Any:
        await on.sleep(seconds)
        return result(question) if callable(result) else result

    return handler


@runtimes
def test_a_callback_answers_and_what_it_passes_on_the_zones_answer(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:

            @server.answer("*.svc.example.")
            async def service(question: Question, asker: Client) -> Answer | None:
                await on.sleep(0.1)
                assert asker.address == "10.0.0.1" and not asker.stream
                return Answer.of(question, 30, "10.9.9.9") if question.name[1:2] == b"a" else None

            @server.answer("sink.example.")
            def sink(question: Question, asker: Client) -> int:
                return Rcode.NXDOMAIN

            (m,) = await over_udp(client, query("a.svc.example."))
            assert (m.aa, m.answer[0].rdata, m.answer[0].ttl) == (True, bytes((10, 9, 9, 9)), 30)
            assert (await over_udp(client, query("b.svc.example.")))[0].authority[0].type == Type.SOA
            assert (await over_udp(client, query("sink.example.")))[0].rcode == Rcode.NXDOMAIN
            assert (await over_udp(client, query("www.example.")))[0].answer
            assert server.desk.pending == 0

    on.run(test)


@runtimes
def test_answers_on_a_stream_come_as_they_are_ready(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:
            server.desk.answer("slow.example.", late(on, 0.5, lambda q: Answer.of(q, 1, "10.0.0.9")))
            line = await connect(client)
            await line.send(query("slow.example.", id=1), query("www.example.", id=2))
            await line.stream.send_eof()
            answers = [await line.message(), await line.message(), await line.message()]
            assert [m and m.id for m in answers] == [2, 1, None]

    on.run(test)


@runtimes
def test_a_callback_that_raises_or_never_comes_back_is_a_server_failure_and_said_once(
    on: Both, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(_: Any) -> None:
        config = DnsConfig(pending_timeout=Duration(SECOND))
        async with world("client", "server") as (client, net), serving(net, config=config) as server:

            @server.answer("raises.example.")
            async def raises(question: Question, asker: Client) -> None:
                raise LookupError("secret")

            @server.answer("wrong.example.")
            def wrong(question: Question, asker: Client) -> Any:
                return "10.0.0.1"

            server.desk.answer("never.example.", late(on, 3600, None))
            for name in ("raises.example.", "wrong.example.", "never.example."):
                for _ in range(3):
                    assert (await over_udp(client, query(name)))[0].rcode == Rcode.SERVFAIL
            assert (server.mib.CallbackErrors, server.mib.CallbackTimeouts) == (6, 3)
            assert server.desk.pending == 0

    with caplog.at_level(logging.ERROR):
        on.run(test)
    assert caplog.text.count("(said once)") == 3


@runtimes
def test_what_callbacks_owe_is_bounded(on: Both) -> None:
    async def test(_: Any) -> None:
        config = DnsConfig(pending=3)
        async with world("client", "server") as (client, net), serving(net, config=config) as server:
            server.desk.answer("*.example.", late(on, 1, Rcode.NXDOMAIN))
            found = await over_udp(client, *(query(f"n{i}.example.", id=i) for i in range(8)))
            assert [m.rcode for m in found] == [Rcode.SERVFAIL] * 5 + [Rcode.NXDOMAIN] * 3
            assert server.mib.PendingRej == 5

    on.run(test)


@runtimes
def test_an_answer_that_may_be_kept_is_made_once(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:
            made = []

            @server.answer("*.example.")
            def handler(question: Question, asker: Client) -> Answer:
                made.append(question)
                return Answer.of(question, 60, "10.0.0.7", keep=10)

            assert [(await over_udp(client, query("a.example.")))[0].answer[0].ttl for _ in range(3)] == [60] * 3
            await on.sleep(4.5)
            assert (await over_udp(client, query("A.example.")))[0].answer[0].ttl == 56
            assert len(made) == 1
            await on.sleep(6)
            assert (await over_udp(client, query("a.example.")))[0].answer[0].ttl == 60
            assert len(made) == 2

    on.run(test)


@runtimes
def test_each_network_sees_its_own_horizon(on: Both) -> None:
    async def test(_: Any) -> None:
        inside = small_zone()
        inside.add("inside", "A", 60, "10.0.0.99")
        views = [View(["10.0.0.1"], [inside])]
        async with world("client", "server", "other") as (client, net, other), serving(net, views=views):
            assert (await over_udp(client, query("inside.example.")))[0].answer
            assert (await over_udp(other, query("inside.example.")))[0].rcode == Rcode.NXDOMAIN

    on.run(test)


# -- others are asked ---------------------------------------------------------------------------------------------------------


@runtimes
def test_equal_questions_are_asked_once_and_the_cache_answers_the_next(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server", "upstream") as (client, net, upstream):
            says = await Says(lambda m, stream: response(m, record("www.far.", "A", "10.7.7.7")), delay=100 * MILLISECOND).start(
                upstream
            )
            finder = Forwarder(["10.0.0.3"], rng=random.Random(3))
            async with serving(net, finder=finder) as server:
                found = await over_udp(client, *(query("www.far.", flags=0x0100, id=i) for i in range(10)))
                assert sorted(m.id for m in found) == list(range(10))
                assert all(m.ra and not m.aa and m.answer[0].rdata == bytes((10, 7, 7, 7)) for m in found)
                assert len(says.asked) == 1
                assert (server.mib.QryRecursion, server.mib.QryJoined) == (1, 9)
                (m,) = await over_udp(client, query("WWW.far.", flags=0x0100))
                assert m.answer and len(says.asked) == 1
                (own,) = await over_udp(client, query("www.example.", flags=0x0100))
                assert own.aa and own.ra
                (peek,) = await over_udp(client, query("www.far."))
                assert (peek.rcode, server.mib.RecQryRej) == (Rcode.REFUSED, 1)
            await says.aclose()

    on.run(test)


@runtimes
def test_strangers_are_not_asked_for(on: Both) -> None:
    async def test(_: Any) -> None:
        finder = Forwarder(["10.0.0.3"], rng=random.Random(3))
        config = DnsConfig(recursion=("192.0.2.0/24",))
        async with world("client", "server") as (client, net), serving(net, finder=finder, config=config) as server:
            (m,) = await over_udp(client, query("www.far.", flags=0x0100))
            assert (m.rcode, m.ra, server.mib.RecQryRej) == (Rcode.REFUSED, False, 1)

    on.run(test)


@runtimes
def test_an_alias_of_ours_that_leads_outside_is_followed_for_who_may_ask(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server", "upstream") as (client, net, upstream):
            says = await Says(lambda m, stream: response(m, record("www.elsewhere.", "A", "10.7.7.7"))).start(upstream)
            finder = Forwarder(["10.0.0.3"], rng=random.Random(3))
            async with serving(net, finder=finder):
                (m,) = await over_udp(client, query("away.example.", flags=0x0100))
                assert [r.type for r in m.answer] == [Type.CNAME, Type.A] and m.aa
                (m,) = await over_udp(client, query("away.example."))
                assert [r.type for r in m.answer] == [Type.CNAME]
            await says.aclose()

    on.run(test)


# -- connections --------------------------------------------------------------------------------------------------------------


@runtimes
def test_idle_and_slow_connections_end(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:
            begun = on.now()
            line = await connect(client)
            await line.send(query("www.example."))
            assert await line.message() is not None
            assert await line.message() is None
            assert 9.9 * SECOND < on.now() - begun < 11 * SECOND
            assert server.mib.TCPIdle == 1
            begun = on.now()
            slow = await connect(client)
            with contextlib.suppress(OSError, netstack.ClosedError):
                for octet in frame(query("www.example.")):
                    await slow.stream.send_all(bytes((octet,)))
                    await on.sleep(0.5)
            assert server.mib.TCPSlow == 1
            assert on.now() - begun < 7 * SECOND

    on.run(test)


@runtimes
def test_connections_are_bounded_and_the_longest_idle_makes_room(on: Both) -> None:
    async def test(_: Any) -> None:
        config = DnsConfig(connections=4, connections_per_client=3)
        async with world("client", "server", "other") as (client, net, other), serving(net, config=config) as server:
            lines = [await connect(client) for _ in range(3)]
            for line in (lines[1], lines[2], lines[0]):
                await line.send(query("www.example."))
                assert await line.message() is not None
            with pytest.raises((OSError, netstack.BrokenError)):
                fourth = await connect(client)
                await fourth.send(query("www.example."))
                assert await fourth.message() is not None
            assert server.mib.TCPClientHighWater == 1
            more = [await connect(other) for _ in range(2)]
            for line in (*more, lines[0], lines[2]):
                await line.send(query("www.example."))
                assert await line.message() is not None
            assert server.mib.TCPHighWater == 1
            with pytest.raises(netstack.BrokenError):
                await lines[1].message()

    on.run(test)


@runtimes
def test_a_client_that_takes_no_answers_is_cut_off_with_a_bounded_heap(on: Both) -> None:
    async def test(_: Any) -> None:
        config = DnsConfig(unsent=20_000, send_timeout=Duration(3 * SECOND))
        async with world("client", "server") as (client, net), serving(net, config=config) as server:
            line = await connect(client)
            wires = b"".join(frame(query("big.example.", Type.TXT, id=i)) for i in range(1000))
            with contextlib.suppress(OSError):
                for _ in range(100):
                    await line.stream.send_all(wires, Duration(5 * SECOND))
            assert server.mib.TCPStuck == 1

    on.run(test)


@runtimes
def test_a_length_that_no_message_has_ends_the_connection(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:
            line = await connect(client)
            await line.stream.send_all(b"\0\4abcd")
            with pytest.raises(netstack.BrokenError):
                await line.message()
            assert server.mib.TCPMangled == 1

    on.run(test)


@runtimes
def test_closing_gives_what_is_owed_a_moment(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net):
            server = DnsServer(net, net, [small_zone()])
            await server.listen(53)
            server.desk.answer("soon.example.", late(on, 0.5, lambda q: Answer.of(q, 1, "10.0.0.9")))
            server.desk.answer("never.example.", late(on, 3600, None))
            line, idle = await connect(client), await connect(client)
            await line.send(query("soon.example."), query("never.example."))
            await on.sleep(0.1)
            begun = on.now()
            await server.aclose(Duration(SECOND))
            assert on.now() - begun < 1.2 * SECOND
            m = await line.message()
            assert m is not None and m.answer
            assert await idle.message() is None
            with pytest.raises(netstack.Refused):
                await connect(client)
            with pytest.raises(netstack.UsageError):
                await server.listen(53)

    on.run(test)
