"""The short way from a query to its answer: the desk says what is right, to the octet."""

import asyncio
import random
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.adapters import PyDatagramUser
from netstack.address import Cidr, Ip4
from netstack.dns import message as messages
from netstack.dns import name
from netstack.dns.authority.zone import Zone
from netstack.dns.authority.zones import Zones
from netstack.dns.message import Question
from netstack.dns.serve.client import Client
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.cookies import Cookies
from netstack.dns.serve.desk import Desk
from netstack.dns.serve.door import Door
from netstack.dns.serve.handlers import Answer
from netstack.dns.serve.kerneldoor import KernelDoor
from netstack.dns.serve.limiter import Limiter
from netstack.dns.serve.limits import RateLimits
from netstack.dns.serve.quick import Quick
from netstack.dns.serve.shelf import Shelf
from netstack.dns.serve.socketdoor import SocketDoor
from netstack.testing.net import World

S = 1_000_000_000
NOW = 7 * S
CLIENT = Client("192.0.2.7", 5353)
NUMBERS = (0, 0xC0000207, False)
SECRET = bytes(range(16))

RECORDS = [
    ("@", "SOA", "ns1 hostmaster 1 3600 900 604800 300"),
    ("@", "NS", "ns1"),
    ("@", "NS", "ns.other."),
    ("@", "MX", "10 mail.deep"),
    ("ns1", "A", "192.0.2.1"),
    ("ns1", "AAAA", "2001:db8::1"),
    ("www", "A", "192.0.2.2"),
    ("www", "A", "192.0.2.3"),
    ("big", "TXT", '"' + '" "'.join("x" * 200 for _ in range(5)) + '"'),
    ("alias", "CNAME", "www"),
    ("out", "CNAME", "www.elsewhere."),
    ("lost", "CNAME", "nobody"),
    ("mail.deep", "A", "192.0.2.4"),
    ("*.wild", "A", "192.0.2.5"),
    ("*.wild", "MX", "10 x.wild"),
    ("*.wilder", "CNAME", "*.wild"),
    ("*.maze", "CNAME", "a.b.maze.wild"),
    ("old", "DNAME", "new"),
    ("b.new", "A", "192.0.2.6"),
    ("sub", "NS", "ns.sub"),
    ("ns.sub", "A", "192.0.2.8"),
    ("far", "NS", "ns.elsewhere."),
    ("big.far", "NS", "ns.sub"),
]
LABELS = ["www", "ns1", "hostmaster", "deep", "mail", "wild", "wilder", "maze", "old", "new", "sub", "far", "big", "alias", "out",
          "lost", "a", "b", "ns", "x", "nobody", "*", "child", "y" * 63]  # fmt: skip
OPTIONS = [(10, b"client#1"), (10, b"client#1" + bytes(16)), (10, b"bad"), (3, b""), (8, b"\0\1\0\0"), (12, b"")]
TYPES = [1, 2, 5, 6, 15, 16, 28, 43, 255, 39, 12, 65, 47]


def make_zone(origin="example.", records=RECORDS):
    zone = Zone(name.parse(origin))
    for owner, type, value in records:
        zone.add(owner, type, 300, value)
    return zone


def make_desk(*zones, **options):
    return Desk(zones or [make_zone()], rng=random.Random(1), cookies=Cookies(SECRET), **options)


def make_query(labels=("www",), type=1, *, flags=0x0100, id=0xBEEF, edns=None, rclass=1, origin="example."):
    question = name.join([label.encode() for label in labels] + name.labels(name.parse(origin)))
    head = b"".join(each.to_bytes(2, "big") for each in (id, flags, 1, 0, 0, 0 if edns is None else 1))
    wire = head + question + type.to_bytes(2, "big") + rclass.to_bytes(2, "big")
    if edns is not None:
        payload, do, options = edns
        wire += b"\0\0\x29" + payload.to_bytes(2, "big") + b"\0\0" + (b"\x80\0" if do else b"\0\0")
        data = b"".join(code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for code, value in options)
        wire += len(data).to_bytes(2, "big") + data
    return wire


def said(desk, wire, client=CLIENT, now=NOW):
    answers = desk.handle(wire, client, now)
    assert isinstance(answers, (tuple, list)) or answers is None
    return list(answers or [])


def quickly(quick, wire, now=NOW, numbers=NUMBERS):
    """The answer, b"" for silence, None where it is handed on."""
    n = quick.turn(b"xx" + wire + b"yy", 2, len(wire), *numbers, now)
    return None if n < 0 else bytes(quick.ask.buf[:n])


def scramble(wire, dice):
    """0x20: letters of the question in either case."""
    found = bytearray(wire)
    o = 12
    while found[o]:
        for i in range(o + 1, o + 1 + found[o]):
            if dice.random() < 0.5:
                found[i] = ord(chr(found[i]).swapcase())
        o += found[o] + 1
    return bytes(found)


@st.composite
def queries(draw):
    labels = draw(st.lists(st.sampled_from(LABELS), max_size=3))
    flags = draw(st.sampled_from([0, 0x0100, 0x0110, 0x0020, 0x0130, 0x0400]))
    edns = None
    if draw(st.booleans()):
        options = draw(
            st.lists(
                st.sampled_from(OPTIONS),
                max_size=2,
            )
        )
        edns = (draw(st.sampled_from([0, 512, 600, 1232, 4096])), draw(st.booleans()), options)
    rclass = draw(st.sampled_from([1, 1, 1, 1, 3, 255]))
    wire = make_query(labels, draw(st.sampled_from(TYPES)), flags=flags, edns=edns, rclass=rclass)
    return scramble(wire, random.Random(draw(st.integers(0, 99))))


@settings(max_examples=60, deadline=None)
@given(st.lists(queries(), min_size=1, max_size=60))
def test_answers_are_those_of_the_desk_to_the_octet(asked):
    config = DnsConfig(nsid=b"us")
    child = make_zone("child.wild.example.", [("@", "SOA", "a b 1 2 3 4 5"), ("@", "NS", "ns"), ("*", "A", "192.0.2.9")])
    for zones in ([make_zone()], [make_zone(), child]):
        quick = Quick(make_desk(*zones, config=config), nsid=b"us", cookies=Cookies(SECRET))
        desk = make_desk(*zones, config=config)
        for wire in asked * 3:  # filled in, found, and learnt from
            found = quickly(quick, wire)
            if found is not None:
                assert [found] == said(desk, wire)


def test_what_takes_no_short_way_is_handed_on():
    quick = Quick(make_desk(), cookies=Cookies(SECRET))
    plain = make_query()
    handed = [
        plain[:-1],  # FORMERR
        plain[:2] + b"\x29" + plain[3:],  # an update
        make_query(type=252),
        make_query(type=41),
        make_query(rclass=3),
        make_query(origin="elsewhere."),
        make_query(edns=(1232, False, ()))[:-5] + b"\1" + make_query(edns=(1232, False, ()))[-4:],
    ]
    assert [quickly(quick, each) for each in handed] == [None] * len(handed)
    assert quick.mib.HandedOn == len(handed)
    assert quickly(quick, b"short") == quickly(quick, plain[:2] + b"\x81" + plain[3:]) == b""
    assert quick.mib.InSilence == 2


def test_what_was_filled_in_is_found_again_for_any_case_and_id():
    quick = Quick(make_desk())
    first = quickly(quick, make_query(["wWw"], id=1))
    second = quickly(quick, make_query(["WwW"], id=2, flags=0))
    assert (quick.mib.Fills, quick.mib.Hits) == (1, 1)
    assert first[:2] == b"\0\1" and second[:2] == b"\0\2" and b"wWw" in first and b"WwW" in second
    assert quickly(quick, make_query(edns=(1232, True, ())))
    assert quick.mib.Fills == 2  # DO has an answer of its own


def test_a_change_of_the_zone_is_seen_by_the_next_query():
    zone = make_zone()
    quick = Quick(make_desk(zone))
    www, absent = make_query(), make_query(["later"])
    for _ in range(3):
        assert quickly(quick, www)[7] == 2 and quickly(quick, absent)[3] & 15 == 3
    assert quickly(quick, make_query(["later", "on"]))[3] & 15 == 3
    zone.remove("www", "A", "192.0.2.2")
    zone.add("later", "A", 60, "192.0.2.9")
    assert quickly(quick, www)[7] == 1  # the same instant: one change within a turn of the crank is seen as well
    assert quickly(quick, absent)[7] == 1
    zone.add("*", "A", 60, "192.0.2.10")
    for i in range(4):
        assert quickly(quick, make_query([f"name{i}"]))[7] == 1


def test_a_zone_that_goes_takes_its_answers_along():
    zones = Zones([make_zone()])
    quick = Quick(Desk(zones, rng=random.Random(1)))
    assert quickly(quick, make_query())
    zones.remove(b"\7example\0")
    assert quickly(quick, make_query(), now=NOW + 1) is None
    zones.add(make_zone())
    quick.changed()
    assert quickly(quick, make_query(), now=NOW + 1)


def test_a_callback_that_comes_is_asked():
    desk = make_desk()
    quick = Quick(desk)
    assert quickly(quick, make_query())
    desk.answer("www.example.", lambda question, client: Answer.of(question, 5, "192.0.2.99"))
    assert quickly(quick, make_query(), now=NOW + 1) is None


# -- names that are not there -----------------------------------------------------------------------------------------------


def test_a_flood_of_names_that_are_not_there_fills_nothing(seed):
    dice = random.Random(seed)
    quick, desk = Quick(make_desk()), make_desk()
    for _ in range(300):
        wire = make_query([f"x{dice.getrandbits(40):010x}"], dice.choice([1, 28]))
        assert [quickly(quick, wire)] == said(desk, wire)
    assert quick.mib.Alike > 290 and len(quick.shelf) <= 2


@pytest.mark.parametrize("above", ["wild", "wilder", "maze", "sub", "old", "far"])
def test_wildcards_referrals_and_renamed_names_are_right_however_many(above, seed):
    dice = random.Random(seed)
    quick, desk = Quick(make_desk()), make_desk()
    alphabet = ["x", "a", "b", "ns", "www", "big", "q"]
    for i in range(300):
        labels = [dice.choice(alphabet) + (str(dice.randrange(9)) if i % 2 else "") for _ in range(dice.randrange(1, 4))]
        wire = make_query([*labels, above], dice.choice([1, 15, 28]), edns=dice.choice([None, (1232, True, ())]))
        found = quickly(quick, wire)
        assert found is None or [found] == said(desk, wire), labels


def test_a_zone_below_another_is_not_denied_by_the_upper_one():
    child = make_zone("inner.example.", [("@", "SOA", "a b 1 2 3 4 5"), ("www", "A", "192.0.2.77")])
    quick, desk = Quick(make_desk(make_zone(), child)), make_desk(make_zone(), child)
    for labels in (["q1"], ["q2"], ["q3"], ["www", "inner"], ["q4", "inner"], ["inner"], ["q5"]):
        assert [quickly(quick, make_query(labels))] == said(desk, make_query(labels))
    assert quick.mib.Alike == 0


def test_signed_zones_prove_each_gap_by_itself():
    zone = make_zone()
    signed = "NSEC 8 1 300 20300101000000 20200101000000 1 example. c2lnbmF0dXJl"
    for owner, following in (("@", "ns1"), ("ns1", "www"), ("www", "@")):
        zone.add(owner, "NSEC", 300, f"{following} A RRSIG NSEC")
        zone.add(owner, "RRSIG", 300, signed)
    quick, desk = Quick(make_desk(zone)), make_desk(zone)
    for label in ("aa", "zz", "ab", "xx", "mm", "mn", "wz", "ns"):
        for edns in (None, (1232, True, ()), (1232, False, ())):
            wire = make_query([label], edns=edns)
            assert [quickly(quick, wire)] == said(desk, wire)
    assert quick.mib.Alike > 0


def test_enclosers_are_bounded():
    records = RECORDS + [(f"host{i}", "A", "192.0.2.1") for i in range(1100)]
    quick = Quick(make_desk(make_zone(records=records)))
    for i in range(1100):
        for label in ("a", "bb"):
            assert quickly(quick, make_query([label, f"host{i}"]))[3] & 15 == 3
    assert len(quick.enclosers.table) == 1024
    for length in range(1, 60):
        for type in range(60, 120):
            for host in range(1090, 1094):
                quickly(quick, make_query(["z" * length, f"host{host}"], type))
    assert 0 < quick.enclosers.held <= 8192


# -- the table --------------------------------------------------------------------------------------------------------------


def test_the_table_is_bounded_and_keeps_what_is_asked_for(seed):
    dice = random.Random(seed)
    zone = make_zone(records=RECORDS + [(f"host{i}", "A", "192.0.2.1") for i in range(2000)])
    shelf = Shelf(octets=200_000, answers=150)
    quick = Quick(make_desk(zone), shelf=shelf)
    for i in range(8000):
        host = dice.randrange(20) if i % 2 else dice.randrange(20, 2000)
        quickly(quick, make_query([f"host{host}"]))
        assert len(shelf) <= 150 and shelf.held <= 200_000
    assert shelf.evicted > 1000
    before = quick.mib.Hits
    for host in range(20):
        quickly(quick, make_query([f"host{host}"]))
    assert quick.mib.Hits - before >= 19
    quick.shelf.clear()
    assert len(shelf) == shelf.held == 0


def test_octets_are_accounted_for_when_answers_change():
    zone = make_zone()
    quick = Quick(make_desk(zone), shelf=Shelf(octets=100_000))
    held = []
    for i in range(50):
        zone.add("www", "TXT", 300, f'"{i % 10}"') if i < 10 else zone.add("www", "TXT", 301 + i, '"0"')
        for edns in (None, (1232, True, ())):
            quickly(quick, make_query(edns=edns))
        held.append(quick.shelf.held)
    assert len(set(held)) == 1 and len(quick.shelf) == 1


def test_an_answer_too_large_to_keep_is_given_all_the_same():
    quick = Quick(make_desk(), shelf=Shelf(octets=50_000))
    wire = make_query(["big"], 16, edns=(1232, False, ()))
    assert [quickly(quick, wire)] == said(make_desk(), wire)
    assert len(quick.shelf) == 0


# -- cookies and rates ------------------------------------------------------------------------------------------------------


def test_a_cookie_is_answered_and_the_next_query_is_known():
    quick = Quick(make_desk(), cookies=Cookies(SECRET))
    first = quickly(quick, make_query(edns=(1232, False, [(10, b"client#1")])))
    cookie = messages.decode(first).edns.option(10)
    assert len(cookie) == 24 and quick.mib.CookieNew == 1
    again = quickly(quick, make_query(edns=(1232, False, [(10, cookie)])))
    assert messages.decode(again).edns.option(10) == cookie and quick.mib.CookieKnown == 1


def test_required_cookies_are_the_desks_to_demand():
    quick = Quick(make_desk(), cookies=Cookies(SECRET, required=True))
    assert quickly(quick, make_query(edns=(1232, False, [(10, b"client#1")]))) is None
    cookies = Cookies(SECRET)
    cookies.judge(bytearray(b"client#1"), 0, 8, *NUMBERS, NOW)
    assert quickly(quick, make_query(edns=(1232, False, [(10, bytes(cookies.option[4:]))])))
    assert quickly(quick, make_query())  # RFC 7873 5.2.1: who does no cookies is asked for none


def test_rates_hold_on_the_short_way_and_spare_who_has_a_cookie():
    rates = RateLimits(responses=5, nxdomains=3)
    quick = Quick(make_desk(), cookies=Cookies(SECRET), limiter=Limiter(rates, random.Random(1)))
    desk = make_desk(limiter=Limiter(rates, random.Random(1)))
    for wire in [make_query()] * 20 + [make_query(edns=(1232, True, ()))] * 5 + [make_query([f"no{i}"]) for i in range(20)]:
        found = quickly(quick, wire)
        assert ([found] if found else []) == said(desk, wire)
    assert quick.mib.RateDropped == 10 + 9 and quick.mib.RateSlipped > 10
    slipped = messages.decode(quickly(quick, make_query()) or quickly(quick, make_query()))
    assert slipped.tc and not slipped.answer and slipped.question == [Question(name.parse("www.example."), 1)]
    cookies = Cookies(SECRET)
    cookies.judge(bytearray(b"client#1"), 0, 8, *NUMBERS, NOW)
    known = make_query(edns=(1232, False, [(10, bytes(cookies.option[4:]))]))
    assert all(quickly(quick, known)[7] == 2 for _ in range(50))


# -- doors ------------------------------------------------------------------------------------------------------------------


class Asker:
    def __init__(self):
        self.got = []

    def on_datagram(self, data, address, port, now):
        self.got.append((data, address, port))

    def on_error(self, error, address, port, now):
        raise error


def test_a_port_of_our_stack_answers_in_the_turn_that_brought_the_query():
    world = World(seed=3)
    a, b = world.host("a"), world.host("b")
    server, asker = b.stack, Asker()
    desk = make_desk()
    handed = []

    def other(wire, address, port, now):
        handed.append((address, port))
        for each in said(desk, wire, Client(str(Ip4(address)), port), now):
            door.port.send(each, address, port, now)

    door = Door(Quick(make_desk(), cookies=Cookies(SECRET)), other)
    door.port = server.udp.bind(0, 53, door)
    port = a.stack.udp.bind(0, 5353, PyDatagramUser(asker))
    asked = [make_query(), make_query(["nobody"]), make_query(type=252), make_query(["www"], 16, edns=(4096, True, ()))]
    for wire in asked:
        port.send(wire, int(b.address.address), 53, world.clock.now)
    world.run(until=lambda: len(asker.got) == len(asked))
    expected = [each for wire in asked for each in said(make_desk(), wire)]
    assert sorted(data for data, _, _ in asker.got) == sorted(expected)
    assert {(address, sport) for _, address, sport in asker.got} == {(int(b.address.address), 53)}
    assert handed == [(int(a.address.address), 5353)]


def test_the_answer_comes_from_the_address_that_was_asked():
    world = World(seed=3)
    a, b = world.host("a"), world.host("b")
    second = Ip4(int(b.address.address) + 100)
    b.stack.add_address(Cidr(second, b.address.length), world.clock.now)
    asker = Asker()
    desk = make_desk()

    def other(wire, address, port, now):
        for each in said(desk, wire, Client(str(Ip4(address)), port), now):
            door.port.send(each, address, port, now, source=door.asked)

    door = Door(Quick(make_desk()), other)
    door.port = b.stack.udp.bind(0, 53, door)
    port = a.stack.udp.bind(0, 5353, PyDatagramUser(asker))
    port.send(make_query(), int(second), 53, world.clock.now)
    port.send(make_query(type=252), int(second), 53, world.clock.now)
    world.run(until=lambda: len(asker.got) == 2)
    assert {address for _, address, _ in asker.got} == {int(second)}
    door.port.close()
    port.send(make_query(), int(second), 53, world.clock.now)


V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(("family", "host"), [(V4, "127.0.0.1"), (V4, "127.0.0.9"), (V6, "::1")])
def test_a_socket_of_the_kernels_answers_by_batches(family, host):
    desk = make_desk()
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind(("" if family == socket.AF_INET else "::", 0))
        client = socket.socket(family, socket.SOCK_DGRAM)
        client.connect((host, sock.getsockname()[1]))  # an answer from another address would not get in
    except OSError:
        pytest.skip("no such address here")
    with sock, client:
        sock.setblocking(False)
        client.settimeout(5)

        def other(wire, address, now):
            for each in said(desk, wire, Client(*address[:2]), now):
                door.send(each, address)

        door = SocketDoor(sock, Quick(make_desk()), other, clock=lambda: NOW)
        door.on_readable()  # nothing waits
        asked = [make_query([f"no{i}"]) for i in range(70)]
        asked += [make_query(), make_query(type=252), b"short", make_query(["mail", "deep"])]
        for wire in asked:
            client.send(wire)
        client.send(bytes(5000))
        for _ in range(3):
            door.on_readable()
        got = [client.recv(4096) for _ in range(73)]
        assert sorted(got) == sorted(each for wire in asked for each in said(make_desk(), wire))
        assert (door.quick.mib.InTooLong, door.quick.mib.InSilence, door.quick.mib.HandedOn) == (1, 1, 1)


def test_a_socket_for_both_families_knows_ipv4_clients_by_their_address():
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        sock.setblocking(False)
        client.settimeout(5)
        client.connect(("127.0.0.1", sock.getsockname()[1]))
        door = SocketDoor(sock, Quick(make_desk(), cookies=Cookies(SECRET)), lambda *_: None, clock=lambda: NOW)
        client.send(make_query(edns=(1232, False, [(10, b"client#1")])))
        door.on_readable()
        cookies = Cookies(SECRET)
        cookies.judge(bytearray(b"client#1"), 0, 8, 0, 0x7F000001, False, NOW)
        assert messages.decode(client.recv(4096)).edns.option(10) == bytes(cookies.option[4:])


def test_a_datagram_transport_of_any_loop_will_do():
    async def main():
        loop = asyncio.get_running_loop()
        handed = []
        transport, _ = await loop.create_datagram_endpoint(
            lambda: KernelDoor(Quick(make_desk()), lambda wire, address, now: handed.append(wire)), ("127.0.0.1", 0)
        )
        answers = asyncio.Queue()

        class Ask(asyncio.DatagramProtocol):
            def datagram_received(self, data, address):
                answers.put_nowait(data)

        client, _ = await loop.create_datagram_endpoint(Ask, remote_addr=transport.get_extra_info("sockname"))
        client.sendto(make_query(type=252))
        client.sendto(make_query())
        async with asyncio.timeout(5):
            answer = await answers.get()
        assert [answer] == said(make_desk(), make_query()) and handed == [make_query(type=252)]
        client.close()
        transport.close()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_a_fuzzed_query_is_answered_as_by_the_desk_or_handed_on(seed):
    dice = random.Random(seed)
    quick, desk = Quick(make_desk(), cookies=Cookies(SECRET)), make_desk()
    for _ in range(2000):
        edns = dice.choice([None, (1232, True, [(10, b"client#1")])])
        wire = bytearray(make_query([dice.choice(LABELS)], dice.choice(TYPES), edns=edns))
        for _ in range(dice.randrange(1, 4)):
            wire[dice.randrange(len(wire))] = dice.randrange(256)
        found = quickly(quick, bytes(wire[: dice.randrange(len(wire) + 1)] if dice.random() < 0.1 else wire))
        if found:
            assert [found] == said(desk, bytes(wire))
