"""The client without sockets, against the server without sockets, and against servers that lie."""

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.address import Cidr, Ip4, Mac
from netstack.dhcp import message as msg
from netstack.dhcp import options as opt
from netstack.dhcp.client import Check, ClientConfig, DhcpClient, Drop, Send, State, Use
from netstack.dhcp.const import BOOTREPLY, Kind, Option
from netstack.dhcp.message import DhcpMessage
from netstack.dhcp.server import DhcpConfig, DhcpServer
from netstack.instant import SECOND, Duration, Instant

MAC = Mac.parse("02:00:00:00:00:01")
EVERYBODY = Ip4.parse("255.255.255.255")


def a_server(**said):
    own = Cidr.parse("10.0.2.2/24")
    said = {"lease": Duration(3600 * SECOND), "router": own.address, "dns": (Ip4.parse("10.0.2.3"),), "mtu": 1400} | said
    return DhcpServer(DhcpConfig(own=own, first=Ip4.parse("10.0.2.100"), last=Ip4.parse("10.0.2.110"), **said))


class Life:
    """A client, what it did, and a server that may be away."""

    def __init__(self, seed=1, server=None, previous=None, **config):
        self.client = DhcpClient(MAC, random.Random(seed), ClientConfig(**config), previous)
        self.server = server or a_server()
        self.away = False
        self.now = Instant(0)
        self.sent = []
        self.log = []

    def do(self, actions):
        """What the client wants done; the server answers at once."""
        for action in actions:
            if not isinstance(action, Send):
                self.log.append(action)
                continue
            m = msg.parse(action.data)
            self.sent.append((self.now // SECOND, m.kind, str(action.to), str(action.source)))
            if not self.away:
                for reply in self.server.receive(action.data, mac=int(MAC), now=self.now):
                    self.do(self.client.receive(reply.data, self.now))

    def start(self):
        self.do(self.client.start(self.now))

    def until(self, seconds):
        while self.client.next_deadline() <= seconds * SECOND:
            self.now = Instant(max(self.client.next_deadline(), self.now))
            self.do(self.client.run(self.now))
        self.now = Instant(seconds * SECOND)

    @property
    def lease(self):
        return self.client.lease


def test_four_messages_make_a_lease():
    life = Life(hostname="box")
    life.start()
    assert [kind for _, kind, *_ in life.sent] == [Kind.DISCOVER, Kind.REQUEST]
    assert {to for *_, to, source in life.sent} == {"255.255.255.255"}
    (use,) = life.log
    lease = use.lease
    assert (str(lease.address), lease.routers, lease.dns, lease.mtu) == (
        "10.0.2.100/24", (Ip4.parse("10.0.2.2"),), (Ip4.parse("10.0.2.3"),), 1400
    )  # fmt: skip
    assert (lease.t1, lease.t2, lease.ends) == (1800 * SECOND, 3150 * SECOND, 3600 * SECOND)
    assert life.server.leases.named("box") is not None


def test_the_lease_is_renewed_with_its_server_at_t1():
    life = Life()
    life.start()
    life.until(1801)
    assert life.sent[2:] == [(1800, Kind.REQUEST, "10.0.2.2", "10.0.2.100")]
    assert life.client.state is State.BOUND
    assert life.lease.ends == 5400 * SECOND


def test_a_silent_server_is_asked_again_then_everybody_then_the_lease_ends():
    life = Life()
    life.start()
    life.away = True
    life.until(3599)
    asked = life.sent[2:]
    assert [to for _, _, to, _ in asked if to != "10.0.2.2"] == ["255.255.255.255"] * sum(at >= 3150 for at, *_ in asked)
    assert [at for at, *_ in asked][:3] == [1800, 2475, 2812]  # half of what is left, each time
    assert all(later - earlier >= 60 for (earlier, *_), (later, *_) in pairwise(asked) if later < 3150)
    life.until(3601)
    assert isinstance(life.log[-1], Drop)
    assert life.client.state is State.SELECTING
    assert life.sent[-1][1] is Kind.DISCOVER
    life.away = False
    life.until(3700)
    assert life.client.state is State.BOUND


def test_the_search_slows_down_to_a_minute():
    life = Life()
    life.away = True
    life.start()
    life.until(600)
    times = [at for at, *_ in life.sent]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for gap, expected in zip(gaps, (4, 8, 16, 32, 64, 64, 64), strict=False):
        assert abs(gap - expected) <= 2
    assert len({msg.parse(life.client.run(Instant(life.client.next_deadline()))[0].data).xid for _ in range(3)}) == 1


def test_an_address_from_before_is_asked_for_again():
    life = Life()
    life.start()
    again = Life(seed=2, server=life.server, previous=life.lease)
    again.start()
    assert [kind for _, kind, *_ in again.sent] == [Kind.REQUEST]
    assert again.lease.address == life.lease.address
    elsewhere = Life(seed=3, server=a_server(), previous=life.lease)
    elsewhere.server.leases.set_aside(int(life.lease.address.address), "", Instant(SECOND * 9999), Instant(0))
    elsewhere.start()
    assert [kind for _, kind, *_ in elsewhere.sent] == [Kind.REQUEST, Kind.DISCOVER, Kind.REQUEST]
    assert str(elsewhere.lease.address) == "10.0.2.101/24"


def test_a_taken_address_is_declined_and_another_is_had_after_ten_seconds():
    life = Life(check=True)
    life.start()
    (check,) = life.log
    assert isinstance(check, Check)
    assert life.client.state is State.CHECKING
    life.do(life.client.taken(life.now))
    assert life.sent[-1][1] is Kind.DECLINE
    assert life.server.mib.Declined == 1
    life.until(9)
    assert len(life.sent) == 3
    life.until(11)
    life.do(life.client.free(life.now))
    assert str(life.lease.address) == "10.0.2.101/24"
    assert life.client.free(life.now) == []


def test_a_refusal_ends_the_use_of_the_address():
    life = Life()
    life.start()
    life.server = a_server()
    life.server.leases.set_aside(int(life.lease.address.address), "", Instant(SECOND * 9999), Instant(0))
    life.until(1800)
    assert isinstance(life.log[1], Drop)
    life.until(1802)
    assert str(life.lease.address) == "10.0.2.101/24"


def test_stopping_gives_the_address_back():
    life = Life()
    life.start()
    life.do(life.client.stop(life.now))
    assert life.sent[-1][1:] == (Kind.RELEASE, "10.0.2.2", "10.0.2.100")
    assert list(life.server.leases) == []
    assert life.client.stop(life.now) == []
    assert life.client.receive(b"", life.now) == []


def reply(client, kind=Kind.OFFER, address="10.0.2.100", **said):
    options = {
        Option.KIND: bytes((kind,)), Option.SERVER: bytes(Ip4.parse("10.0.2.2")), Option.LEASE: opt.pack_number(3600, 4),
        Option.MASK: b"\xff\xff\xff\0",
    }  # fmt: skip
    for name, data in said.items():
        options[Option[name.upper()]] = data
    options = {code: data for code, data in options.items() if data is not None}
    return msg.build(DhcpMessage(BOOTREPLY, client._xid, bytes(MAC), options, yiaddr=Ip4.parse(address)))[0]


def test_offers_that_nobody_can_live_with_are_not_taken():
    client = DhcpClient(MAC, random.Random(1))
    client.start(Instant(0))
    bad = [
        reply(client, address="127.0.0.1"), reply(client, address="0.0.0.0"), reply(client, address="224.0.0.1"),
        reply(client, address="10.0.2.255"), reply(client, address="10.0.2.0"), reply(client, lease=None),
        reply(client, lease=bytes(4)), reply(client, lease=b"\1"), reply(client, server=None), reply(client, mask=b"\xff\0\xff\0"),
    ]  # fmt: skip
    for each in bad:
        assert client.receive(each, Instant(1)) == []
    assert (client.mib.InErrors, client.state) == (len(bad), State.SELECTING)
    assert client.receive(reply(client, mtu=b"\0\x45", routes=b"\xff", domain=b"\xff", search=b"\xff", dns=b"\1"), Instant(1))


def test_odd_times_become_the_usual_ones():
    for t1, t2 in ((b"\xff" * 4, b"\xff" * 4), (bytes(4), bytes(4)), (b"\0\0\x0d\0", b"\0\0\x01\0"), (b"x", b"y")):
        client = DhcpClient(MAC, random.Random(1))
        client.start(Instant(0))
        client.receive(reply(client), Instant(0))
        (use,) = client.receive(reply(client, Kind.ACK, t1=t1, t2=t2), Instant(0))
        assert 0 < use.lease.t1 <= use.lease.t2 < use.lease.ends == 3600 * SECOND
    client = DhcpClient(MAC, random.Random(1))
    client.start(Instant(0))
    client.receive(reply(client), Instant(0))
    (use,) = client.receive(reply(client, Kind.ACK, lease=b"\xff" * 4), Instant(0))
    assert isinstance(use, Use)
    assert client.next_deadline() == use.lease.ends > 1 << 62  # it never ends


def test_an_acknowledgement_of_another_address_is_not_believed():
    client = DhcpClient(MAC, random.Random(1))
    client.start(Instant(0))
    client.receive(reply(client), Instant(0))
    assert client.receive(reply(client, Kind.ACK, "10.0.2.101"), Instant(0)) == []
    assert client.receive(reply(client, Kind.NAK, server=b"\x0a\0\2\x09"), Instant(0)) == []
    assert client.mib.InNaks == 0
    assert client.receive(reply(client, Kind.ACK), Instant(0))


OPTIONS = st.dictionaries(st.integers(1, 254), st.binary(max_size=12), max_size=6)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(list(Kind)), OPTIONS), max_size=8))
def test_no_server_breaks_a_client(replies):
    client = DhcpClient(MAC, random.Random(1), ClientConfig(check=True))
    client.start(Instant(0))
    now = Instant(0)
    for kind, options in replies:
        said = {Option.KIND: bytes((kind,)), Option.SERVER: b"\x0a\0\2\2", Option.LEASE: b"\0\0\0\x09", **options}
        said.pop(Option.OVERLOAD, None)
        data, _ = msg.build(DhcpMessage(BOOTREPLY, client._xid, bytes(MAC), said, yiaddr=Ip4.parse("10.0.2.9")), 1472)
        client.receive(data, now)
        client.free(now)
        if client.next_deadline() < 1 << 62:
            now = Instant(max(now, client.next_deadline()))
            client.run(now)
    assert client.mib.snapshot()
