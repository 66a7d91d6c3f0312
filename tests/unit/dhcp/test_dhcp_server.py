"""The server without sockets: what it answers, what it remembers, and what a guest can't make it do."""

import random

import pytest

from netstack.address import Cidr, Ip4, Mac
from netstack.dhcp import message as msg
from netstack.dhcp import options as opt
from netstack.dhcp.const import Kind, Option
from netstack.dhcp.leases import Kept, State
from netstack.dhcp.message import DhcpMessage
from netstack.dhcp.server import DhcpConfig, DhcpServer, Probe, Send, StaticLease
from netstack.errors import UsageError
from netstack.instant import SECOND, Duration, Instant

OWN = Cidr.parse("10.0.2.2/24")
A, B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def config(**said):
    said = {
        "own": OWN, "first": Ip4.parse("10.0.2.100"), "last": Ip4.parse("10.0.2.103"), "router": OWN.address,
        "dns": (Ip4.parse("10.0.2.3"),), "lease": Duration(3600 * SECOND),
    } | said  # fmt: skip
    return DhcpConfig(**said)


class Talk:
    """A server, and what clients say to it. `at` is the time, in seconds."""

    def __init__(self, **said):
        self.changes = []
        self.server = DhcpServer(config(**said), lambda lease: self.changes.append((str(Ip4(lease.address)), lease.state)))
        self.at = 0

    @property
    def now(self):
        return Instant(self.at * SECOND)

    def say(self, kind, mac=A, *, guest="", ciaddr="0.0.0.0", frame=None, **said):
        options = {Option.KIND: bytes((kind,))}
        for key, value in said.items():
            options[Option[key.upper()]] = bytes(Ip4.parse(value)) if key in ("requested", "server") else value
        m = DhcpMessage(xid=5, chaddr=mac, options=options, ciaddr=Ip4.parse(ciaddr))
        source = int.from_bytes(mac if frame is None else frame, "big")
        return self.server.receive(msg.build(m)[0], mac=source, guest=guest, now=self.now)

    def lease(self, mac=A, **said):
        """An address by DISCOVER and REQUEST, as text."""
        (offer,) = self.say(Kind.DISCOVER, mac, **said)
        offered = msg.parse(offer.data)
        (ack,) = self.say(Kind.REQUEST, mac, **{**said, "requested": str(offered.yiaddr), "server": "10.0.2.2"})
        m = msg.parse(ack.data)
        assert (offered.kind, m.kind, m.yiaddr) == (Kind.OFFER, Kind.ACK, offered.yiaddr)
        return str(m.yiaddr)

    def said(self, actions):
        (action,) = actions
        assert isinstance(action, Send)
        return msg.parse(action.data)


def test_a_client_gets_an_address_and_all_that_it_asks_for():
    talk = Talk(domain="lan", search=("lan", "example.org"), mtu=1400, routes=((Cidr.parse("10.9.0.0/16"), Ip4.parse("10.0.2.9")),))
    asked = bytes((Option.ROUTES, Option.MTU, Option.DNS, Option.DOMAIN, Option.SEARCH, Option.ROUTER, Option.NTP))
    (offer,) = talk.say(Kind.DISCOVER, parameters=asked)
    assert (offer.to, offer.mac) == (Ip4.parse("10.0.2.100"), Mac(int.from_bytes(A, "big")))  # it has no address to be asked for
    m = msg.parse(offer.data)
    assert (m.kind, m.xid, str(m.yiaddr)) == (Kind.OFFER, 5, "10.0.2.100")
    assert opt.routes(m.options[Option.ROUTES])[0] == (Cidr.parse("0.0.0.0/0"), OWN.address)
    assert (m.number(Option.MTU, 2), m.options[Option.DOMAIN], m.number(Option.LEASE, 4)) == (1400, b"lan", 3600)
    assert opt.names(m.options[Option.SEARCH]) == ("lan", "example.org")
    assert (m.number(Option.T1, 4), m.number(Option.T2, 4)) == (1800, 3150)
    assert m.options[Option.MASK] == b"\xff\xff\xff\0"
    assert Option.NTP not in m.options
    order = list(m.options)
    assert order.index(Option.ROUTES) < order.index(Option.MTU) < order.index(Option.DNS)


def test_who_asks_for_nothing_is_told_everything():
    m = Talk(mtu=1500).said(Talk(mtu=1500).say(Kind.DISCOVER))
    assert {Option.MASK, Option.ROUTER, Option.DNS, Option.MTU, Option.BROADCAST} <= set(m.options)


def test_addresses_are_given_from_the_first_on_and_kept():
    talk = Talk()
    assert [talk.lease(A), talk.lease(B), talk.lease(A)] == ["10.0.2.100", "10.0.2.101", "10.0.2.100"]
    assert talk.changes == [("10.0.2.100", State.BOUND), ("10.0.2.101", State.BOUND), ("10.0.2.100", State.BOUND)]


def test_the_client_identifier_goes_before_the_hardware_address_and_comes_back():
    talk = Talk()
    assert talk.lease(A, client_id=b"\xff1234") == talk.lease(B, client_id=b"\xff1234") == "10.0.2.100"
    assert talk.said(talk.say(Kind.DISCOVER, B, client_id=b"\xff1234")).options[Option.CLIENT_ID] == b"\xff1234"
    assert talk.lease(B) == "10.0.2.101"


def test_a_broadcast_flag_is_answered_to_everybody():
    talk = Talk()
    m = DhcpMessage(xid=5, chaddr=A, options={Option.KIND: b"\1"}, flags=0x8000)
    (offer,) = talk.server.receive(msg.build(m)[0], now=talk.now)
    assert (str(offer.to), offer.mac) == ("255.255.255.255", None)


def test_a_lease_ends_and_its_address_is_kept_for_its_client_as_long_as_it_can_be():
    talk = Talk()
    assert talk.lease(A) == "10.0.2.100"
    assert talk.server.next_deadline() <= 3600 * SECOND
    talk.at = 3600
    talk.server.run(talk.now)
    assert (talk.changes[-1], talk.server.mib.Expired) == (("10.0.2.100", State.FREE), 1)
    assert talk.lease(B) == "10.0.2.101"  # those that nobody ever had go first
    talk.at = 3700
    assert talk.lease(A) == "10.0.2.100"
    talk.at = 7250
    talk.server.run(talk.now)
    talk.at = 8000
    talk.server.run(talk.now)
    others = [talk.lease(bytes((2, 0, 0, 0, 1, i))) for i in range(4)]
    assert others == ["10.0.2.102", "10.0.2.103", "10.0.2.101", "10.0.2.100"]  # then what was unused for longest
    assert talk.say(Kind.REQUEST, A, requested="10.0.2.100")[0].mac is None
    assert talk.server.mib.OutNaks == 1


def test_the_pool_may_be_empty():
    talk = Talk()
    for i in range(4):
        talk.lease(bytes((2, 0, 0, 0, 1, i)))
    assert talk.say(Kind.DISCOVER, A) == []
    assert talk.server.mib.PoolEmpty == 1
    talk.say(Kind.RELEASE, bytes((2, 0, 0, 0, 1, 2)), ciaddr="10.0.2.102")
    assert talk.lease(A) == "10.0.2.102"


def test_renewing_and_rebinding_are_answered_where_the_client_is():
    talk = Talk()
    talk.lease(A)
    talk.at = 1800
    (ack,) = talk.say(Kind.REQUEST, A, ciaddr="10.0.2.100")
    assert (msg.parse(ack.data).kind, str(ack.to), ack.mac) == (Kind.ACK, "10.0.2.100", None)
    talk.at = 5000
    assert talk.server.run(talk.now) == []
    assert talk.server.leases.by_address[int(Ip4.parse("10.0.2.100"))].state is State.BOUND


def test_a_request_for_what_another_has_is_refused():
    talk = Talk()
    talk.lease(A)
    for said in ({"requested": "10.0.2.100"}, {"ciaddr": "10.0.2.100"}, {"requested": "10.0.2.100", "server": "10.0.2.2"}):
        (nak,) = talk.say(Kind.REQUEST, B, **said)
        assert (msg.parse(nak.data).kind, str(nak.to)) == (Kind.NAK, "255.255.255.255")
    (nak,) = talk.say(Kind.REQUEST, B, requested="192.168.1.7")  # it was on another network yesterday
    assert msg.parse(nak.data).kind is Kind.NAK
    assert talk.server.mib.OutNaks == 4


def test_a_client_that_knows_its_address_from_before_our_restart_goes_on_with_it():
    for said in ({"requested": "10.0.2.102"}, {"ciaddr": "10.0.2.102"}):
        talk = Talk()
        m = talk.said(talk.say(Kind.REQUEST, A, **said))
        assert (m.kind, str(m.yiaddr)) == (Kind.ACK, "10.0.2.102")
        assert talk.lease(B) == "10.0.2.100"


def test_an_offer_that_was_not_chosen_is_free_again():
    talk = Talk()
    talk.say(Kind.DISCOVER, A)
    assert talk.say(Kind.REQUEST, A, requested="10.0.2.7", server="10.0.2.9") == []
    assert talk.server.mib.InOtherServer == 1
    assert talk.server.leases.held("") == 0


def test_an_offer_is_forgotten_after_its_time():
    talk = Talk()
    talk.say(Kind.DISCOVER, A)
    assert talk.server.next_deadline() == 30 * SECOND
    talk.at = 30
    talk.server.run(talk.now)
    assert talk.server.leases.held("") == 0
    assert talk.changes == []


def test_a_declined_address_is_set_aside_for_a_while():
    talk = Talk()
    talk.lease(A)
    assert talk.say(Kind.DECLINE, A, requested="10.0.2.100", server="10.0.2.2") == []
    assert talk.server.mib.Declined == 1
    assert talk.lease(A) == "10.0.2.101"
    talk.at = 601
    talk.server.run(talk.now)
    for i in range(2):
        talk.lease(bytes((2, 0, 0, 0, 1, i)))
    assert talk.lease(B) == "10.0.2.100"


def test_nobody_declines_or_releases_for_another():
    talk = Talk()
    talk.lease(A, guest="one")
    talk.say(Kind.DECLINE, B, requested="10.0.2.100", server="10.0.2.2")
    talk.say(Kind.RELEASE, B, ciaddr="10.0.2.100")
    talk.say(Kind.RELEASE, A, ciaddr="10.0.2.100", guest="two")  # with the other guest's link address
    talk.say(Kind.DECLINE, A, requested="10.0.2.100", guest="two")
    talk.say(Kind.RELEASE, A, ciaddr="10.0.2.100", guest="one", frame=B)
    assert (talk.server.mib.InUnknown, talk.server.mib.InSpoofed) == (4, 1)
    assert talk.server.leases.by_address[int(Ip4.parse("10.0.2.100"))].state is State.BOUND
    assert talk.said(talk.say(Kind.REQUEST, A, ciaddr="10.0.2.100", guest="two")).kind is Kind.NAK


def test_starvation_by_one_guest_leaves_addresses_for_the_others():
    talk = Talk(last=Ip4.parse("10.0.2.200"), limit=8)
    for i in range(500):
        mac = bytes((2, 0, 0, 1, i >> 8, i & 255))
        offers = talk.say(Kind.DISCOVER, mac, guest="thief")
        if offers and i % 2:
            talk.say(Kind.REQUEST, mac, guest="thief", requested=str(talk.said(offers).yiaddr), server="10.0.2.2")
    server = talk.server
    assert server.leases.held("thief") == 8
    assert len(server.leases.by_address) <= 101
    assert len(server.leases._heap) <= 202
    assert server.mib.LimitReached > 400
    assert talk.lease(A, guest="other") == talk.lease(A, guest="other")


def test_a_flood_of_discovers_keeps_the_heap_small():
    talk = Talk(last=Ip4.parse("10.0.2.110"), limit=4)
    for i in range(5000):
        discover = DhcpMessage(chaddr=i.to_bytes(6, "big"), options={Option.KIND: b"\1"})
        talk.server.receive(msg.build(discover)[0], now=Instant(i * SECOND // 100))
    assert len(talk.server.leases._heap) < 64
    assert len(talk.server.leases.by_client) <= 11


def test_a_static_lease_belongs_to_its_client_alone():
    fixed = StaticLease(Ip4.parse("10.0.2.50"), Mac(int.from_bytes(B, "big")), hostname="db")
    talk = Talk(static=(fixed, StaticLease(Ip4.parse("10.0.2.101"), client=b"\1abc")))
    assert [talk.lease(A), talk.lease(B)] == ["10.0.2.100", "10.0.2.50"]
    assert talk.lease(bytes((2, 0, 0, 0, 1, 1))) == "10.0.2.102"  # 101 is another's
    assert talk.lease(A, client_id=b"\1abc") == "10.0.2.101"
    assert talk.server.leases.named("db").address == int(Ip4.parse("10.0.2.50"))
    assert talk.said(talk.say(Kind.REQUEST, B, requested="10.0.2.103")).kind is Kind.NAK


def test_names_of_hosts_are_those_that_came_first():
    talk = Talk()
    talk.lease(A, hostname=b"Web.example")
    talk.lease(B, hostname=b"web")
    assert talk.server.leases.named("web").mac == Mac(int.from_bytes(A, "big"))
    talk.say(Kind.RELEASE, A, ciaddr="10.0.2.100")
    assert talk.server.leases.named("web") is None
    talk.say(Kind.REQUEST, B, ciaddr="10.0.2.101", hostname=b"web")
    assert talk.server.leases.named("web").mac == Mac(int.from_bytes(B, "big"))


def test_a_restart_loses_no_lease():
    talk = Talk()
    talk.lease(A, hostname=b"a", guest="one")
    talk.at = 600
    talk.lease(B)
    talk.say(Kind.RELEASE, B, ciaddr="10.0.2.101")
    kept = talk.server.keep(talk.now)
    again = Talk()
    again.at = 17
    again.server.restore([*kept, Kept("10.0.9.9", "01", left=Duration(SECOND))], again.now)
    (lease,) = again.server.leases
    assert (lease.hostname, lease.guest, lease.until) == ("a", "one", (17 + 3000) * SECOND)
    assert again.lease(bytes((2, 0, 0, 0, 1, 1))) == "10.0.2.102"
    assert again.lease(B) == "10.0.2.101"
    assert again.lease(A, guest="one") == "10.0.2.100"


def test_what_a_guest_had_that_is_gone_goes_with_its_client_under_whatever_name_it_comes_again():
    there = {"door#1", "door#2"}
    talk = Talk(limit=1)
    talk.server._there = there.__contains__
    assert [talk.lease(A, guest="door#1"), talk.lease(B, guest="door#2")] == ["10.0.2.100", "10.0.2.101"]
    assert talk.say(Kind.REQUEST, B, guest="door#3", requested="10.0.2.101")[0].data  # a NAK: its owner is there
    assert talk.server.leases.of(("door#2", b"\1" + B)).state is State.BOUND
    there -= {"door#1", "door#2"}
    there |= {"door#3", "door#4"}
    assert talk.said(talk.say(Kind.REQUEST, B, guest="door#3", requested="10.0.2.101")).kind is Kind.ACK
    assert talk.lease(A, guest="door#4") == "10.0.2.100"
    assert [(each.guest, str(Ip4(each.address))) for each in talk.server.leases] == [
        ("door#4", "10.0.2.100"), ("door#3", "10.0.2.101"),
    ]  # fmt: skip
    assert [talk.server.leases.held(f"door#{n}") for n in (1, 2, 3, 4)] == [0, 0, 1, 1]


def test_a_client_identifier_alone_adopts_nothing():
    talk = Talk()
    talk.server._there = lambda guest: guest == "two"
    talk.lease(A, client_id=b"\xffme", guest="one")
    assert talk.lease(B, client_id=b"\xffme", guest="two") == "10.0.2.101"
    assert talk.lease(A, client_id=b"\xffmine", guest="two") == "10.0.2.102"


def test_an_inform_is_answered_without_a_lease():
    talk = Talk()
    m = talk.said(talk.say(Kind.INFORM, A, ciaddr="10.0.2.9", parameters=bytes((Option.DNS,))))
    assert (m.kind, int(m.yiaddr), m.options.get(Option.LEASE)) == (Kind.ACK, 0, None)
    assert opt.addresses(m.options[Option.DNS]) == (Ip4.parse("10.0.2.3"),)
    assert talk.say(Kind.INFORM, A) == talk.say(Kind.INFORM, A, ciaddr="192.0.2.1") == []


def test_an_address_that_somebody_answers_for_is_passed_over():
    talk = Talk(probe=Duration(SECOND // 2))
    assert talk.say(Kind.DISCOVER, A) == [Probe(Ip4.parse("10.0.2.100"))]
    assert talk.say(Kind.DISCOVER, A) == []  # it asks again, and we are asking already
    assert talk.server.answered(int(Ip4.parse("10.0.2.100")), talk.now) == [Probe(Ip4.parse("10.0.2.101"))]
    assert talk.server.next_deadline() == SECOND // 2
    talk.at = 1
    assert str(talk.said(talk.server.run(talk.now)).yiaddr) == "10.0.2.101"
    assert talk.server.mib.Conflicts == 1
    talk.say(Kind.REQUEST, A, requested="10.0.2.101", server="10.0.2.2")
    assert isinstance(talk.say(Kind.DISCOVER, A)[0], Send)  # of what it has nobody needs to ask


def test_relays_and_replies_are_dropped_by_name():
    talk = Talk()
    m = DhcpMessage(chaddr=A, options={Option.KIND: b"\1"}, giaddr=Ip4.parse("10.9.9.9"))
    assert talk.server.receive(msg.build(m)[0], now=talk.now) == []
    m = DhcpMessage(op=2, chaddr=A, options={Option.KIND: b"\2"})
    assert talk.server.receive(msg.build(m)[0], now=talk.now) == []
    assert talk.server.receive(b"x", now=talk.now) == []
    mib = talk.server.mib
    assert (mib.InRelayed, mib.InOther, mib.InErrors) == (1, 1, 1)


@pytest.mark.parametrize(
    "said",
    [
        {"first": Ip4.parse("10.0.3.1")},
        {"first": Ip4.parse("10.0.2.200")},
        {"mtu": 60},
        {"router": Ip4.parse("10.9.0.1")},
        {"lease": Duration(0)},
        {"domain": "a..b"},
        {"static": (StaticLease(Ip4.parse("10.0.2.2"), Mac(1)),)},
        {"static": (StaticLease(Ip4.parse("10.0.2.9"), Mac(1)), StaticLease(Ip4.parse("10.0.2.9"), Mac(2)))},
    ],
)
def test_what_can_not_be_served_is_said_at_once(said):
    with pytest.raises(UsageError):
        config(**said)


def test_any_order_of_messages_leaves_a_lawful_table(seed):
    rng = random.Random(seed)
    static = (StaticLease(Ip4.parse("10.0.2.50"), Mac(0x020000000003)),)
    talk = Talk(limit=3, probe=rng.choice((Duration(0), Duration(SECOND))), static=static)
    for _ in range(600):
        talk.at += rng.choice((0, 0, 1, 40, 700))
        mac = bytes((2, 0, 0, 0, 0, rng.randrange(6)))
        address = f"10.0.2.{rng.choice((50, 99, 100, 101, 102, 103, 104))}"
        said = {}
        if rng.random() < 0.5:
            said["requested"] = address
        if rng.random() < 0.4:
            said["server"] = "10.0.2.2"
        if rng.random() < 0.3:
            said["ciaddr"] = address
        kind = rng.choice((Kind.DISCOVER, Kind.REQUEST, Kind.REQUEST, Kind.DECLINE, Kind.RELEASE))
        talk.say(kind, mac, guest=rng.choice("xy"), **said)
        if rng.random() < 0.2:
            talk.server.answered(int(Ip4.parse(address)), talk.now)
        talk.server.run(talk.now)
        leases = talk.server.leases
        for guest in "xy":
            assert leases.held(guest) <= 3 + 1  # its static lease is not counted when it is taken
        for lease in leases.by_address.values():
            assert lease.until > talk.now or lease.state is State.FREE
            assert (lease.address in leases._free) == (lease.state is State.FREE and not lease.static)
        for key, lease in leases.by_client.items():
            assert lease.key == key
            assert leases.by_address[lease.address] is lease or lease.state is State.FREE
