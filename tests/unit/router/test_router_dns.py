"""The DNS of guests: three hosts on a wire, guest, router and a server of the world."""

import asyncio
import contextlib
import os

import pytest

import netstack
from netstack.address import Cidr, Ip4
from netstack.dns.client.errors import LookupTimedOut, NameNotFound
from netstack.dns.message import Question
from netstack.dns.resolve.job import Outcome
from netstack.router.services.dns import GuestDns
from netstack.router.services.names import LocalNames
from netstack.router.services.upstreams import SystemFinder, finder_for
from netstack.testing.net import World

GUEST, OTHER = "10.0.0.3", "10.0.0.4"


class Lab:
    """`told` is what was told of answers, `asked` counts questions that reached the world."""

    def __init__(self, net, server, told, dns):
        self.dns = dns
        self.guest, self.other = net
        self.server = server
        self.told = told

    def asked(self):
        return self.server.counters()["Door"]["Queries"]


def run(program, **said):
    async def main():
        world = World(seed=5)
        upstream, router, guest, other = (world.host(name) for name in ("world", "router", "guest", "other"))
        zone = netstack.Zone(b"\7example\0")
        zone.add("@", "SOA", 300, "ns host 1 7200 3600 1209600 60")
        zone.add("@", "NS", 300, "ns")
        zone.add("www", "A", 120, "192.0.2.1")
        zone.add("www", "A", 120, "192.0.2.2")
        zone.add("alias", "CNAME", 60, "www")
        zone.add("web", "HTTPS", 300, "1 . alpn=h2 ipv4hint=192.0.2.9")
        zone.add("txt", "TXT", 300, '"hello"')
        told = []
        async with netstack.open_world(world), netstack.serve_dns(upstream.net, zone) as server:
            names = LocalNames(
                router.address.address, Cidr.parse("10.0.0.0/24"), leased=lambda name: Ip4.parse(GUEST) if name == "box" else None
            )
            dns = GuestDns(
                router.net, router.net, names, servers=[str(upstream.address.address)],
                on_answer=lambda guest, name, addresses, ttl: told.append((str(guest), name, sorted(map(str, addresses)), ttl)),
                **said,
            )  # fmt: skip
            await dns.start([str(router.address.address)])
            for host in (guest, other):
                host.net.dns = [str(router.address.address)]
            try:
                await program(Lab((guest.net, other.net), server, told, dns))
            finally:
                await dns.aclose()

    netstack.run_virtual(main())


def test_every_guest_is_noted_for_what_it_was_told_even_from_the_cache():
    async def program(lab):
        assert (await lab.guest.resolve("www.example")).addresses == ["192.0.2.1", "192.0.2.2"]
        asked = lab.asked()
        assert sorted((await lab.other.resolve("WWW.example")).addresses) == ["192.0.2.1", "192.0.2.2"]
        assert lab.asked() == asked  # the cache's
        both = ["192.0.2.1", "192.0.2.2"]
        assert [each[:3] for each in lab.told] == [(GUEST, "www.example", both), (OTHER, "www.example", both)]
        assert all(119 <= each[3] <= 120 for each in lab.told)

    run(program)


def test_an_alias_is_told_by_the_name_that_was_asked_for():
    async def program(lab):
        await lab.guest.resolve("alias.example")
        assert lab.told == [(GUEST, "alias.example", ["192.0.2.1", "192.0.2.2"], 120)]

    run(program)


def test_hints_are_addresses_too_and_texts_are_none():
    async def program(lab):
        await lab.guest.resolve("web.example", "HTTPS")
        await lab.guest.resolve("txt.example", "TXT")
        assert lab.told == [(GUEST, "web.example", ["192.0.2.9"], 300)]

    run(program)


def test_what_the_router_knows_does_not_reach_the_world():
    async def program(lab):
        assert (await lab.guest.resolve("host.internal")).addresses == ["10.0.0.2"]
        assert (await lab.guest.resolve("box.internal")).addresses == [GUEST]
        assert (await lab.guest.resolve("box")).addresses == [GUEST]
        (pointer,) = await lab.guest.resolve("2.0.0.10.in-addr.arpa", "PTR")
        assert b"\4host\x08internal\0" in tuple(pointer)
        for name in ("nobody.internal", "9.0.0.10.in-addr.arpa"):
            with pytest.raises(NameNotFound):
                await lab.guest.resolve(name)
        assert lab.asked() == 0
        assert lab.told[0] == (GUEST, "host.internal", ["10.0.0.2"], 60)

    run(program)


def test_policy_may_refuse_and_make_up():
    def may_ask(guest, name, type):
        if name == "ads.example":
            return False
        if name == "moved.example" and str(guest) == GUEST:
            return ["192.0.2.77"]
        return name != "host.internal"

    async def program(lab):
        for name in ("ads.example", "host.internal"):
            with pytest.raises(NameNotFound):
                await lab.guest.resolve(name)
        assert (await lab.guest.resolve("moved.example")).addresses == ["192.0.2.77"]
        assert lab.asked() == 0
        assert lab.told == [(GUEST, "moved.example", ["192.0.2.77"], 30)]
        with pytest.raises(NameNotFound):
            await lab.other.resolve("moved.example")
        assert lab.asked() > 0

    run(program, may_ask=may_ask)


def test_a_guest_that_asks_for_nothing_but_silence_leaves_places_for_the_others():
    async def program(lab):
        lab.server.desk.answer("*.slow.example.", lambda question, client: asyncio.sleep(60))

        async def ask(i):
            with contextlib.suppress(OSError):
                await lab.guest.resolve(f"n{i}.slow.example", timeout=3)

        assert lab.dns.desk._share == 250
        lab.dns.desk._share = 25  # the same in little
        flood = [asyncio.ensure_future(ask(i)) for i in range(30)]
        await asyncio.sleep(1)
        assert lab.dns.desk.pending == 25
        assert lab.dns.desk.mib.PendingRej >= 5
        assert len((await lab.other.resolve("www.example")).addresses) == 2
        await asyncio.gather(*flood)
        await asyncio.sleep(15)
        assert (lab.dns.desk.pending, lab.dns.desk._owed, dict(lab.dns.desk._waiting)) == (0, {}, {})

    run(program)


def test_answers_over_tcp_are_told_too():
    async def program(lab):
        lab.guest.dns = ["tcp://10.0.0.2"]
        await asyncio.gather(*(lab.guest.resolve("www.example") for _ in range(3)))
        assert {each[:2] for each in lab.told} == {(GUEST, "www.example")}

    run(program)


# -- whom to ask ---------------------------------------------------------------------------------------------------


def test_the_hosts_servers_are_read_again_when_they_change(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    finder = SystemFinder(str(path), str(tmp_path / "none"))
    asked = lambda: [each.address for each in finder.servers()]  # noqa: E731
    assert asked() == ["192.0.2.1"]
    question = Question(b"\1a\7example\0", 1)
    finder.seek(question, 0)
    path.write_text("nameserver 192.0.2.2\nnameserver 192.0.2.3\n")
    os.utime(path, ns=(1, 1))
    finder.seek(question, 500_000_000)
    assert asked() == ["192.0.2.1"]
    finder.seek(question, 1_000_000_001)
    assert asked() == ["192.0.2.2", "192.0.2.3"]
    path.unlink()
    finder.seek(question, 3_000_000_000)
    assert asked() == ["192.0.2.2", "192.0.2.3"]


def test_without_servers_every_question_fails_until_there_is_one(tmp_path):
    path = tmp_path / "resolv.conf"
    finder = SystemFinder(str(path), str(path))
    question = Question(b"\1a\7example\0", 1)
    outcome = finder.seek(question, 0)
    assert isinstance(outcome, Outcome)
    assert (outcome.rcode, outcome.error) == (2, (22, f"{path} names no server"))
    path.write_text("nameserver 192.0.2.1\n")
    assert not isinstance(finder.seek(question, 2_000_000_000), Outcome)


def test_a_router_whose_host_has_no_server_says_so_to_its_guests(tmp_path):
    path = str(tmp_path / "none")

    async def main():
        world = World(seed=5)
        router, guest = world.host("router"), world.host("guest")
        async with netstack.open_world(world):
            dns = GuestDns(
                router.net, router.net, LocalNames(router.address.address, router.address), servers=SystemFinder(path, path)
            )
            await dns.start([str(router.address.address)])
            guest.net.dns = [str(router.address.address)]
            with pytest.raises(LookupTimedOut, match="names no server"):
                await guest.net.resolve("www.example")
            await dns.aclose()

    netstack.run_virtual(main())


def test_servers_are_the_systems_or_a_list():
    assert [each.address for each in finder_for(["192.0.2.1"]).servers()] == ["192.0.2.1"]
    with pytest.raises(netstack.UsageError, match='write "system"'):
        finder_for("192.0.2.1")
