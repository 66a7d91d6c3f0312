"""Server and client on stacks: in a world without a loop, and by `netstack.open`."""

import asyncio
import random

import pytest

import netstack
from netstack.address import Cidr, Ip4, Mac
from netstack.dhcp.onstack import ClientOnStack, ServerOnStack
from netstack.dhcp.server import DhcpConfig
from netstack.errors import TimedOut, UsageError
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.stack import Stack, StackConfig
from netstack.testing.net import World, WorldTurn
from netstack.testing.wire import Wire

OWN = Cidr.parse("10.0.2.2/24")


def config(**said):
    said = {"lease": Duration(600 * SECOND), "router": OWN.address, "dns": (OWN.address,), "mtu": 1400} | said
    return DhcpConfig(own=OWN, first=Ip4.parse("10.0.2.100"), last=Ip4.parse("10.0.2.110"), **said)


class Lan:
    """A server and clients on the wire of a world."""

    def __init__(self, seed=1, **said):
        self.world = World(seed=seed)
        self.turn = WorldTurn(self.world.clock)
        self.router = self.world.host("router", str(OWN))
        self.server = ServerOnStack(self.router.stack, self.turn, config(**said))
        self.server.start()

    def client(self, name, mac=None, probe=False, **said):
        stack = Stack(self.world.wire.port(name, mac), now=self.world.now, rng=random.Random(name), config=StackConfig(probe=probe))
        self.world.clock.add(stack, name)
        client = ClientOnStack(stack, self.turn, random.Random(name), hostname=name, **said)
        client.start(self.world.now)
        return client

    def run(self, seconds):
        self.world.run(self.world.now + int(seconds * SECOND))


def test_a_stack_without_an_address_gets_one_and_can_be_reached():
    lan = Lan()
    leases = []
    client = lan.client("box", on_lease=leases.append)
    lan.run(0.1)
    stack = client._stack
    assert [str(each) for each in stack.addresses] == ["10.0.2.100/24"]
    assert (stack.ip.interfaces[0].mtu, stack.tentative) == (1400, set())
    assert str(stack.ip.route_table[-1]) == "0.0.0.0/0 by 10.0.2.2, interface 0"
    assert leases[0].dns == (OWN.address,)
    pings = []
    lan.router.stack.icmp.on_echo_reply(7, lambda *said: pings.append(said), lambda *said: None)
    lan.router.stack.icmp.ping(int(Ip4.parse("10.0.2.100")), 7, 1, b"x" * 1300, lan.world.now)
    lan.run(0.1)
    assert len(pings) == 1


def test_a_client_without_the_broadcast_flag_is_answered_at_its_link_address():
    lan = Lan()
    frames = []
    lan.world.wire.tamper(lambda name, frame: frames.append((name, frame)) or frame)
    from netstack.dhcp import message as msg
    from netstack.dhcp.const import Kind, Option

    host = lan.world.host("old", "10.0.2.50/24")  # only to have a port that sends what we want
    data, _ = msg.build(msg.DhcpMessage(xid=1, chaddr=bytes(host.stack.netif.mac), options={Option.KIND: bytes((Kind.DISCOVER,))}))
    host.sockets  # noqa: B018 (settles it)
    from netstack.adapters import PyDatagramUser

    class Deaf:
        def on_datagram(self, *said):
            pass

        def on_error(self, *said):
            pass

    host.stack.udp.bind(0, 68, PyDatagramUser(Deaf())).send(data, 0xFFFFFFFF, 67, lan.world.now)
    lan.run(0.1)
    replies = [frame for name, frame in frames if name == "router" and frame[12:14] == b"\x08\0"]
    assert [frame[:6] for frame in replies] == [bytes(host.stack.netif.mac)]
    assert replies[0][30:34] == bytes(Ip4.parse("10.0.2.100"))
    assert not [
        frame
        for name, frame in frames
        if name == "router" and frame[12:14] == b"\x08\6" and frame[21] == 1 and frame[38:42] == bytes(Ip4.parse("10.0.2.100"))
    ]


def test_leases_are_renewed_for_ever_and_given_back():
    lan = Lan()
    client = lan.client("box")
    lan.run(4000)
    assert lan.server.core.mib.InRequests >= 12
    assert [each.hostname for each in lan.server.core.leases] == ["box"]
    client.stop()
    lan.run(1)
    assert list(lan.server.core.leases) == []
    client.stop()


def test_an_expired_lease_takes_the_address_away_until_the_server_is_back():
    lan = Lan()
    client = lan.client("box")
    lan.run(1)
    lan.router.crash()
    lan.run(700)
    assert (client._stack.addresses, client.lease) == ([], None)
    assert client._stack.ip.route_table == []
    lan.router.restart()
    lan.server = ServerOnStack(lan.router.stack, lan.turn, config())
    lan.server.start()
    lan.run(130)
    assert [str(each) for each in client._stack.addresses] == ["10.0.2.100/24"]


def test_a_probing_client_declines_what_somebody_has():
    lan = Lan()
    lan.world.host("squatter", "10.0.2.100/24").stack  # noqa: B018 (brings it to life)
    client = lan.client("careful", probe=True)
    lan.run(60)
    assert lan.server.core.mib.Declined == 1
    assert [str(each) for each in client._stack.addresses] == ["10.0.2.101/24"]
    assert client._stack.tentative == set()


def test_a_probing_server_does_not_offer_what_somebody_has():
    lan = Lan(probe=Duration(500 * MILLISECOND))
    lan.world.host("squatter", "10.0.2.100/24").stack  # noqa: B018
    client = lan.client("box")
    lan.run(5)
    assert lan.server.core.mib.Conflicts == 1
    assert [str(each) for each in client._stack.addresses] == ["10.0.2.101/24"]


def test_forty_clients_at_once_get_forty_addresses(seed):
    lan = Lan(seed)
    lan.server.close()
    lan.server = ServerOnStack(
        lan.router.stack, lan.turn,
        DhcpConfig(own=OWN, first=Ip4.parse("10.0.2.100"), last=Ip4.parse("10.0.2.220"), limit=121),
    )  # fmt: skip
    lan.server.start()
    clients = [lan.client(f"c{i}") for i in range(40)]
    lan.run(20)
    addresses = [str(each.lease.address) for each in clients]
    assert len(set(addresses)) == 40


def test_guests_are_told_apart_by_who_knows_them():
    lan = Lan(limit=1)
    lan.server.close()
    names = {1: "one", 2: "two"}
    lan.server = ServerOnStack(lan.router.stack, lan.turn, config(), guest_of=lambda mac: names.get(mac & 0xFF, "?"))
    lan.server.start()
    lan.client("a", Mac.parse("02:00:00:00:10:01"))
    lan.client("b", Mac.parse("02:00:00:00:10:02"))
    lan.run(1)
    assert sorted(each.guest for each in lan.server.core.leases) == ["one", "two"]


def test_a_server_needs_its_address_and_a_client_a_link():
    world = World()
    host = world.host("x", "10.9.0.1/24")
    with pytest.raises(UsageError, match="not an address of this stack"):
        ServerOnStack(host.stack, WorldTurn(world.clock), config())
    tun = Stack(Wire(ethernet=False).port("tun"), now=world.now, rng=random.Random(1))
    with pytest.raises(UsageError, match="no link addresses"):
        ClientOnStack(tun, WorldTurn(world.clock), random.Random(1))


def test_a_neighbour_can_be_learnt_but_not_from_nonsense():
    world = World()
    arp = world.host("x", "10.9.0.1/24").stack.arp
    arp.add_heard(int(Ip4.parse("10.9.0.7")), Mac.parse("02:00:00:00:00:07"), world.now)
    assert str(arp.table()[0]) == "10.9.0.7 02:00:00:00:00:07 STALE"
    for ip, mac in (("10.9.0.1", 2), ("255.255.255.255", 2), ("10.9.0.7", 1 << 40), ("10.9.0.7", 0)):
        with pytest.raises(UsageError):
            arp.add_heard(int(Ip4.parse(ip)), mac, world.now)


# -- netstack.open(…, ip="dhcp") ----------------------------------------------------------------------------------------------


async def _opened(wire, **said):
    async with netstack.open(wire.port("router"), addresses=[str(OWN)], seed=1) as router:
        server = ServerOnStack(router.stack, router.turn, config())
        server.start()
        async with netstack.open(wire.port("box"), ip="dhcp", seed=2, **said) as net:
            answered = await net.ping("10.0.2.2", timeout=5)
            assert net.addresses == ["10.0.2.100/24"]
            assert answered >= 0
            yield server, net
        await asyncio.sleep(1)
        assert list(server.core.leases) == []  # given back
        server.close()


def test_open_returns_when_the_address_is_usable():
    async def main():
        async for server, net in _opened(Wire(delay=5 * MILLISECOND)):
            assert net.dhcp.lease.mtu == 1400
            assert [str(each.address) for each in net.dns.finder.servers()] == ["10.0.2.2"]
            assert len(list(server.core.leases)) == 1

    netstack.run_virtual(main())


def test_open_keeps_the_name_servers_that_it_was_given():
    async def main():
        async for _, net in _opened(Wire(), dns=["10.0.2.77"]):
            assert [str(each.address) for each in net.dns.finder.servers()] == ["10.0.2.77"]

    netstack.run_virtual(main())


def test_open_probes_first_where_it_is_told_to():
    async def main():
        async for _, net in _opened(Wire(), config=StackConfig(probe=True)):
            assert net.stack.tentative == set()
            assert net.now() > 3 * SECOND

    netstack.run_virtual(main())


def test_open_gives_up_where_nobody_answers():
    async def main():
        with pytest.raises(TimedOut, match="no DHCP server answers on box: give the host an address"):
            async with netstack.open(Wire().port("box"), ip="dhcp"):
                pass

    netstack.run_virtual(main())


def test_open_on_trio():
    trio = pytest.importorskip("trio")
    from trio.testing import MockClock

    async def main():
        wire = Wire()
        async with netstack.open(wire.port("router"), addresses=[str(OWN)], seed=1) as router:
            server = ServerOnStack(router.stack, router.turn, config())
            server.start()
            async with netstack.open(wire.port("box"), ip="dhcp", seed=2) as net:
                assert net.addresses == ["10.0.2.100/24"]
            server.close()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"ip": "auto"}, "write ip=10.79.0.2/24, or ip=dhcp"),
        ({"ip": "10.0.0.9"}, "has no prefix length"),
        ({"ip": "10.0.0.9/24", "addresses": ["10.0.0.1/24"]}, "or one in ip"),
        ({"ip": "dhcp", "addresses": ["10.0.0.1/24"]}, "leave them out"),
        ({"ip": "dhcp", "gateway": "10.0.0.1"}, "leave them out"),
    ],
)
def test_open_says_what_does_not_go_together(said, message):
    async def main():
        with pytest.raises(UsageError, match=message):
            async with netstack.open(Wire().port("box"), **said):
                pass

    netstack.run_virtual(main())


@pytest.mark.parametrize(("spec", "said"), [("", {"ip": "10.0.0.9/24"}), ("?ip=10.0.0.9/24", {})])
def test_open_takes_an_address_as_ip_too(spec, said):
    async def main():
        device = "loopback:" + spec if spec else Wire().port("box")
        async with netstack.open(device, **said) as net:
            assert "10.0.0.9/24" in net.addresses

    netstack.run_virtual(main())
