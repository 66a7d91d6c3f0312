"""Questions, and what is remembered of the answers (RFC 6762 5, 7, 10)."""

import itertools
import random

import pytest
from mdns_world import Ear, Node, address, any_name, pointer, query, record, response

from netstack.dns.multicast import cache
from netstack.dns.multicast.browser import INSTANCES
from netstack.dns.multicast.core import MdnsConfig
from netstack.dns.multicast.records import text
from netstack.dns.multicast.service import Service
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World

A, PTR, TXT, AAAA, SRV, NSEC = 1, 12, 16, 28, 33, 47
TYPE = "_http._tcp.local"


def asking(seed: int, config: MdnsConfig = MdnsConfig()) -> tuple[World, Node, Ear]:  # noqa: B008
    """One that asks, and one that hears it and says what a test wants."""
    world = World(seed=seed)
    a, b = world.host("a"), world.host("b")
    node = Node(world, a, config=config)
    ear = Ear(world, b)
    world.rest(5 * SECOND)
    return world, node, ear


def test_a_question_is_asked_after_20_to_120_ms_then_ever_more_rarely_up_to_once_an_hour(seed):
    world, node, ear = asking(seed)
    at = world.now
    node.want(TYPE, PTR)
    world.rest(6 * 3600 * SECOND)
    times = [when - at for when, _ in ear.queries()]
    assert 20 * MILLISECOND <= times[0] <= 121 * MILLISECOND
    gaps = [(b - a) / SECOND for a, b in itertools.pairwise(times)]
    assert [round(gap) for gap in gaps[:13]] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]
    assert all(round(gap) == 3600 for gap in gaps[13:])
    assert ear.raw[0] == bytes.fromhex("0000 0000 0001 0000 0000 0000 055f68747470 045f746370 056c6f63616c 00 000c 0001")


def test_questions_that_begin_together_go_in_one_datagram(seed):
    world, node, ear = asking(seed)
    for i in range(20):
        node.want(f"h{i}.local", A)
    world.rest(2 * SECOND)
    assert [len(packet.questions) for _, packet in ear.queries()] == [20, 20]


def test_the_first_question_on_a_new_link_asks_for_answers_to_us_alone(seed):
    """RFC 6762 5.4; those that follow, and later ones, don't."""
    world = World(seed=seed)
    a, b = world.host("a"), world.host("b")
    ear = Ear(world, b)
    node = Node(world, a)
    node.want(TYPE, PTR)
    world.rest(5 * SECOND)
    node.want("x.local", A)
    world.rest(SECOND)
    assert [[q.unicast for q in packet.questions] for _, packet in ear.queries()] == [[True], [False], [False], [False]]


def test_an_answer_to_us_alone_is_taken_only_if_we_asked_for_it_lately(seed):
    world = World(seed=seed)
    a, b = world.host("a"), world.host("b")
    ear = Ear(world, b)
    node = Node(world, a)
    told = node.want("x.local", A)
    world.rest(SECOND)
    ear.say(response(address("x.local", "10.0.0.9")), to="10.0.0.1")
    world.rest(SECOND)
    assert told == [(True, b"\x0a\0\0\x09")]
    world.rest(10 * SECOND)
    ear.say(response(address("x.local", "10.0.0.66")), to="10.0.0.1")
    world.rest(SECOND)
    assert len(told) == 1
    assert node.mib.InUnasked == 1
    node.port.datagram(response(address("x.local", "10.0.0.67")).encode(), 0x08080808, 5353, False, world.now)
    assert node.mib.InStrangers == 1
    assert len(told) == 1


def test_the_answer_of_an_owner_ends_the_series_and_is_renewed_at_80_85_90_and_95_percent(seed):
    world, node, ear = asking(seed)
    told = node.want("x.local", A)
    world.run(until=lambda: bool(ear.queries()))
    ear.say(response(address("x.local", "10.0.0.9", ttl=100)))
    at = world.now
    world.rest(120 * SECOND)
    parts = [(when - at) / SECOND for when, _ in ear.queries(at + MILLISECOND)]
    for part, low in zip(parts, (80, 85, 90, 95), strict=False):
        assert low - 0.01 <= part <= low + 2.01
    assert told == [(True, b"\x0a\0\0\x09"), (False, b"\x0a\0\0\x09")]
    assert parts[4] > 100  # what is gone is asked for anew


def test_an_answer_to_the_renewal_prolongs_it(seed):
    world, node, ear = asking(seed)
    told = node.want("x.local", A)
    world.run(until=lambda: bool(ear.queries()))
    for _ in range(5):
        at = world.now
        ear.say(response(address("x.local", "10.0.0.9", ttl=100)))
        world.rest(MILLISECOND)
        world.run(until=lambda at=at: bool(ear.queries(at + SECOND)), limit=90 * SECOND)
    assert told == [(True, b"\x0a\0\0\x09")]
    assert len(ear.queries()) == 6


def test_what_nobody_wants_is_not_renewed(seed):
    world, node, ear = asking(seed)
    ear.say(response(address("x.local", "10.0.0.9", ttl=100)))
    told = node.want("y.local", A, once=True)
    world.rest(SECOND)
    ear.say(response(address("y.local", "10.0.0.8", ttl=100)))
    world.rest(200 * SECOND)
    assert len(ear.queries()) <= 2
    assert len(node.core.querier.cache.sets) == 0
    assert told == [(True, b"\x0a\0\0\x08"), (False, b"\x0a\0\0\x08")]


def test_one_answer_is_asked_for_four_times_at_most(seed):
    world, node, ear = asking(seed)
    node.want("x.local", A, once=True)
    world.rest(100 * SECOND)
    assert len(ear.queries()) == 4


def test_known_answers_are_told_while_more_than_half_of_their_time_is_left(seed):
    world, node, ear = asking(seed)
    node.want(TYPE, PTR)
    ear.say(response(pointer(TYPE, "Old._http._tcp.local", 10), pointer(TYPE, "New._http._tcp.local", 4500)))
    world.rest(40 * SECOND)
    known = [(when, [(text(s.rdata), s.flush) for s in packet.answers]) for when, packet in ear.queries()]
    assert known[0][1] == [("Old._http._tcp.local", False), ("New._http._tcp.local", False)]
    assert known[-1][1] == [("New._http._tcp.local", False)]


def test_known_answers_save_packets(seed):
    """Two hosts offer, one browses: without known answers each question would be answered twice."""
    world = World(seed=seed)
    hosts = [world.host(f"h{i}") for i in range(3)]
    offering = [Node(world, host, f"h{i}") for i, host in enumerate(hosts[:2])]
    for i, node in enumerate(offering):
        node.offer(Service(f"Web {i}", "_http._tcp", 80))
    world.rest(30 * SECOND)
    before = [node.mib.OutResponses for node in offering]
    browsing = Node(world, hosts[2])
    seen = browsing.browse("_http._tcp")
    world.rest(2000 * SECOND)
    asked = browsing.mib.OutQueries
    assert asked >= 10
    assert [s.kind for s in seen] == ["added", "added"]
    assert [node.mib.OutResponses - count for node, count in zip(offering, before, strict=True)] <= [2, 2]
    assert sum(node.mib.KnownAnswers for node in offering) >= 2 * (asked - 3)


def test_more_known_answers_than_fit_go_on_in_other_datagrams(seed):
    """RFC 6762 7.2; and the one who answers waits for them."""
    world = World(seed=seed)
    a, b, c = world.host("a"), world.host("b"), world.host("c")
    node, ear, answering = Node(world, a), Ear(world, b), Node(world, c, "answering")
    answering.offer(Service("The last", "_http._tcp", 80))
    world.rest(5 * SECOND)
    for i in range(4):
        ear.say(response(*(pointer(TYPE, f"Instance number {i} {j}._http._tcp.local") for j in range(25))))
    world.rest(10 * SECOND)
    ear.heard.clear()
    node.want(TYPE, PTR)
    world.rest(SECOND)
    queries = ear.queries()
    first = [packet for _, packet in queries[:3]]
    assert [packet.truncated for packet in first] == [True, True, False]
    assert [len(packet.questions) for packet in first] == [1, 0, 0]
    assert sum(len(packet.answers) for packet in first) == 101
    assert not ear.responses()
    assert answering.mib.KnownAnswers >= 1


def test_a_question_that_somebody_else_asks_is_not_asked_again(seed):
    """RFC 6762 7.3."""
    world, node, ear = asking(seed)
    node.want(TYPE, PTR)
    ear.say(query((TYPE, PTR)))
    world.rest(900 * MILLISECOND)
    assert not ear.queries()
    assert node.mib.DuplicateQuestions == 1
    world.rest(SECOND)
    assert len(ear.queries()) == 1
    at = world.now
    node.want("x.local", A)
    ear.say(query(("x.local", A), known=[address("x.local", "10.0.0.7", flush=False)]))  # he knows what we don't
    ear.say(query(("x.local", A), unicast=True))  # and this is answered to him alone
    world.rest(300 * MILLISECOND)
    assert len(ear.queries(at)) == 1


def test_three_who_browse_ask_less_than_three_would_alone(seed):
    """Twice as often as one, since what the first asked anew to everybody may still come before the others had their answer; in one
    run of fifty somewhat more (of 400: 30 questions at most, where one asks 12)."""
    def asked(n: int) -> int:
        world = World(seed=seed)
        hosts = [world.host(f"h{i}") for i in range(n)]
        nodes = [Node(world, host) for host in hosts]
        world.rest(5 * SECOND)
        for node in nodes:
            node.want(TYPE, PTR)
        world.rest(3600 * SECOND)
        return sum(node.mib.OutQueries for node in nodes)

    assert asked(3) < 3 * asked(1)


def test_goodbye_leaves_a_record_one_second(seed):
    world, node, ear = asking(seed)
    told = node.want(TYPE, PTR)
    ear.say(response(pointer(TYPE, "X._http._tcp.local")))
    world.rest(5 * SECOND)
    ear.say(response(pointer(TYPE, "X._http._tcp.local", 0)))
    world.rest(900 * MILLISECOND)
    assert [there for there, _ in told] == [True]
    world.rest(200 * MILLISECOND)
    assert [there for there, _ in told] == [True, False]
    ear.say(response(pointer(TYPE, "Y._http._tcp.local")))
    world.rest(5 * SECOND)
    ear.say(response(pointer(TYPE, "Y._http._tcp.local", 0)))
    world.rest(500 * MILLISECOND)
    ear.say(response(pointer(TYPE, "Y._http._tcp.local")))  # rescued (RFC 6762 10.1)
    world.rest(5 * SECOND)
    assert [there for there, _ in told] == [True, False, True]


def test_a_set_that_comes_anew_takes_the_place_of_what_is_older_than_a_second(seed):
    """RFC 6762 10.2."""
    world, node, ear = asking(seed)
    told = node.want("x.local", A)
    ear.say(response(address("x.local", "10.0.0.7")))
    world.rest(5 * SECOND)
    ear.say(response(address("x.local", "10.0.0.8")))
    world.rest(500 * MILLISECOND)
    ear.say(response(address("x.local", "10.0.0.9")))  # of the same burst: both stay
    world.rest(600 * MILLISECOND)
    assert (False, b"\x0a\0\0\x07") in told
    world.rest(5 * SECOND)
    assert sorted(r.rdata[-1] for r in node.core.querier.cache.get((any_name("x.local"), A))) == [8, 9]
    assert node.mib.Flushed == 1


def test_what_is_shared_flushes_nothing(seed):
    world, node, ear = asking(seed)
    ear.say(response(pointer(TYPE, "X._http._tcp.local")))
    world.rest(5 * SECOND)
    ear.say(response(pointer(TYPE, "Y._http._tcp.local")))
    world.rest(5 * SECOND)
    assert len(node.core.querier.cache.get((any_name(TYPE), PTR))) == 2


def test_two_questions_of_others_that_nobody_answers_take_a_record_away(seed):
    """RFC 6762 10.5."""
    world, node, ear = asking(seed)
    told = node.want("x.local", A, once=True)
    ear.say(response(address("x.local", "10.0.0.7", ttl=4500)))
    world.rest(5 * SECOND)
    ear.say(query(("x.local", A)))
    world.rest(30 * SECOND)
    assert [there for there, _ in told] == [True]  # one is none
    ear.say(query(("x.local", A)))
    world.rest(9 * SECOND)
    assert [there for there, _ in told] == [True]
    world.rest(2 * SECOND)
    assert [there for there, _ in told] == [True, False]
    assert node.mib.Failures == 1
    assert not ear.queries()  # RFC 6762 10.5: and it does not ask itself


def test_an_answer_in_time_takes_the_doubts_away(seed):
    world, node, ear = asking(seed)
    told = node.want("x.local", A, once=True)
    for _ in range(5):
        ear.say(response(address("x.local", "10.0.0.7", ttl=4500)))
        world.rest(5 * SECOND)
        ear.say(query(("x.local", A)))
        world.rest(5 * SECOND)
        ear.say(query(("x.local", A), known=[address("x.local", "10.0.0.7", flush=False)]))  # who has it needs no answer
        ear.say(query(("x.local", A), unicast=True))  # and this one is answered to him alone
    ear.say(query(("x.local", A)))
    world.rest(5 * SECOND)
    ear.say(response(address("x.local", "10.0.0.7", ttl=4500)))
    world.rest(60 * SECOND)
    assert [there for there, _ in told] == [True]


def test_what_was_of_no_use_is_asked_for_twice_and_dropped(seed):
    """RFC 6762 10.4."""
    world, node, ear = asking(seed)
    ear.say(response(address("x.local", "10.0.0.7", ttl=4500)))
    world.rest(5 * SECOND)
    node.core.querier.reconfirm(any_name("x.local"), A, world.now)
    node.port.stir()
    world.rest(11 * SECOND)
    assert len(ear.queries()) == 2
    assert all(not packet.answers for _, packet in ear.queries())
    assert not node.core.querier.cache.sets
    assert not node.core.querier.asks


def test_a_denial_is_an_answer(seed):
    world, node, ear = asking(seed)
    told = node.want("x.local", AAAA, once=True)
    world.run(until=lambda: bool(ear.queries()))
    ear.say(response(record("x.local", NSEC, any_name("x.local") + b"\0\1\x40", flush=True)))
    world.rest(10 * SECOND)
    assert [there for there, _ in told] == [False]
    assert len(ear.queries()) == 1
    assert [there for there, _ in node.want("x.local", AAAA, once=True)] == [False]
    assert node.want("x.local", A, once=True) == []


def test_an_nsec_record_that_says_something_else_denies_nothing(seed):
    world, node, ear = asking(seed)
    told = node.want("x.local", AAAA)
    name = any_name("x.local")
    for data in (name + b"\0\7\x40\0\0\0\0\1\0", name + b"\1\0\x40", b"\xff\xff", name + b"\0\1"):
        ear.say(response(record("x.local", NSEC, data, flush=True), address("y.local", "10.0.0.3")))
    world.rest(SECOND)
    assert told == []
    assert node.core.querier.cache.get((any_name("y.local"), A))  # the rest of these messages counts


@pytest.mark.parametrize("run", [None, 18, 59, 61, 220, 239])
def test_two_browse_each_other_on_a_wire_that_loses_a_fifth(seed, run):
    """In those runs one always asked just after the other, who can't answer his own question, and so never asked."""
    seed = seed if run is None else run
    world = World(seed=seed, loss=0.2, delay=2 * MILLISECOND)
    a, b = Node(world, world.host("a"), "a"), Node(world, world.host("b"), "b")
    for node in (a, b):
        node.offer(Service(f"Web of {node.name[0]}", "_http._tcp", 80, txt={"n": node.name}))
    seen = {node: node.browse("_http._tcp") for node in (a, b)}

    def complete() -> bool:
        both = {"Web of a._http._tcp.local", "Web of b._http._tcp.local"}
        return all({s.service.name for s in found if s.kind == "added"} >= both for found in seen.values())

    world.run(until=complete, limit=600 * SECOND)
    other = next(s.service for s in seen[a] if s.service.instance == "Web of b")
    assert (other.host, other.port, other.addresses, other.txt) == ("b.local", 80, ("10.0.0.2",), {"n": b"b.local"})


def test_a_service_that_changes_is_told_of_and_one_that_goes_too(seed):
    world = World(seed=seed)
    a, b = Node(world, world.host("a"), "a"), Node(world, world.host("b"))
    claim = a.offer(Service("Web", "_http._tcp", 80))
    seen = b.browse("_http._tcp")
    world.rest(5 * SECOND)
    a.core.update(claim, Service("Web", "_http._tcp", 81, txt={"x": True}), world.now)
    a.port.stir()
    world.rest(5 * SECOND)
    a.port.close()
    world.rest(5 * SECOND)
    assert [(s.kind, s.service.port, s.service.txt) for s in seen] == [
        ("added", 80, {}),
        ("changed", 81, {"x": None}),
        ("removed", 81, {"x": None}),
    ]


def test_a_host_that_vanishes_is_missed_when_its_records_have_run_out(seed):
    world = World(seed=seed)
    host = world.host("a")
    a, b = Node(world, host, "a"), Node(world, world.host("b"))
    a.offer(Service("Web", "_http._tcp", 80))
    seen = b.browse("_http._tcp")
    world.rest(5 * SECOND)
    host.crash()
    world.rest(4490 * SECOND)
    assert [s.kind for s in seen] == ["added"]
    world.rest(20 * SECOND)
    assert [s.kind for s in seen] == ["added", "removed"]
    assert b.mib.Expired > 0


def test_our_own_services_are_found_too_and_our_own_name(seed):
    world, _node, ear = asking(seed)
    other = Node(world, world.host("c"), "c")
    other.offer(Service("Web", "_http._tcp", 80))
    seen = other.browse("_http._tcp")
    world.rest(5 * SECOND)
    assert [s.service.name for s in seen] == ["Web._http._tcp.local"]
    at = world.now
    assert other.want("c.local", A, once=True) == [(True, b"\x0a\0\0\3")]
    world.rest(SECOND)
    assert not [q for _, p in ear.queries(at) for q in p.questions if q.type == A]
    other.core.withdraw(next(iter(other.core.services)), world.now)
    other.port.stir()
    assert seen[-1].kind == "removed"


def test_on_another_link_all_is_asked_and_probed_for_anew(seed):
    """RFC 6762 8, 10.3."""
    world, _, ear = asking(seed)
    other = Node(world, world.host("c"), "c")
    told = other.want("x.local", A)
    ear.say(response(address("x.local", "10.0.0.7", ttl=4500)))
    world.rest(5 * SECOND)
    at = world.now
    other.core.relink(world.now)
    other.port.stir()
    assert told == [(True, b"\x0a\0\0\7"), (False, b"\x0a\0\0\7")]
    world.rest(5 * SECOND)
    queries = ear.queries(at)
    assert len([packet for _, packet in queries if packet.authority]) == 3
    assert [q.unicast for _, packet in queries for q in packet.questions if q.type == A][:2] == [True, False]
    assert [said.rdata for said in ear.answers(at) if said.type == A] == [b"\x0a\0\0\3"] * 2


def test_a_flood_of_records_neither_grows_the_cache_nor_pushes_out_what_is_wanted(seed):
    world, node, ear = asking(seed, MdnsConfig(cache=100_000))
    rng = random.Random(seed)
    told = node.want("wanted.local", A)
    ear.say(response(address("wanted.local", "10.0.0.7", ttl=4500)))
    world.rest(SECOND)
    for i in range(3000):
        text_record = record("big.local", TXT, b"\x10" + rng.randbytes(16))
        data = response(*(address(f"x{i}-{j}.local", "10.0.0.9") for j in range(5)), text_record)
        node.port.datagram(data.encode(), 0x0A000002, 5353, True, world.now)
    held = node.core.querier.cache
    assert held.octets <= 100_000
    assert held.count <= 100_000 // cache.OVERHEAD
    assert len(held.heap) <= 4 * held.count + 128
    assert node.mib.Evicted > 10_000
    assert told == [(True, b"\x0a\0\0\7")]
    assert held.get((any_name("wanted.local"), A))


def test_a_flood_of_instances_is_cut_off(seed):
    world, node, ear = asking(seed)
    seen = node.browse("_http._tcp")
    for i in range(300):
        ear.say(response(*(pointer(TYPE, f"Fake {i} {j}._http._tcp.local") for j in range(4))))
    world.rest(60 * SECOND)
    (browser,) = node.core.browsers
    assert len(browser.instances) == INSTANCES
    assert browser.left_out > 0
    assert len(node.core.querier.asks) == 1 + 2 * INSTANCES
    assert len(node.core.querier.cache.get((any_name(TYPE), PTR))) <= cache.SET_LIMIT
    assert node.mib.CacheFull > 0
    assert not seen
    # each fake costs its questions four times, in company: SRV and TXT of 256 instances are some ten datagrams
    assert node.mib.OutQueries < 300
    sent = node.mib.OutQueries
    world.rest(600 * SECOND)
    assert node.mib.OutQueries - sent < 150  # the list itself, with its known answers


def test_a_record_that_is_heard_again_and_again_costs_nothing_more(seed):
    world, node, _ear = asking(seed)
    node.want("x.local", A)
    for _ in range(5000):
        node.port.datagram(response(address("x.local", "10.0.0.9")).encode(), 0x0A000002, 5353, True, world.now)
    assert len(node.core.querier.cache.heap) < 100
