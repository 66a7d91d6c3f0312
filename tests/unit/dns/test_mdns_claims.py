"""How names become ours: probes, ties, conflicts, announcements (RFC 6762 8, 9)."""

import itertools

from mdns_world import Ear, Node, address, any_name, query, record, response

from netstack.dns.multicast.claims import CONFLICTS
from netstack.dns.multicast.records import State, another_host, another_instance, host_name, text
from netstack.dns.multicast.service import Service
from netstack.dns.numbers import Type
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World

WEB = Service("Web", "_http._tcp", 80)


def quiet_world(seed: int, hosts: int = 2) -> tuple[World, list]:
    world = World(seed=seed)
    return world, [world.host(f"h{i}") for i in range(hosts)]


def test_three_probes_a_quarter_of_a_second_apart_come_before_two_announcements_a_second_apart(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    world.rest(10 * SECOND)
    probes = ear.queries()
    assert len(probes) == 3
    assert probes[0][0] <= 250 * MILLISECOND + MILLISECOND  # RFC 6762 8.1: a random start
    for (before, _), (after, _) in itertools.pairwise(probes):
        assert 250 * MILLISECOND <= after - before <= 252 * MILLISECOND
    for _, packet in probes:
        assert [(q.name, q.type, q.unicast) for q in packet.questions] == [(any_name("printer"), 255, True)]
        assert [(said.type, said.rdata, said.flush) for said in packet.authority] == [(1, b"\x0a\0\0\1", False)]
    told = ear.responses()
    assert len(told) == 2
    assert told[0][0] - probes[-1][0] >= 250 * MILLISECOND
    assert SECOND <= told[1][0] - told[0][0] <= SECOND + 2 * MILLISECOND
    assert {(said.name, said.type, said.ttl, said.flush) for said in told[0][1].answers} == {
        (any_name("printer"), 1, 120, True),
        (any_name("1.0.0.10.in-addr.arpa"), 12, 120, True),
    }
    assert node.claim is not None
    assert node.claim.state is State.SETTLED


def test_a_probe_and_an_announcement_are_these_octets(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    Node(world, a, "pc")
    world.rest(5 * SECOND)
    # id 0, no flags, one question, one authority record; "pc.local", ANY, class IN with the top bit; A 120 s 10.0.0.1
    assert ear.raw[0] == bytes.fromhex(
        "0000 0000 0001 0000 0001 0000 027063056c6f63616c00 00ff 8001 c00c 0001 0001 00000078 0004 0a000001"
    )
    # QR and AA, two answers with the cache-flush bit and an NSEC record: pc.local has A and nothing else
    assert ear.raw[3] == bytes.fromhex(
        "0000 8400 0000 0002 0000 0001 027063056c6f63616c00 0001 8001 00000078 0004 0a000001"
        "0131013001300231300769 6e2d61646472046172706100 000c 8001 00000078 0002 c00c"
        "c00c 002f 8001 00000078 0005 c00c 0001 40"
    )


def test_many_services_are_probed_for_together():
    world, (a, b) = quiet_world(1)  # one in 250 seeds has the host probe for its name at once, before it has any services
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    for i in range(10):
        node.offer(Service(f"Web {i}", "_http._tcp", 80 + i))
    world.rest(10 * SECOND)
    assert len(ear.queries()) == 3
    assert len(ear.queries()[0][1].questions) == 11
    assert node.mib.OutResponses <= 4  # some 1500 octets are two datagrams, twice
    names = {said.rdata for said in ear.answers() if said.name == any_name("_http._tcp.local")}
    assert len(names) == 10


def test_who_comes_later_takes_another_name(seed):
    world, (a, b) = quiet_world(seed)
    first = Node(world, a, "printer")
    first.offer(WEB)
    world.rest(5 * SECOND)
    second = Node(world, b, "Printer")  # RFC 6762 16: the case of letters makes no difference
    claim = second.offer(WEB)
    world.rest(10 * SECOND)
    assert (first.name, second.name) == ("printer.local", "Printer-2.local")
    assert text(claim.name) == "Web (2)._http._tcp.local"
    assert second.mib.Renamed == 2
    assert first.mib.Conflicts == 0
    target = second.core.claims.owns[claim.key, int(Type.SRV), b"\0\0\0\0\0\x50" + any_name("Printer-2.local")]
    assert target.claims == {claim}


def test_a_defended_name_is_defended_at_once(seed):
    world, (a, b) = quiet_world(seed)
    Node(world, a, "printer")
    ear = Ear(world, b)
    world.rest(5 * SECOND)
    asked = world.now
    ear.say(query(("printer.local", 255), unicast=True, proposed=[address("printer.local", "10.0.0.2", flush=False)]))
    world.rest(SECOND)
    answered = ear.responses(asked)
    assert answered[0][0] - asked <= MILLISECOND
    assert answered[0][1].answers[0].rdata == b"\x0a\0\0\1"


def test_of_two_who_probe_at_once_the_later_data_wins(seed):
    world, (a, b) = quiet_world(seed)
    low, high = Node(world, a, "printer"), Node(world, b, "printer")
    world.rest(10 * SECOND)
    assert high.name == "printer.local"  # 10.0.0.2 comes after 10.0.0.1
    assert low.name == "printer-2.local"
    assert low.mib.TiesLost == 1
    assert high.mib.TiesLost == high.mib.Conflicts == 0


def test_a_tie_is_lost_for_a_second_only_when_nobody_was_there(seed):
    """RFC 6762 8.2: a stale probe, our own perhaps, costs a second and not the name."""
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    world.run(until=lambda: len(ear.queries()) == 1)
    ear.say(query(("printer.local", 255), proposed=[address("printer.local", "10.9.9.9", flush=False)]))
    lost = world.now
    world.rest(10 * SECOND)
    assert ear.queries()[1][0] - lost >= SECOND
    assert len(ear.queries()) == 4
    assert node.name == "printer.local"
    assert node.mib.TiesLost == 1


def test_octets_are_compared_unsigned_and_a_longer_list_wins(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    world.run(until=lambda: len(ear.queries()) == 1)
    less = address("printer.local", "9.255.255.255", flush=False)
    same = address("printer.local", "10.0.0.1", flush=False)
    ear.say(query(("printer.local", 255), proposed=[less]))
    ear.say(query(("printer.local", 255), proposed=[same]))  # an identical one is none: a proxy, or ourselves
    world.rest(MILLISECOND)
    assert node.mib.TiesLost == 0
    ear.say(query(("printer.local", 255), proposed=[same, record("printer.local", 28, bytes(16))]))
    world.rest(MILLISECOND)
    assert node.mib.TiesLost == 1


def test_a_host_that_owns_another_type_of_record_owns_the_name(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    world.run(until=lambda: len(ear.queries()) == 1)
    ear.say(response(record("printer.local", 28, bytes(16), flush=True)))
    world.rest(5 * SECOND)
    assert node.name == "printer-2.local"


def test_what_was_said_before_the_first_probe_is_no_conflict():
    world, (a, b) = quiet_world(1)  # one in 250 seeds has it probe before this could be heard
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    ear.say(response(address("printer.local", "10.0.0.9")))
    world.run(until=lambda: len(ear.queries()) == 1)
    world.rest(5 * SECOND)
    assert node.name == "printer.local"


def test_a_conflict_later_on_is_fought_out_by_probes_and_the_name_stays_when_nobody_defends_it(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    world.rest(5 * SECOND)
    at = world.now
    ear.say(response(address("printer.local", "10.0.0.9")))
    world.rest(MILLISECOND)
    assert node.claim is not None
    assert node.claim.state is State.WAITING
    world.rest(5 * SECOND)
    assert len(ear.queries(at)) == 3
    assert node.name == "printer.local"
    assert node.claim.state is State.SETTLED
    assert len([said for said in ear.answers(at) if said.rdata == b"\x0a\0\0\1"]) == 2


def test_no_goodbye_is_said_to_what_another_has_won(seed):
    """It would take his records from everybody's cache."""
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    node.offer(WEB)
    world.rest(5 * SECOND)
    at = world.now
    other = record("Web._http._tcp.local", int(Type.SRV), b"\0\0\0\0\0\x51" + any_name("other.local"), flush=True)
    ear.say(response(other))
    world.run(until=lambda: len(ear.queries(at)) == 1)
    ear.say(response(other))
    world.rest(5 * SECOND)
    assert [text(claim.name) for claim in node.core.services] == ["Web (2)._http._tcp.local"]
    assert not [said for said in ear.answers(at) if said.ttl == 0]


def test_who_is_contradicted_for_ever_asks_ever_more_rarely(seed):
    """RFC 6762 8.1: fifteen conflicts in ten seconds, and each attempt waits five."""
    world, (a, b) = quiet_world(seed)
    node = Node(world, a, "printer")

    class Liar(Ear):
        def on_datagram(self, data, address_, port, now):
            known = len(self.heard)
            super().on_datagram(data, address_, port, now)
            for _, packet in self.queries()[known:]:
                self.say(response(*(address(text(q.name), "10.0.0.66") for q in packet.questions)))

    ear = Liar(world, b)
    world.rest(120 * SECOND)
    assert node.mib.Conflicts <= CONFLICTS + 2 + 110 // 5
    assert node.mib.OutProbes <= node.mib.Conflicts + 3
    gaps = [after[0] - before[0] for before, after in zip(ear.queries()[20:], ear.queries()[21:], strict=False)]
    assert min(gaps) >= 5 * SECOND
    assert node.claim is not None
    assert node.claim.late  # RFC 6762 9: people are to hear of it after a minute
    assert len(node.core.claims.conflicts) <= CONFLICTS


def test_goodbye_is_said_with_ttl_0_and_to_what_nobody_else_has(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    one, _ = node.offer(WEB), node.offer(Service("Other", "_http._tcp", 81))
    world.rest(5 * SECOND)
    at = world.now
    node.core.withdraw(one, world.now)
    node.port.stir()
    world.rest(2 * SECOND)
    gone = [said for said in ear.answers(at) if said.ttl == 0]
    assert {(text(said.name), said.type) for said in gone} == {
        ("Web._http._tcp.local", 33),
        ("Web._http._tcp.local", 16),
        ("_http._tcp.local", 12),
    }
    at = world.now
    node.port.close()
    world.rest(SECOND)
    gone = [said for said in ear.answers(at) if said.ttl == 0]
    assert ("_services._dns-sd._udp.local", 12) in {(text(said.name), said.type) for said in gone}
    assert ("printer.local", 1) in {(text(said.name), said.type) for said in gone}
    assert not node.host.stack.udp.ports


def test_other_data_is_announced_without_probes_and_what_was_shared_is_taken_back(seed):
    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    claim = node.offer(Service("Web", "_http._tcp", 80, subtypes=("_old",)))
    world.rest(5 * SECOND)
    at = world.now
    node.core.update(claim, Service("Web", "_http._tcp", 80, txt={"v": "2"}, subtypes=("_new",)), world.now)
    node.port.stir()
    world.rest(5 * SECOND)
    assert not ear.queries(at)
    said = ear.answers(at)
    assert [text(s.name) for s in said if s.ttl == 0] == ["_old._sub._http._tcp.local"]
    assert [s.rdata for s in said if s.type == 16] == [b"\x03v=2"] * 2
    assert [s.name for s in said if s.ttl and s.type == 12].count(any_name("_new._sub._http._tcp.local")) == 2


def test_a_new_address_is_announced_and_the_first_one_probed_for(seed):
    from netstack.address import Cidr

    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    node = Node(world, a, "printer")
    world.rest(5 * SECOND)
    at = world.now
    a.stack.add_address(Cidr.parse("10.0.7.7/16"), world.now)
    node.port.stir()
    world.rest(5 * SECOND)
    assert not ear.queries(at)
    assert {s.rdata for s in ear.answers(at) if s.type == 1} == {b"\x0a\0\0\1", b"\x0a\0\7\7"}
    assert all(len([s for s in p.answers if s.type == 1]) == 2 for _, p in ear.responses(at))  # RFC 6762 6.2: all of them


def test_a_host_that_has_no_address_yet_probes_when_it_gets_one(seed):
    from netstack.address import Cidr

    world, (a, b) = quiet_world(seed)
    ear = Ear(world, b)
    a.stack.remove_address(a.address)
    node = Node(world, a, "printer")
    world.rest(5 * SECOND)
    assert not ear.heard
    a.stack.add_address(Cidr.parse("10.0.0.5/16"), world.now)
    node.port.stir()
    world.rest(5 * SECOND)
    assert len(ear.queries()) == 3
    assert {s.rdata for s in ear.answers() if s.type == 1} == {b"\x0a\0\0\5"}


def test_names_are_counted_up_and_cut_where_they_grow_too_long():
    assert text(another_host(host_name("printer"))) == "printer-2.local"
    assert text(another_host(host_name("printer-9"))) == "printer-10.local"
    assert text(another_instance(b"\3Web" + any_name("_http._tcp.local"))) == "Web (2)._http._tcp.local"
    assert text(another_instance(b"\7Web (2)" + any_name("_http._tcp.local"))) == "Web (3)._http._tcp.local"
    long = another_host(bytes((63,)) + ("é" * 31 + "x").encode() + any_name("local")[0:0] + b"\5local\0")
    assert long[0] <= 63
    assert text(long) == "é" * 30 + "-2.local"
