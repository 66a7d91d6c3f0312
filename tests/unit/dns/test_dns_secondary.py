"""Copies of zones: the timers of the SOA, several primaries, notifications, transfers that can't be used, primaries that lie. And
the other side of a notification. A small world: a clock, and primaries that are zones."""

import itertools
import random

import pytest

from netstack.dns import name as names
from netstack.dns import tsig
from netstack.dns.authority import notify
from netstack.dns.authority.access import Access
from netstack.dns.authority.incoming import TransferConfig
from netstack.dns.authority.notify import Notice, NoticeConfig, Target
from netstack.dns.authority.secondary import AskSerial, Fetch, Primary, Rest, Secondary, SecondaryConfig, State
from netstack.dns.authority.transfer import outgoing
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Message, Question, Record, decode
from netstack.errors import UsageError
from netstack.instant import SECOND

N = names.parse
ORIGIN = N("example.")
WALL = 1_700_000_000
REFUSED, NOTAUTH = 5, 9
KEY = tsig.Key("transfer.example.", b"secret")


def soa_data(serial, refresh=3600, retry=600, expire=86400):
    numbers = (serial, refresh, retry, expire, 300)
    return N("ns.example.") + N("root.example.") + b"".join(v.to_bytes(4, "big") for v in numbers)


def soa(serial, **more):
    return Record(ORIGIN, 6, 1, 3600, soa_data(serial, **more))


def make(serial=1, **more):
    zone = Zone(ORIGIN)
    zone.add("@", "SOA", 3600, soa_data(serial, **more))
    zone.add("@", "NS", 3600, "ns")
    zone.add("ns", "A", 3600, "192.0.2.53")
    return zone


def bump(zone, n=1):
    for _ in range(n):
        old = zone.serial
        old_soa = Record(ORIGIN, 6, 1, 3600, zone.rrset(ORIGIN, 6).rdatas[0])
        new = old_soa.rdata[:-20] + ((old + 1) & 0xFFFFFFFF).to_bytes(4, "big") + old_soa.rdata[-16:]
        zone.apply([old_soa], [Record(ORIGIN, 6, 1, 3600, new), Record(N(f"h{old}.example."), 1, 1, 60, bytes(4))])


def contents(zone):
    return sorted((r.name.lower(), r.type, r.ttl, r.rdata) for r in zone.records())


class Server:
    """A primary: a zone, and its moods."""

    def __init__(self, zone, key=None):
        self.zone = zone
        self.keys = tsig.Keys([key] if key else [])
        self.udp = self.tcp = True
        self.spoil = None  # changes the messages of a transfer
        self.asked = []

    def answer(self, wire, stream):
        signed = tsig.verify(wire, self.keys, WALL)
        m = decode(wire if signed is None else signed.message)
        type = m.question[0].type
        self.asked.append({6: "SOA", 251: "IXFR", 252: "AXFR"}[type] + ("" if stream else " over UDP"))
        if type == 6:
            reply = self.zone.answer(ORIGIN, 6).message(ORIGIN, 6, m.id)
            messages = [reply]
        else:
            messages = list(outgoing(self.zone, m, 1200))
        if self.spoil is not None:
            messages = self.spoil(m, messages)
        wires = [each.encode(exact=True) for each in messages]
        if signed is not None:
            signer = signed.signer()
            wires = [signer.sign(each, WALL) for each in wires]
        return wires


class World:
    """One secondary among servers by address. `run` lets time pass."""

    def __init__(self, servers, seed=1, zone=None, key=None, **more):
        self.now = 1000 * SECOND
        self.servers = servers
        self.adopted = []
        primaries = [Primary(address, key=key) for address in servers]
        self.secondary = Secondary(
            ORIGIN,
            primaries,
            random.Random(seed),
            lambda: WALL,
            zone=zone,
            adopted=lambda zone: self.adopted.append((zone.serial, zone.expired)),
            **more,
        )
        self.secondary.start(self.now)

    @property
    def zone(self):
        return self.secondary.zone

    def turn(self):
        """One round to its end, if one is due."""
        step = self.secondary.due(self.now)
        while not isinstance(step, Rest):
            step = self.perform(step)
        return step

    def perform(self, step):
        server = self.servers[step.primary.address]
        if isinstance(step, AskSerial):
            if server.udp:
                for wire in server.answer(step.wire, False):
                    following = self.secondary.datagram(self.now, wire)
                    if following is not None:
                        return following
            self.now = step.deadline
            return self.secondary.expired(self.now)
        assert isinstance(step, Fetch)
        if not server.tcp:
            return self.secondary.failed(self.now, "refused")
        for wire in server.answer(step.wire, True):
            following = self.secondary.message(self.now, wire)
            if following is not None:
                return following
        return self.secondary.ended(self.now)

    def run(self, seconds):
        end = self.now + int(seconds * SECOND)
        while self.secondary.deadline <= end:
            self.now = max(self.now, self.secondary.deadline)
            before = self.now, self.secondary.deadline
            self.turn()
            assert (self.now, self.secondary.deadline) != before, "a turn that changes nothing would spin"
        self.now = max(self.now, end)


# -- refresh, retry, expire ---------------------------------------------------------------------------------------------------


def test_a_new_copy_comes_as_a_whole_and_then_follows_by_changes():
    server = Server(make())
    world = World({"a": server})
    world.turn()
    assert server.asked == ["AXFR"] and contents(world.zone) == contents(server.zone) and world.adopted == [(1, False)]
    bump(server.zone, 3)
    world.run(3600)
    assert server.asked == ["AXFR", "SOA over UDP", "IXFR"]
    assert contents(world.zone) == contents(server.zone) and world.adopted[1:] == [(4, False)]
    assert (world.secondary.mib.XfrWhole, world.secondary.mib.XfrChanges) == (1, 1)


def test_an_unchanged_zone_costs_one_datagram_for_each_refresh():
    server = Server(make(refresh=1000))
    world = World({"a": server})
    world.run(10_000)
    assert server.asked[0] == "AXFR" and set(server.asked[1:]) == {"SOA over UDP"}
    assert 10 <= len(server.asked) - 1 <= 11, "each comes up to a tenth earlier"


def test_refreshes_of_many_zones_do_not_come_at_once():
    instants = set()
    for seed in range(20):
        world = World({"a": Server(make(refresh=1000))}, seed)
        instants.add((world.turn().deadline - world.now) // SECOND)
    assert len(instants) > 10 and all(900 <= instant <= 1000 for instant in instants)


def test_timers_of_a_soa_are_held_within_bounds():
    world = World({"a": Server(make(refresh=0, retry=0, expire=0))})
    assert world.turn().deadline >= world.now + 54 * SECOND
    world = World({"a": Server(make(refresh=2**31, retry=2**31, expire=2**31))})
    assert world.turn().deadline <= world.now + 24 * 3600 * SECOND
    world.servers["a"].tcp = world.servers["a"].udp = False
    world.run(43 * 86400)
    assert world.zone.expired


def test_a_silent_primary_is_asked_again_after_retry_and_the_copy_expires_and_comes_back():
    server = Server(make(refresh=1000, retry=200, expire=5000))
    world = World({"a": server})
    world.turn()
    server.udp = server.tcp = False
    world.run(4900)
    assert not world.zone.expired
    assert 19 <= world.secondary.mib.GaveUp <= 23, "once for each retry, after the refresh"
    version = world.zone.version
    world.run(200)
    assert world.zone.expired and world.zone.version != version and world.adopted[-1] == (1, True)
    assert world.zone.answer(N("ns.example."), 1).rcode == 2
    server.udp = server.tcp = True
    world.run(250)
    assert not world.zone.expired and world.zone.answer(N("ns.example."), 1).rcode == 0
    assert world.adopted[-1] == (1, False) and world.secondary.mib.Expired == 1


def test_without_a_zone_attempts_come_after_ever_longer_times():
    server = Server(make())
    server.tcp = False
    world = World({"a": server})
    gaps = []
    for _ in range(14):
        rest = world.turn()
        gaps.append((rest.deadline - world.now) // SECOND)
        world.now = rest.deadline
    assert gaps[0] <= 5 and 4 * 3600 * 0.9 - 1 <= gaps[-1] <= 4 * 3600
    assert all(later >= earlier for earlier, later in itertools.pairwise(gaps[:-1]))


def test_a_zone_from_a_file_is_checked_at_once_and_its_journal_goes_on():
    server = Server(make())
    copy = make()
    bump(server.zone)
    world = World({"a": server}, zone=copy)
    world.turn()
    assert server.asked == ["SOA over UDP", "IXFR"] and world.zone is copy and copy.journal.since(1) is not None


# -- several primaries --------------------------------------------------------------------------------------------------------


def test_who_does_not_answer_is_followed_by_the_next():
    a, b = Server(make()), Server(make(serial=5))
    a.udp = a.tcp = False
    world = World({"a": a, "b": b})
    world.turn()
    assert world.zone.serial == 5 and world.secondary.why.startswith("a: refused")


def test_who_has_an_older_zone_is_followed_by_the_next():
    a, b = Server(make(serial=3)), Server(make(serial=9))
    world = World({"a": a, "b": b}, zone=make(serial=5))
    world.turn()
    assert world.zone.serial == 9 and a.asked == ["SOA over UDP"]


def test_an_older_zone_never_takes_the_place_of_a_newer():
    a = Server(make(serial=3))
    world = World({"a": a}, zone=make(serial=5))
    a.udp = False  # so that a transfer is begun
    world.turn()
    assert world.zone.serial == 5 and a.asked == ["IXFR"] and "older" in world.secondary.why
    world.run(90000)
    assert world.zone.expired is False or world.zone.serial == 3


def test_silence_over_udp_alone_is_no_reason_to_give_up():
    server = Server(make())
    world = World({"a": server}, zone=make())
    bump(server.zone)
    server.udp = False
    world.turn()
    assert world.zone.serial == 2 and server.asked == ["IXFR"]
    assert world.now == 1014 * SECOND, "three attempts, 2, 4 and 8 s"


# -- transfers that can't be used ---------------------------------------------------------------------------------------------


def test_changes_of_another_zone_lead_to_the_whole():
    server = Server(make(serial=2))
    other = make()
    other.apply([soa(1), Record(N("gone.example."), 1, 1, 60, bytes(4))][:1], [soa(2)])
    server.zone = make(serial=1)
    server.zone.add("gone", "A", 60, "192.0.2.7")
    server.zone.apply([soa(1), Record(N("gone.example."), 1, 1, 60, bytes([192, 0, 2, 7]))], [soa(2)])
    world = World({"a": server}, zone=make())  # which never had gone.example
    world.turn()
    assert server.asked == ["SOA over UDP", "IXFR", "AXFR"] and contents(world.zone) == contents(server.zone)
    assert world.secondary.mib.XfrFallbacks == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.answer.__setitem__(slice(1, 3), m.answer[2:0:-1]),  # a flip-flop of SOAs
        lambda m: m.answer.insert(2, Record(N("www.other."), 1, 1, 60, bytes(4))),
        lambda m: m.answer.append(m.answer[0]),
        lambda m: m.answer.clear(),
        lambda m: setattr(m, "id", m.id ^ 1),
        lambda m: setattr(m, "question", [Question(N("other."), 251)]),
        lambda m: setattr(m, "flags", m.flags | 4),  # NOTIMP: it knows no IXFR
    ],
)
def test_an_unlawful_ixfr_leads_to_the_whole_zone_and_an_unlawful_zone_to_the_next_primary(spoil):
    bad, good = Server(make()), Server(make())
    bump(bad.zone, 2)
    bump(good.zone, 2)

    def only_ixfr(query, messages):
        if query.question[0].type == 251:
            spoil(messages[0])
        return messages

    bad.spoil = only_ixfr
    world = World({"bad": bad, "good": good}, zone=make())
    world.turn()
    assert bad.asked == ["SOA over UDP", "IXFR", "AXFR"] and good.asked == [] and world.zone.serial == 3

    def every_transfer(query, messages):
        if query.question[0].type != 6:
            spoil(messages[0])
            if query.question[0].type == 252 and spoil.__code__.co_names == ("answer", "__setitem__", "slice"):
                messages[0].answer.append(soa(9))
        return messages

    bad.spoil = every_transfer
    world = World({"bad": bad, "good": good}, zone=make())
    world.turn()
    assert world.zone.serial == 3 and good.asked == ["SOA over UDP", "IXFR"]
    assert world.secondary.why.startswith("bad: ")


def test_a_refusal_is_not_asked_twice():
    bad = Server(make())
    bump(bad.zone)

    def refuse(query, messages):
        if query.question[0].type != 6:
            messages[0].answer.clear()
            messages[0].flags |= REFUSED
        return messages

    bad.spoil = refuse
    world = World({"bad": bad}, zone=make())
    world.turn()
    assert bad.asked == ["SOA over UDP", "IXFR"] and world.secondary.why == "bad: the primary answers REFUSED"


def test_a_primary_that_never_ends_its_zone_costs_no_more_than_the_bound():
    bad = Server(make())

    def endless(query, messages):
        for i in range(10_000):
            m = Message(query.id, 0x8400)
            m.answer = [soa(1)] if i == 0 else [Record(N(f"x{i}.example."), 1, 1, 60, bytes(4))] * 20
            yield m

    bad.spoil = endless
    world = World({"bad": bad}, config=SecondaryConfig(transfer=TransferConfig(records=5000)))
    world.turn()
    assert world.zone is None and "more than 5000 records" in world.secondary.why


# -- keys ---------------------------------------------------------------------------------------------------------------------


def test_with_a_key_everything_is_signed_both_ways():
    server = Server(make(), KEY)
    world = World({"a": server}, key=KEY)
    world.turn()
    bump(server.zone, 2)
    world.run(3600)
    assert world.zone.serial == 3 and server.asked == ["AXFR", "SOA over UDP", "IXFR"]


def test_a_primary_that_does_not_sign_is_not_believed():
    server = Server(make())
    server.keys = tsig.Keys([KEY])
    real = server.answer
    server.answer = lambda wire, stream: [m.encode() for m in outgoing(server.zone, decode(wire))] if stream else real(wire, stream)
    world = World({"a": server}, key=KEY)
    world.turn()
    assert world.zone is None and "not signed" in world.secondary.why


def test_forged_answers_about_the_serial_are_dropped_and_waited_past():
    server = Server(make())
    bump(server.zone)
    world = World({"a": server}, zone=make())
    step = world.secondary.due(world.now)
    genuine = server.answer(step.wire, False)[0]
    for at, value in ((0, genuine[0] ^ 1), (2, genuine[2] & 0x7F), (13, ord("f"))):
        forged = bytearray(genuine)
        forged[at] = value
        assert world.secondary.datagram(world.now, bytes(forged)) is None
    assert world.secondary.datagram(world.now, b"\0") is None
    assert world.secondary.mib.InForged == 4 and world.secondary.state is State.SERIAL
    assert isinstance(world.secondary.datagram(world.now, genuine), Fetch)


# -- notifications ------------------------------------------------------------------------------------------------------------


def test_a_notification_leads_to_a_look_at_once_at_who_sent_it():
    a, b = Server(make()), Server(make())
    world = World({"a": a, "b": b})
    world.turn()
    bump(b.zone)
    assert world.secondary.notified(world.now, "b", None, 2) == 0
    assert world.secondary.deadline == world.now
    world.turn()
    assert world.zone.serial == 2 and a.asked == ["AXFR"] and b.asked == ["SOA over UDP", "IXFR"]


def test_a_notification_of_what_we_have_is_answered_and_nothing_more():
    world = World({"a": Server(make())})
    world.turn()
    before = world.secondary.deadline
    assert world.secondary.notified(world.now, "a", None, 1) == 0
    assert world.secondary.deadline == before and world.secondary.mib.NotifyNotNeeded == 1


def test_notifications_of_others_are_refused_unless_they_may():
    world = World({"a": Server(make())}, access=Access(notify="10.0.0.0/8 key:k.example"))
    world.turn()
    before = world.secondary.deadline
    assert world.secondary.notified(world.now, "10.0.0.1") == REFUSED
    assert world.secondary.notified(world.now, "192.0.2.1", N("k.example.")) == REFUSED
    assert world.secondary.deadline == before and world.secondary.mib.NotifyRefused == 2
    assert world.secondary.notified(world.now, "10.0.0.1", N("k.example.")) == 0
    assert world.secondary.deadline == world.now


def test_a_flood_of_notifications_is_one_look_a_second():
    server = Server(make())
    world = World({"a": server})
    world.turn()
    end = world.now + 10 * SECOND
    while world.now < end:
        world.secondary.notified(world.now, "a")  # without a hint: anybody can write the address of our primary
        if world.secondary.deadline <= world.now:
            world.turn()
        world.now += SECOND // 100
    assert 9 <= len(server.asked) - 1 <= 11


def test_a_notification_in_the_middle_of_a_transfer_leads_to_another_look():
    server = Server(make())
    world = World({"a": server})
    step = world.secondary.due(world.now)
    wires = server.answer(step.wire, True)
    bump(server.zone)
    assert world.secondary.notified(world.now, "a", None, 2) == 0
    assert isinstance(world.secondary.due(world.now), Rest), "not beside the one that is under way"
    assert isinstance(world.secondary.message(world.now, wires[0]), Rest)
    assert world.secondary.deadline == world.now
    world.turn()
    assert world.zone.serial == 2


def test_a_copy_without_primaries_is_a_usage_error():
    with pytest.raises(UsageError, match="needs a primary"):
        Secondary(ORIGIN, [], random.Random(1), lambda: WALL)


# -- the other side of a notification -----------------------------------------------------------------------------------------


def notice(zone, key=None, **config):
    return Notice(zone, Target("s", key=key), random.Random(1), lambda: WALL, NoticeConfig(**config))


def reply_to(wire, rcode=0):
    return notify.response(decode(wire), rcode).encode()


def test_a_notification_octet_by_octet_but_for_its_id():
    wire = notice(make()).start(0)
    assert wire[2:12] == bytes.fromhex("2400 0001 0001 0000 0000")
    assert wire[12:25] == b"\7example\0\0\6\0\1"
    m = decode(wire)
    assert (m.opcode, m.aa, m.qr) == (4, True, False) and notify.hint(m) == 1
    assert reply_to(wire)[2:12] == bytes.fromhex("a400 0001 0000 0000 0000")


def test_it_is_repeated_with_back_off_and_then_given_up():
    one = notice(make())
    now = 0
    assert one.start(now) is not None
    gaps = []
    while one.deadline is not None:
        gaps.append((one.deadline - now) // SECOND)
        assert one.expired(one.deadline - 1) is None
        now = one.deadline
        one.expired(now)
    assert gaps == [2, 4, 8, 16, 32, 64] and one.told is None


def test_the_answer_ends_it_and_what_is_not_the_answer_does_not():
    one = notice(make())
    wire = one.start(0)
    for bad in (
        b"",
        wire,
        reply_to(wire)[:5],
        b"\xff" + reply_to(wire)[1:],
        b"".join((reply_to(wire)[:2], b"\x84", reply_to(wire)[3:])),
    ):
        assert not one.answer(1, bad)
    assert one.answer(1, reply_to(wire)) and one.deadline is None and one.told == 1
    assert one.start(10 * SECOND) is None, "it has been told"
    assert not one.answer(2, reply_to(wire))


def test_a_refusal_is_an_answer_too():
    one = notice(make())
    assert one.answer(1, reply_to(one.start(0), REFUSED)) and one.rcode == REFUSED and one.start(10 * SECOND) is None


def test_many_changes_are_one_notice_and_the_last_serial_is_told():
    zone = make()
    one = notice(zone)
    wire = one.start(0)
    bump(zone, 100)
    assert one.start(0) is None, "under way"
    assert one.answer(1, reply_to(wire))
    assert one.start(1) is None and one.deadline == SECOND, "not before a second has passed"
    wire = one.start(SECOND)
    assert notify.hint(decode(wire)) == 101
    assert one.answer(SECOND + 1, reply_to(wire)) and one.start(SECOND + 2) is None and one.deadline is None


def test_repetitions_say_the_serial_as_it_is_then():
    zone = make()
    one = notice(zone)
    first = one.start(0)
    bump(zone)
    again = one.expired(2 * SECOND)
    assert notify.hint(decode(again)) == 2 and again[:2] == first[:2]


def test_a_signed_notice_wants_a_signed_answer():
    one = notice(make(), KEY)
    wire = one.start(0)
    signed = tsig.verify(wire, tsig.Keys([KEY]), WALL)
    assert not one.answer(1, reply_to(signed.message))
    assert one.answer(1, signed.signer().sign(reply_to(signed.message), WALL))


def test_who_refuses_the_port_is_told_of_the_next_change():
    zone = make()
    one = notice(zone)
    one.start(0)
    one.failed()
    assert one.deadline is None
    assert one.start(5 * SECOND) is not None


def test_who_is_to_know_stands_in_the_zone():
    zone = make()
    zone.add("@", "NS", 3600, "ns2")
    zone.add("@", "NS", 3600, "NS3.other.")
    assert set(notify.servers(zone)) == {N("ns2.example."), N("NS3.other.")}


def test_a_hint_is_read_from_lawful_answers_alone():
    m = notify.request(make(), 1)
    assert notify.hint(m) == 1
    m.answer[0].rdata = b"short"
    assert notify.hint(m) is None
    m.answer = [Record(N("other."), 6, 1, 1, soa_data(5))]
    assert notify.hint(m) is None
    m.question = []
    assert notify.hint(m) is None
