"""The server beside others: under TLS, with copies of its zones, told and telling, and asking from the root down."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dns_desk import N, opt, option, query, small_zone
from dns_world import RUNTIMES, Both, world
from test_dns_server import AT, Line, over_udp, serving

import netstack
from netstack.dns.authority.access import Access
from netstack.dns.authority.notify import Target
from netstack.dns.authority.secondary import Primary
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Message, Question, Record
from netstack.dns.numbers import Opcode, Rcode, Type
from netstack.dns.resolve.recursion import Recursion
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.server import DnsServer
from netstack.dns.stream import Deframer
from netstack.instant import SECOND, Duration
from netstack.tls import Tls

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)


@pytest.fixture(scope="module")
def contexts() -> tuple[Any, Any]:
    import ssl

    import trustme

    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("10.0.0.2").configure_cert(ours)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(theirs)
    return ours, theirs


@runtimes
def test_under_tls_answers_are_padded_for_who_pads(on: Both, contexts: tuple[Any, Any]) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net), serving(net) as server:
            await server.listen_streams(Tls(net, server=contexts[0]))
            stream = await Tls(client, client=contexts[1]).connect_stream(AT, 853)
            wire = query("www.example.", edns=opt(options=option(12, bytes(20))))
            await stream.send_all(len(wire).to_bytes(2, "big") + wire)
            (answer,) = Deframer().feed(await stream.receive())
            assert len(answer) == 468
            line = Line(stream)
            await line.send(query("www.example."))
            m = await line.message()
            assert m is not None and len(m.answer) == 2
            await stream.aclose()

    on.run(test)


def update(text: str) -> bytes:
    m = Message(7, int(Opcode.UPDATE) << 11)
    m.question = [Question(N("example."), Type.SOA)]
    m.authority = [Record(N(text), Type.A, 1, 60, b"\1\2\3\4")]
    return m.encode()


@runtimes
def test_an_update_of_the_primary_is_at_the_secondary_in_a_moment(on: Both) -> None:
    async def test(_: Any) -> None:
        access = Access(transfer="10.0.0.3", update="10.0.0.1")
        async with (
            world("client", "primary", "secondary") as (client, first, second),
            serving(first, access=access) as primary,
            DnsServer(second, second) as copy,
        ):
            primary.notify(Target("10.0.0.3"))
            await copy.listen(53)
            copy.secondary("example.", [Primary("10.0.0.2")])
            await on.sleep(1)
            assert [zone.serial for zone in copy.zones] == [7]
            assert (await over_udp(client, update("new.example.")))[0].rcode == 0
            await on.sleep(5)
            assert [zone.serial for zone in copy.zones] == [8]
            assert (primary.mib.UpdateDone, primary.mib.XfrReqDone, copy.mib.NotifyIn) == (1, 2, 1)
            port = await client.bind_datagrams(remote=("10.0.0.3", 53))
            await port.send(query("new.example."))
            answer, _ = await port.receive(Duration(3 * SECOND))
            assert answer.endswith(b"\1\2\3\4")
            await port.send(update("more.example."))
            answer, _ = await port.receive(Duration(3 * SECOND))
            assert answer[3] & 15 == Rcode.NOTAUTH
            await port.aclose()

    on.run(test)


@runtimes
def test_a_server_that_begins_at_the_root_finds_what_others_serve(on: Both) -> None:
    async def test(_: Any) -> None:
        root = Zone(N("."))
        root.add("@", "SOA", 60, "ns.root. host.root. 1 7200 900 1209600 300")
        root.add("@", "NS", 60, "ns.root.")
        root.add("ns.root.", "A", 60, "10.0.0.3")
        root.add("example.", "NS", 60, "ns.example.")
        root.add("ns.example.", "A", 60, "10.0.0.4")
        async with world("client", "resolver", "root", "host") as (client, net, above, below):
            finder = Recursion({"ns.root.": "10.0.0.3"}, random.Random(5))
            config = DnsConfig(recursion=("10.0.0.0/24",))
            async with serving(above, root), serving(below), DnsServer(net, net, finder=finder, config=config) as server:
                await server.listen(53)
                (m,) = await over_udp(client, query("www.example.", flags=0x0100))
                assert m.ra and [r.rdata for r in m.answer] == [bytes((192, 0, 2, 80)), bytes((192, 0, 2, 81))]
                (m,) = await over_udp(client, query("nobody.example.", flags=0x0100))
                assert m.rcode == Rcode.NXDOMAIN
                (m,) = await over_udp(client, query("nowhere.", flags=0x0100))
                assert m.rcode == Rcode.NXDOMAIN

    on.run(test)


def test_names_of_the_package_lead_to_the_server() -> None:
    assert netstack.DnsServer is DnsServer
    assert netstack.Zone is type(small_zone())


class Bare:
    """A stack that gives nothing but what `DatagramStack` promises: no short way in front."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self.ports: list[BarePort] = []

    async def bind_datagrams(self, port: int = 0, host: str = "", remote: Any = None) -> BarePort:
        made = BarePort(await self._net.bind_datagrams(port, host, remote))
        self.ports.append(made)
        return made


class BarePort:
    def __init__(self, below: Any) -> None:
        self._below = below
        self.faults = 0
        self.local_address = below.local_address
        self.send, self.aclose = below.send, below.aclose

    async def receive(self, timeout: Any = None) -> Any:
        if self.faults:
            self.faults -= 1
            raise netstack.Refused
        return await self._below.receive(timeout)


@runtimes
def test_on_a_stack_of_others_a_task_receives_and_bears_what_the_network_answers(on: Both) -> None:
    async def test(_: Any) -> None:
        async with world("client", "server") as (client, net):
            stack = Bare(net)
            async with DnsServer(stack, net, [small_zone()]) as server:
                await server.listen(53)
                server.desk.answer("later.example.", lambda question, asker: _later(on))
                for _ in range(4):
                    found = await over_udp(client, *(query("www.example.", id=i) for i in range(25)))
                    assert [m.id for m in found] == list(range(25))
                (m,) = await over_udp(client, query("later.example."))
                assert m.rcode == Rcode.NXDOMAIN
                stack.ports[0].faults = 18
                await over_udp(client, query("www.example."))
                begun = on.now()
                await over_udp(client, query("www.example."), wait=10)
                assert SECOND < on.now() - begun < 4 * SECOND  # a port that does nothing but fail is given a rest
                assert server.mib.QryUDP == 103

    on.run(test)


async def _later(on: Both) -> int:
    await on.sleep(0.1)
    return Rcode.NXDOMAIN
