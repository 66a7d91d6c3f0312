"""Happy Eyeballs: the machine by itself, and connections to names with several addresses, in virtual time."""

import asyncio
import math

import pytest
from dns_world import MS, RUNTIMES, SECOND, Both, world

from netstack.dns.client.eyeballs import LATELY, Eyeballs, EyeballsConfig, History, interleaved
from netstack.errors import Refused, TimedOut

T = 1000 * SECOND
V4, V6 = ["192.0.2.1", "192.0.2.2", "192.0.2.3"], ["2001:db8::1", "2001:db8::2"]


def family(address):
    return "AAAA" if ":" in address else "A"


def prefer6(addresses):
    return sorted(addresses, key=lambda each: ":" not in each)


def machine(*awaited, **config):
    return Eyeballs(awaited or ("A", "AAAA"), family, EyeballsConfig(**config), prefer6)


def test_the_preferred_family_is_begun_with_at_once():
    m = machine()
    assert m.answers(T, "AAAA", V6) == V6[:1]
    assert m.deadline == T + 250 * MS and not m.lost and m.winner is None


def test_the_other_family_waits_fifty_milliseconds_for_it():
    m = machine()
    assert m.answers(T, "A", V4) == [] and m.deadline == T + 50 * MS
    assert m.expired(T + 50 * MS - 1) == []
    assert m.answers(T + 20 * MS, "AAAA", V6) == V6[:1]
    m = machine()
    m.answers(T, "A", V4)
    assert m.expired(T + 50 * MS) == V4[:1]
    m = machine()
    m.answers(T, "A", V4)
    assert m.answers(T + 10 * MS, "AAAA", []) == V4[:1]  # there are none: nothing to wait for


def test_families_take_turns_and_what_comes_late_comes_in_between():
    m = machine()
    m.answers(T, "AAAA", V6)
    assert m.answers(T + MS, "A", V4) == []
    order = [m.expired(m.deadline)[0] for _ in range(4)]
    assert order == ["192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"] and m.deadline is None
    m = machine()
    m.answers(T, "A", V4)
    m.expired(T + 50 * MS)
    m.answers(T + 60 * MS, "AAAA", V6)
    assert [m.expired(m.deadline)[0] for _ in range(4)] == ["2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"]


def test_a_failure_begins_the_next_at_once_and_the_clock_anew():
    m = machine("A")
    assert m.answers(T, "A", V4) == V4[:1]
    assert m.failed(T + 10 * MS, V4[0]) == V4[1:2] and m.deadline == T + 260 * MS
    assert m.expired(T + 260 * MS) == V4[2:]
    assert m.failed(T + 270 * MS, V4[1]) == [] and not m.lost
    assert m.failed(T + 280 * MS, V4[2]) == [] and m.lost


def test_the_first_success_ends_it():
    m = machine("A")
    m.answers(T, "A", V4)
    m.expired(T + 250 * MS)
    m.succeeded(T + 260 * MS, V4[1])
    assert m.winner == V4[1] and m.deadline is None and not m.lost
    assert m.failed(T + 270 * MS, V4[0]) == [] and m.winner == V4[1]


def test_when_all_that_is_known_has_failed_the_other_family_is_waited_for():
    m = machine()
    m.answers(T, "AAAA", V6[:1])
    assert m.failed(T + MS, V6[0]) == [] and not m.lost
    assert m.answers(T + SECOND, "A", V4[:1]) == V4[:1]
    m = machine()
    m.answers(T, "AAAA", [])
    assert m.answers(T, "A", []) == [] and m.lost


def test_interleaving_is_asyncios():
    numbers = [(6, 1), (6, 2), (6, 3), (4, 1), (4, 2)]
    first = interleaved(numbers, lambda each: each[0], 1)
    assert first == [(6, 1), (4, 1), (6, 2), (4, 2), (6, 3)]
    assert interleaved(numbers, lambda each: each[0], 2) == [(6, 1), (6, 2), (4, 1), (6, 3), (4, 2)]
    assert interleaved([], lambda each: each, 1) == []


def test_who_failed_lately_comes_last_for_a_while():
    history = History()
    history.failed("192.0.2.1", T)
    assert history.order(V4, str, T + SECOND) == ["192.0.2.2", "192.0.2.3", "192.0.2.1"]
    assert history.order(V4, str, T + LATELY) == V4
    history.succeeded("192.0.2.1")
    assert history.order(V4, str, T + SECOND) == V4
    for i in range(5000):
        history.failed(str(i), T)
    assert len(history._failed) <= 1024


# -- on a net -----------------------------------------------------------------------------------------------------------------

DEAD = "10.0.0.77"  # nobody: ARP fails only after seconds


def named(net, *addresses):
    net.names = type(net.names)({"many": addresses})


async def greet(stream):
    await stream.send_all(b"hello")


@pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
def test_a_dead_first_address_costs_a_quarter_of_a_second(on):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            await server.serve_streams(greet, 80)
            named(client, "10.0.0.200", "10.0.0.2")
            before = on.now()
            stream = await client.connect_stream("many", 80)
            assert 250 * MS <= on.now() - before < 300 * MS
            assert stream.remote_address == ("10.0.0.2", 80) and await stream.receive() == b"hello"
            assert len(client.connections()) == 1  # nothing is left of the other
            before = on.now()
            again = await client.connect_stream("many", 80)
            assert on.now() - before < 20 * MS  # which comes last from now on
            await again.aclose()
            await stream.aclose()

    on.run(test)


@pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
def test_a_refusing_first_address_costs_nothing_and_comes_last_from_then_on(on):
    async def test(on):
        async with world("client", "refusing", "server", delay=5 * MS) as (client, _, server):
            await server.serve_streams(greet, 80)
            named(client, "10.0.0.2", "10.0.0.3")
            before = on.now()
            stream = await client.connect_stream("many", 80)
            assert on.now() - before < 60 * MS and stream.remote_address[0] == "10.0.0.3"
            assert client.history.order(["10.0.0.2", "10.0.0.3"], str, client.now()) == ["10.0.0.3", "10.0.0.2"]
            await stream.aclose()

    on.run(test)


@pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
def test_when_all_are_dead_the_first_error_is_raised_and_nothing_is_left(on):
    async def test(on):
        async with world("client", "refusing", "refusing2") as (client, *_):
            named(client, "10.0.0.2", "10.0.0.3")
            with pytest.raises(Refused):
                await client.connect_stream("many", 80)
            named(client, "10.0.0.200", "10.0.0.201")
            before = on.now()
            with pytest.raises(TimedOut):
                await client.connect_stream("many", 80, SECOND)
            assert 1.2 * SECOND < on.now() - before < 1.4 * SECOND
            await on.cancelled(lambda: client.connect_stream("many", 80), 0.4)
            assert not client.connections()

    on.run(test)


def on_asyncio(test):
    Both("asyncio").run(lambda _: test())


def test_open_connection_races_the_addresses_of_a_name():
    async def test():
        async with world("client", "server", delay=5 * MS) as (client, server):
            await server.serve_streams(greet, 80)
            named(client, "10.0.0.200", "10.0.0.2")
            loop = asyncio.get_running_loop()
            for options, least, most in [({}, 0.25, 0.3), ({"happy_eyeballs_delay": 0.1}, 0.1, 0.15)]:
                client.history.succeeded("10.0.0.200")
                before = loop.time()
                reader, writer = await client.open_connection("many", 80, **options)
                assert least <= loop.time() - before < most and await reader.read(5) == b"hello"
                assert len(client.connections()) == 1
                writer.close()
                await writer.wait_closed()
                await asyncio.sleep(1)
            before = loop.time()
            reader, writer = await client.open_connection("many", 80, happy_eyeballs_delay=math.inf, timeout=2)
            assert loop.time() - before < 0.02  # the one that was beaten comes last now
            writer.close()
            client.history.succeeded("10.0.0.200")
            before = loop.time()
            reader, writer = await client.open_connection("many", 80, happy_eyeballs_delay=math.inf, timeout=2)
            assert loop.time() - before > 0.5  # one after the other: ARP gives up first
            writer.close()

    on_asyncio(test)


def test_all_dead_raises_what_asyncio_raises():
    async def test():
        async with world("client", "refusing", "refusing2") as (client, *_):
            named(client, "10.0.0.2", "10.0.0.3")
            with pytest.raises(OSError, match="Nobody listens there"):
                await client.open_connection("many", 80)
            with pytest.raises(ExceptionGroup) as caught:
                await client.open_connection("many", 80, all_errors=True)
            assert len(caught.value.exceptions) == 2 and all(
                isinstance(each, ConnectionRefusedError) for each in caught.value.exceptions
            )
            task = asyncio.ensure_future(client.open_connection("many", 80))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not client.connections()

    on_asyncio(test)
