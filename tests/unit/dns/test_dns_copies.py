"""Servers that copy zones from each other: hosts on a wire, and a clock; on asyncio and on trio."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dns_world import RUNTIMES, Both, world

import netstack
from netstack.dns import name as names
from netstack.dns import tsig
from netstack.dns.authority.access import Access
from netstack.dns.authority.notify import Target
from netstack.dns.authority.secondary import Primary, SecondaryConfig
from netstack.dns.authority.zone import Zone
from netstack.dns.authority.zones import Zones
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.serve.notifier import Notifier
from netstack.dns.serve.secondaries import Secondaries
from netstack.dns.serve.server import DnsServer
from netstack.dns.stream import Deframer, frame
from netstack.errors import UsageError
from netstack.instant import SECOND, Duration

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
ORIGIN = names.parse("example.")
WALL = 1_700_000_000
KEY = tsig.Key("transfer.example.", b"secret")
PRIMARY, COPY = "10.0.0.1", "10.0.0.2"
ANY = Access(transfer="any", update="any")


def make(hosts: int = 3, refresh: int = 3600) -> Zone:
    zone = Zone(ORIGIN)
    zone.add("@", "SOA", 3600, f"ns.example. root.example. 1 {refresh} 600 86400 300")
    zone.add("@", "NS", 3600, "ns")
    for i in range(hosts):
        zone.add(f"h{i}", "A", 60, f"10.1.{i >> 8}.{i & 255}")
    return zone


def bump(zone: Zone, owner: str = "new") -> None:
    kept = zone.rrset(ORIGIN, 6)
    assert kept is not None
    old = Record(ORIGIN, 6, 1, kept.ttl, kept.rdatas[0])
    new = Record(ORIGIN, 6, 1, kept.ttl, old.rdata[:-20] + (zone.serial + 1).to_bytes(4, "big") + old.rdata[-16:])
    zone.apply([old], [new, Record(names.parse(owner, ORIGIN), 1, 1, 60, bytes(4))])


def contents(zone: Zone | None) -> list[tuple[bytes, int, int, bytes]]:
    assert zone is not None
    return sorted((r.name.lower(), r.type, r.ttl, r.rdata) for r in zone.records())


@contextlib.asynccontextmanager
async def serving(net: Any, *zones: Zone, **options: Any) -> AsyncIterator[DnsServer[Any, Any]]:
    async with DnsServer(net, net, zones, wall=lambda: WALL, **options) as server:
        await server.listen(53)
        yield server


@contextlib.asynccontextmanager
async def copying(net: Any, server: DnsServer[Any, Any] | None = None) -> AsyncIterator[Secondaries[Any, Any]]:
    """Copies among the zones of `server`, which hears of news."""
    zones, orders = (Zones(), None) if server is None else (server.zones, server.desk.orders)
    async with Secondaries(net, net, zones, orders=orders, wall=lambda: WALL, rng=random.Random(1)) as copies:
        yield copies
    assert orders is None or not (orders.secondaries or orders.noticed)


async def over_udp(net: Any, address: str, m: Message) -> Message:
    port = await net.bind_datagrams(remote=(address, 53))
    try:
        await port.send(m.encode())
        return decode((await port.receive(Duration(5 * SECOND)))[0])
    finally:
        await port.aclose()


@runtimes
@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_a_copy_comes_follows_and_is_served(on: Both, key: tsig.Key | None) -> None:
    async def test(_: Any) -> None:
        zone = make(hosts=5000)
        access = ANY if key is None else Access(transfer="key:transfer.example")
        keys = tsig.Keys([KEY])
        async with (
            world("primary", "copy") as (first, second),
            serving(first, zone, access=access, keys=keys),
            serving(second) as server,
            copying(second, server) as copies,
        ):
            changed: list[int] = []
            copies.keep("example.", [Primary(PRIMARY, key=key)], changed=lambda zone: changed.append(zone.serial))
            await on.sleep(5)
            assert contents(server.zones.exact(ORIGIN)) == contents(zone) and changed == [1]
            m = Message(1, 0)
            m.question.append(Question(names.parse("h4999.example."), 1))
            answer = await over_udp(first, COPY, m)
            assert answer.aa and answer.answer[0].rdata == bytes([10, 1, 4999 >> 8, 4999 & 255])
            bump(zone)
            bump(zone, "newer")
            await on.sleep(3700)
            assert contents(server.zones.exact(ORIGIN)) == contents(zone) and changed == [1, 3]
            assert (copies.mib.XfrWhole, copies.mib.XfrChanges, copies.mib.XfrFailures) == (1, 1, 0)

    on.run(test)


@runtimes
def test_a_notification_travels_and_a_copy_of_the_copy_follows_too(on: Both) -> None:
    async def test(_: Any) -> None:
        zone = make()
        async with (
            world("a", "b", "c") as (a, b, c),
            serving(a, zone, access=ANY),
            serving(b, access=ANY) as middle,
            serving(c) as last,
            Notifier(a, wall=lambda: WALL) as teller,
            Notifier(b, wall=lambda: WALL) as relay,
            copying(b, middle) as copies,
            copying(c, last) as more,
        ):
            after = Target("10.0.0.3")
            copies.keep("example.", [Primary("10.0.0.1")], changed=lambda zone: relay.tell(zone, [after]))
            await on.sleep(1)
            more.keep("example.", [Primary("10.0.0.2")])
            await on.sleep(1)
            assert contents(last.zones.exact(ORIGIN)) == contents(zone)
            for i in range(5):
                bump(zone, f"n{i}")
                teller.tell(zone, [Target("10.0.0.2")])
            await on.sleep(10)
            assert contents(middle.zones.exact(ORIGIN)) == contents(zone)
            assert contents(last.zones.exact(ORIGIN)) == contents(zone)
            assert teller.told(zone, Target("10.0.0.2")) == zone.serial == 6
            assert more.mib.XfrWhole == 1 and more.mib.XfrChanges >= 1
            assert copies.mib.NotifyIn <= 2, "five changes at once are not five looks"

    on.run(test)


@runtimes
def test_a_notification_to_nobody_is_repeated_and_the_next_change_tries_again(on: Both) -> None:
    async def test(_: Any) -> None:
        zone = make()
        async with world("a", "b") as (a, b), Notifier(a, wall=lambda: WALL) as teller:
            port = await b.bind_datagrams(53)
            came: list[tuple[int, bytes]] = []

            async def listen() -> None:
                with contextlib.suppress(netstack.TimedOut):
                    while True:
                        data, _ = await port.receive(Duration(200 * SECOND))
                        came.append((on.now(), data))

            teller.tell(zone, [Target(COPY)])
            await listen()
            gaps = [round((later - now) / SECOND) for (now, _), (later, _) in itertools.pairwise(came)]
            assert gaps == [2, 4, 8, 16, 32]
            bump(zone)
            teller.tell(zone, [Target(COPY)])
            teller.tell(zone, [Target(COPY)])
            data, address = await port.receive(Duration(SECOND))
            m = decode(data)
            await port.send(Message(m.id, m.flags | 0x8000).encode(), address)
            with contextlib.suppress(netstack.TimedOut):
                assert not await port.receive(Duration(200 * SECOND))
            assert teller.told(zone, Target(COPY)) == 2
            await port.aclose()
            bump(zone)
            teller.tell(zone, [Target(COPY)])  # nobody has the port now
            await on.sleep(100)
            assert teller.told(zone, Target(COPY)) == 2

    on.run(test)


@runtimes
def test_primaries_that_are_not_there_stall_or_lie_are_left_for_one_that_is(on: Both) -> None:
    async def test(_: Any) -> None:
        zone = make()

        async def stalls(stream: Any) -> None:
            await stream.receive()
            await on.sleep(1000)

        async def ends(stream: Any) -> None:
            data = await stream.receive()
            m = decode(Deframer().feed(data)[0])
            m.flags |= 0x8400
            kept = zone.rrset(ORIGIN, 6)
            assert kept is not None
            m.answer = [Record(ORIGIN, 6, 1, 60, kept.rdatas[0])]
            await stream.send_all(frame(m.encode()))

        async def babbles(stream: Any) -> None:
            await stream.receive()
            await stream.send_all(b"\0\3abc")

        async with world("copy", "stalls", "ends", "babbles", "good") as (copy, b, c, d, good), serving(good, zone, access=ANY):
            for net, handler in ((b, stalls), (c, ends), (d, babbles)):
                await net.serve_streams(handler, 53)
            async with copying(copy) as copies:
                others = ["10.0.0.9", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]
                kept = copies.keep("example.", [Primary(each) for each in others])
                await on.sleep(600)
                assert contents(copies.zones.exact(ORIGIN)) == contents(zone)
                assert copies.mib.XfrFailures == 4 and "3 octets on a stream" in kept.why

    on.run(test)


@runtimes
def test_a_copy_expires_where_its_primary_has_gone_and_closing_leaves_nothing(on: Both) -> None:
    async def test(_: Any) -> None:
        zone = make(refresh=60)
        async with world("primary", "copy") as (first, second), serving(second) as server, copying(second, server) as copies:
            async with serving(first, zone, access=ANY):
                copies.keep("example.", [Primary(PRIMARY)], config=SecondaryConfig(most_expire=1000 * SECOND))
                await on.sleep(10)
            await on.sleep(1100)
            m = Message(1, 0)
            m.question.append(Question(names.parse("h1.example."), 1))
            assert (await over_udp(first, COPY, m)).rcode == 2
            async with serving(first, zone, access=ANY):
                await on.sleep(700)
                assert (await over_udp(first, COPY, m)).rcode == 0

    on.run(test)


@runtimes
def test_many_copies_share_the_slots_and_can_be_forgotten(on: Both) -> None:
    async def test(_: Any) -> None:
        zones = []
        for i in range(30):
            zone = Zone(names.parse(f"z{i}."))
            zone.add("@", "SOA", 60, "ns. root. 1 3600 600 86400 300")
            zones.append(zone)
        async with (
            world("primary", "copy") as (first, second),
            serving(first, *zones, access=ANY),
            Secondaries(second, second, Zones(), transfers=2, wall=lambda: WALL) as copies,
        ):
            for zone in zones:
                copies.keep(zone.name, [Primary(PRIMARY)])
            with pytest.raises(UsageError, match="kept already"):
                copies.keep("Z0.", [Primary(PRIMARY)])
            await on.sleep(5)
            assert len(copies.zones) == 30
            await copies.forget("z0.")
            assert copies.find(names.parse("z0.")) is None and copies.zones.exact(names.parse("z0.")) is not None
            copies.keep("z0.", [Primary(PRIMARY)], zone=copies.zones.exact(names.parse("z0.")))
            await on.sleep(5)
            assert copies.mib.UpToDate == 1
            copies.keep("another.", [Primary("10.0.0.77")])  # under way when all is closed
            await on.sleep(0.001)

    on.run(test)


@runtimes
def test_an_update_reaches_the_copy(on: Both) -> None:
    async def test(_: Any) -> None:
        zone = make()
        async with (
            world("primary", "copy") as (first, second),
            serving(first, zone, access=ANY) as server,
            serving(second) as other,
            Notifier(first, wall=lambda: WALL) as teller,
            copying(second, other) as copies,
        ):
            server.desk.orders.changed.append(lambda zone: teller.tell(zone, [Target(COPY)]))
            copies.keep("example.", [Primary(PRIMARY)])
            await on.sleep(1)
            m = Message(7, 0x2800)
            m.question.append(Question(ORIGIN, 6))
            m.authority.append(Record(names.parse("born.example."), 1, 1, 60, bytes([192, 0, 2, 1])))
            assert (await over_udp(second, PRIMARY, m)).rcode == 0
            assert (await over_udp(second, COPY, m)).rcode == 9, "a copy takes no updates"
            await on.sleep(1)
            assert contents(other.zones.exact(ORIGIN)) == contents(zone) and zone.serial == 2

    on.run(test)
