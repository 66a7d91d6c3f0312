"""What is answered, to whom and when (RFC 6762 5.4, 6, 7)."""

import itertools
import random

from mdns_world import Ear, Node, address, any_name, pointer, query, record, response

from netstack.dns.message import decode
from netstack.dns.multicast import responder
from netstack.dns.multicast.message import GROUP, denied_types, read
from netstack.dns.multicast.records import text
from netstack.dns.multicast.service import Service, type_name
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World

A, PTR, TXT, AAAA, SRV, NSEC, ANY = 1, 12, 16, 28, 33, 47, 255
WEB = Service("Web", "_http._tcp", 80, txt={"path": "/"})
TYPE = "_http._tcp.local"


def offering(seed: int, quiet: int = 60, port: int = 5353) -> tuple[World, Node, Ear]:
    """A host `printer` with a service, at rest, and somebody who asks."""
    world = World(seed=seed)
    a, b = world.host("a"), world.host("b")
    node = Node(world, a, "printer")
    node.offer(WEB)
    ear = Ear(world, b, port)
    world.rest(quiet * SECOND)
    ear.heard.clear()
    ear.raw.clear()
    return world, node, ear


def test_a_unique_record_is_answered_at_once_to_everybody(seed):
    world, _node, ear = offering(seed)
    at = world.now
    ear.say(query(("printer.local", A)))
    world.rest(SECOND)
    ((when, packet),) = ear.responses()
    assert when - at <= MILLISECOND
    assert packet.questions == []
    assert [(s.type, s.ttl, s.flush, s.rdata) for s in packet.answers] == [(A, 120, True, b"\x0a\0\0\1")]
    (nsec,) = packet.additional
    assert denied_types(nsec.rdata) == {A}
    assert decode(ear.raw[0], True).flags == 0x8400


def test_shared_records_are_answered_after_20_to_120_ms_evenly_spread(seed):
    delays = []
    world, _node, ear = offering(seed)
    for _ in range(60):
        at = world.now
        ear.say(query((TYPE, PTR)))
        world.rest(2 * SECOND)
        delays.append(ear.responses(at)[0][0] - at)
    assert 20 * MILLISECOND <= min(delays) < 45 * MILLISECOND
    assert 95 * MILLISECOND < max(delays) <= 121 * MILLISECOND
    assert 55 * MILLISECOND < sum(delays) / 60 < 85 * MILLISECOND


def test_a_pointer_brings_along_what_will_be_asked_next(seed):
    """RFC 6763 12.1: SRV and TXT of the instance, the addresses of its host."""
    world, _node, ear = offering(seed)
    ear.say(query((TYPE, PTR)))
    world.rest(SECOND)
    ((_, packet),) = ear.responses()
    assert [(text(s.name), s.type, s.flush) for s in packet.answers] == [(TYPE, PTR, False)]
    assert {(text(s.name), s.type, s.flush) for s in packet.additional} == {
        ("Web._http._tcp.local", SRV, True),
        ("Web._http._tcp.local", TXT, True),
        ("printer.local", A, True),
        ("printer.local", NSEC, True),
    }


def test_several_questions_are_answered_together_after_a_delay(seed):
    world, _node, ear = offering(seed)
    at = world.now
    ear.say(query((TYPE, PTR), ("printer.local", A), ("1.0.0.10.in-addr.arpa", PTR)))
    world.rest(SECOND)
    ((when, packet),) = ear.responses()
    assert 20 * MILLISECOND <= when - at <= 121 * MILLISECOND
    assert {s.type for s in packet.answers} == {A, PTR}
    assert len(packet.answers) == 3


def test_answers_to_queries_in_a_row_go_in_one_datagram(seed):
    """RFC 6762 6.4."""
    world, node, ear = offering(seed)
    node.offer(Service("Ssh", "_ssh._tcp", 22))
    world.rest(60 * SECOND)
    at = world.now
    ear.say(query((TYPE, PTR)))
    ear.say(query(("_ssh._tcp.local", PTR)))
    world.rest(SECOND)
    assert len(ear.responses(at)) == 1
    assert len(ear.responses(at)[0][1].answers) == 2


def test_a_known_answer_is_not_given_unless_half_of_its_time_is_over(seed):
    world, node, ear = offering(seed)
    for ttl, answers in ((4500, 0), (2250, 0), (2249, 1)):
        at = world.now
        ear.say(query((TYPE, PTR), known=[pointer(TYPE, "Web._http._tcp.local", ttl)]))
        world.rest(2 * SECOND)
        assert len(ear.responses(at)) == answers, ttl
    assert node.mib.KnownAnswers == 2


def test_known_answers_that_go_on_in_other_datagrams_are_waited_for(seed):
    """RFC 6762 7.2: 400 to 500 ms after the last that says so."""
    world, node, ear = offering(seed)
    for i in range(3):
        node.offer(Service(f"More {i}", "_http._tcp", 90 + i))
    world.rest(60 * SECOND)
    at = world.now
    ear.say(query((TYPE, PTR), known=[pointer(TYPE, "Web._http._tcp.local")], tc=True))
    world.rest(300 * MILLISECOND)
    ear.say(query(known=[pointer(TYPE, "More 0._http._tcp.local")], tc=True))
    world.rest(300 * MILLISECOND)
    assert not ear.responses(at)
    ear.say(query(known=[pointer(TYPE, "More 1._http._tcp.local")]))
    world.rest(2 * SECOND)
    ((when, packet),) = ear.responses(at)
    assert 700 * MILLISECOND <= when - at <= 803 * MILLISECOND
    assert [text(s.rdata) for s in packet.answers] == ["More 2._http._tcp.local"]


def test_who_never_ends_his_list_is_answered_all_the_same(seed):
    world, node, ear = offering(seed)
    at = world.now
    ear.say(query((TYPE, PTR), tc=True))
    for _ in range(60):
        world.rest(100 * MILLISECOND)
        ear.say(query(known=[pointer(TYPE, "Nobody._http._tcp.local")], tc=True))
    assert ear.responses(at)[0][0] - at <= responder.PATIENCE + MILLISECOND
    assert not node.core.responder.replies


def test_an_answer_that_somebody_else_gives_is_not_given_again(seed):
    """RFC 6762 7.4."""
    world, node, ear = offering(seed)
    at = world.now
    ear.say(query((TYPE, PTR)))
    world.rest(5 * MILLISECOND)
    ear.say(response(pointer(TYPE, "Web._http._tcp.local")))
    world.rest(SECOND)
    assert not ear.responses(at)
    assert node.mib.DuplicateAnswers == 1
    ear.say(query((TYPE, PTR)))
    world.rest(5 * MILLISECOND)
    ear.say(response(pointer(TYPE, "Web._http._tcp.local", ttl=4000)))  # which is less than we would say
    world.rest(2 * SECOND)
    assert len(ear.responses(at)) == 1


def test_a_goodbye_of_another_to_what_is_ours_is_made_good(seed):
    """RFC 6762 6.6."""
    world, node, ear = offering(seed)
    ear.say(response(pointer("_services._dns-sd._udp.local", TYPE, ttl=0)))
    world.rest(MILLISECOND)
    assert [(s.type, s.ttl) for s in ear.answers()] == [(PTR, 4500)]
    assert node.mib.Rescued == 1


def test_a_record_goes_to_everybody_once_a_second_whoever_asks_and_how_often(seed):
    world, node, ear = offering(seed)
    at = world.now
    for _ in range(1000):
        ear.say(query(("printer.local", A)))
        world.rest(10 * MILLISECOND)
    world.rest(2 * SECOND)
    times = [when for when, packet in ear.responses(at) if any(s.type == A for s in (*packet.answers, *packet.additional))]
    assert 10 <= len(times) <= 12
    assert min(b - a for a, b in itertools.pairwise(times)) >= SECOND
    assert len(node.core.responder.due) <= len(node.core.claims.owns) + 2


def test_a_probe_may_be_answered_four_times_a_second(seed):
    world, _node, ear = offering(seed)
    at = world.now
    for _ in range(100):
        ear.say(query(("printer.local", ANY), proposed=[address("printer.local", "10.0.0.2", flush=False)]))
        world.rest(10 * MILLISECOND)
    times = [when for when, _ in ear.responses(at)]
    assert 4 <= len(times) <= 5
    assert times[0] - at <= MILLISECOND
    assert min(b - a for a, b in itertools.pairwise(times)) >= 250 * MILLISECOND


def test_who_asks_for_it_is_answered_alone_when_everybody_has_heard_it_lately(seed):
    """RFC 6762 5.4: within a quarter of its TTL."""
    world, _node, ear = offering(seed, quiet=20)
    third = Ear(world, world.host("c"))
    world.rest(MILLISECOND)
    at = world.now
    ear.say(query(("printer.local", A), unicast=True))
    world.rest(SECOND)
    ((_, packet),) = ear.responses(at)
    assert packet.answers[0].flush
    assert not third.responses(at)
    world.rest(60 * SECOND)
    at = world.now
    ear.say(query(("printer.local", A), unicast=True))
    world.rest(SECOND)
    assert len(ear.responses(at)) == len(third.responses(at)) == 1


def test_a_query_to_us_alone_is_answered_to_its_sender_alone(seed):
    """RFC 6762 5.5."""
    world, _node, ear = offering(seed, quiet=10)
    third = Ear(world, world.host("c"))
    at = world.now
    ear.say(query(("printer.local", A)), to="10.0.0.1")
    world.rest(SECOND)
    assert len(ear.responses(at)) == 1
    assert not third.responses(at)


def test_a_resolver_of_unicast_dns_gets_its_id_its_question_and_short_ttls(seed):
    """RFC 6762 6.7: as `dig -p 5353 @224.0.0.251 printer.local` asks."""
    world, node, ear = offering(seed, port=40000)
    ear.say(bytes.fromhex("beef 0100 0001 0000 0000 0000 07 7072696e746572 05 6c6f63616c 00 0001 0001"))
    world.rest(SECOND)
    assert ear.raw == [
        bytes.fromhex(
            "beef 8400 0001 0001 0000 0001 07 7072696e746572 05 6c6f63616c 00 0001 0001"
            "c00c 0001 0001 0000000a 0004 0a000001"
            # the NSEC record: its name is not compressed, for unicast resolvers
            "c00c 002f 0001 0000000a 0012 07 7072696e746572 05 6c6f63616c 00 0001 40"
        )
    ]
    assert node.mib.OutLegacy == 1
    ear.raw.clear()
    ear.say(query(("Web._http._tcp.local", SRV), id=77))
    world.rest(SECOND)
    assert b"\7printer\5local\0" in ear.raw[0][40:]  # the target of an SRV record is not compressed
    assert decode(ear.raw[0]).id == 77


def test_a_legacy_answer_that_does_not_fit_is_truncated(seed):
    world, node, ear = offering(seed, port=40000)
    node.offer(Service("Long", "_http._tcp", 80, txt={f"k{i}": "x" * 200 for i in range(4)}))
    world.rest(5 * SECOND)
    ear.say(query(("Long._http._tcp.local", TXT), id=5))
    world.rest(SECOND)
    m = decode(ear.raw[-1])
    assert m.tc
    assert len(ear.raw[-1]) <= 512


def test_what_a_name_of_ours_has_not_is_denied(seed):
    """RFC 6762 6.1."""
    world, _node, ear = offering(seed)
    ear.say(query(("printer.local", AAAA)))
    world.rest(SECOND)
    ((_, packet),) = ear.responses()
    (nsec,) = packet.answers
    assert (nsec.type, nsec.ttl, nsec.flush) == (NSEC, 120, True)
    assert nsec.rdata == any_name("printer.local") + b"\0\1\x40"
    at = world.now
    ear.say(query(("Web._http._tcp.local", A)))
    world.rest(SECOND)
    assert denied_types(ear.responses(at)[0][1].answers[0].rdata) == {TXT, SRV}


def test_nothing_is_said_of_names_that_are_not_ours_or_not_ours_alone(seed):
    world, _node, ear = offering(seed)
    ear.say(query((TYPE, TXT)))
    ear.say(query(("other.local", A)))
    ear.say(query(("printer.local", A), id=3).encode()[:-4] + b"\0\1\0\3")  # of class CHAOS
    world.rest(2 * SECOND)
    assert not ear.responses()


def test_any_is_all(seed):
    """RFC 6762 6.5."""
    world, _node, ear = offering(seed)
    ear.say(query(("Web._http._tcp.local", ANY)))
    world.rest(SECOND)
    assert {s.type for s in ear.answers()} == {SRV, TXT}


def test_letters_of_either_case_are_the_same(seed):
    world, _node, ear = offering(seed)
    ear.say(query(("PRINTER.Local", A)))
    world.rest(SECOND)
    assert [text(s.name) for s in ear.answers()] == ["printer.local"]


def test_the_types_of_services_are_listed(seed):
    world, node, ear = offering(seed)
    node.offer(Service("Second", "_http._tcp", 81))
    node.offer(Service("Ssh", "_ssh._tcp", 22, subtypes=("_shell",)))
    world.rest(60 * SECOND)
    at = world.now
    ear.say(query(("_services._dns-sd._udp.local", PTR)))
    ear.say(query(("_shell._sub._ssh._tcp.local", PTR)))
    world.rest(SECOND)
    answers = ear.answers(at)
    assert sorted(text(s.rdata) for s in answers) == ["Ssh._ssh._tcp.local", "_http._tcp.local", "_ssh._tcp.local"]


def test_a_set_that_is_ours_alone_goes_whole(seed):
    """RFC 6762 10.2: whoever knows one address of two gets both."""
    from netstack.address import Cidr

    world, node, ear = offering(seed)
    node.host.stack.add_address(Cidr.parse("10.0.9.9/16"), world.now)
    node.port.stir()
    world.rest(60 * SECOND)
    at = world.now
    ear.say(query(("printer.local", A), known=[address("printer.local", "10.0.0.1", flush=False)]))
    world.rest(SECOND)
    assert sorted(s.rdata for s in ear.answers(at)) == [b"\x0a\0\0\1", b"\x0a\0\x09\x09"]


def test_a_record_longer_than_a_datagram_goes_alone(seed):
    """RFC 6762 17."""
    world, node, ear = offering(seed)
    node.offer(Service("Long", "_long._tcp", 80, txt={f"k{i:02d}": "x" * 240 for i in range(12)}))
    at = world.now
    world.rest(5 * SECOND)
    sizes = [(len(data), len(read(data).answers)) for data, (when, _, _) in zip(ear.raw, ear.heard, strict=True) if when >= at]
    assert any(size > 1472 and answers == 1 for size, answers in sizes)
    assert all(size <= 1472 or answers <= 1 for size, answers in sizes)


def test_strangers_beyond_the_link_are_not_answered(seed):
    """RFC 6762 11, 5.5."""
    world, node, ear = offering(seed)
    far = query(("printer.local", A)).encode()
    node.port.datagram(far, 0x08080808, 5353, False, world.now)
    assert node.mib.InStrangers == 1
    node.port.datagram(far, 0x08080808, 40000, True, world.now)  # a legacy one that our answer would never reach
    world.rest(SECOND)
    assert node.mib.OutUnicast == 0
    node.port.datagram(query(("printer.local", A), unicast=True).encode(), 0x08080808, 5353, True, world.now)
    world.rest(SECOND)
    assert len(ear.responses()) == 1  # to everybody: he would not take an answer from an address beyond his link


def test_lawless_messages_are_counted_and_dropped(seed):
    world, node, ear = offering(seed)
    good = query(("printer.local", A)).encode()
    ear.say(good[:2] + b"\x28\0" + good[4:])  # UPDATE
    ear.say(good[:2] + b"\0\5" + good[4:])
    ear.say(good[:-3])
    world.rest(SECOND)
    assert (node.mib.InLawless, node.mib.InMangled) == (2, 1)
    assert not ear.responses()
    odd = Ear(world, world.host("c"), 40001)
    odd.say(response(address("printer.local", "10.9.9.9")))
    world.rest(SECOND)
    assert node.mib.InBadPort == 1
    assert node.mib.Conflicts == 0


def test_every_packet_of_ours_has_ttl_255_and_comes_from_port_5353(seed):
    """RFC 6762 11, 6."""
    world = World(seed=seed)
    a, b = world.host("a"), world.host("b")
    frames: list[bytes] = []

    def watch(sender: str, frame: bytes) -> bytes:
        if sender == "a" and frame[12:14] == b"\x08\0" and frame[23] == 17:
            frames.append(frame)
        return frame

    world.wire.tamper(watch)
    Node(world, a, "printer")
    ear = Ear(world, b, 40000)
    world.rest(5 * SECOND)
    ear.say(query(("printer.local", A)))
    world.rest(SECOND)
    assert len(frames) == 6  # probes, announcements, and an answer to one alone
    assert all(frame[22] == 255 and frame[34:36] == b"\x14\xe9" for frame in frames)


def test_a_flood_of_queriers_costs_a_bounded_table_and_a_bounded_stream(seed):
    world, node, _ear = offering(seed, quiet=10)
    rng = random.Random(seed)
    for _ in range(2000):
        source = 0x0A000000 | rng.getrandbits(16)
        port = 5353 if rng.getrandbits(1) else 1024 + rng.getrandbits(12)
        node.port.datagram(query((TYPE, PTR), unicast=True, id=1).encode(), source, port, True, world.now)
        node.port.datagram(query((TYPE, PTR), tc=True).encode(), source, 5353, True, world.now)
        assert len(node.core.responder.replies) <= responder.REPLIES
    assert node.mib.RepliesFull > 3000
    world.rest(10 * SECOND)
    assert not node.core.responder.replies
    sent = node.mib.OutUnicast
    for _ in range(5000):
        node.port.datagram(query(("printer.local", A), id=1).encode(), 0x0A000002, 2000, True, world.now)
    assert node.mib.OutUnicast - sent <= responder.UNICAST_BURST
    assert node.mib.UnicastLimited > 4000


def test_a_stranger_s_messages_never_break_it(seed):
    """Mutations of lawful messages: nothing but answers or silence, and tables within their bounds."""
    world, node, _ear = offering(seed, quiet=5)
    rng = random.Random(seed)
    seen = node.browse("_http._tcp")
    lawful = [
        query((TYPE, PTR), ("printer.local", ANY), known=[pointer(TYPE, "Web._http._tcp.local")]).encode(),
        query(("printer.local", ANY), proposed=[address("printer.local", "10.0.0.7")], unicast=True).encode(),
        response(
            pointer(TYPE, "X._http._tcp.local"),
            address("x.local", "10.0.0.8"),
            record("x.local", NSEC, any_name("x.local") + b"\0\1\x40"),
        ).encode(),
        response(
            record("X._http._tcp.local", SRV, bytes(6) + any_name("x.local")), record("X._http._tcp.local", TXT, b"\3a=b")
        ).encode(),
    ]
    for i in range(4000):
        data = bytearray(rng.choice(lawful))
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.getrandbits(8)
        if rng.randrange(8) == 0:
            data = data[: rng.randrange(len(data))]
        source, port = 0x0A000000 | rng.getrandbits(8), 5353 if rng.randrange(4) else 999
        node.port.datagram(bytes(data), source, port, bool(rng.randrange(3)), world.now)
        if i % 50 == 0:
            world.rest(100 * MILLISECOND)
    assert node.core.querier.cache.octets <= node.core.config.cache
    assert len(node.core.responder.replies) <= responder.REPLIES
    assert len(node.core.querier.asks) <= 3 * 256 + 1
    assert seen
    assert type_name("_http._tcp") in node.core.claims.places or node.mib.Conflicts
    assert GROUP == "224.0.0.251"
