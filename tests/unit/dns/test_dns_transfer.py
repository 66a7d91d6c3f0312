"""Zones going out and coming in: AXFR, IXFR with its fall-backs, what a primary may do to us, and who may have a zone."""

import random

import dns.message
import dns.name
import dns.rdatatype
import dns.xfr
import dns.zone
import pytest

from netstack.dns import name as names
from netstack.dns import tsig
from netstack.dns.authority.access import Access, rule
from netstack.dns.authority.incoming import Changes, Incoming, OverStream, TransferConfig, TransferError, UpToDate
from netstack.dns.authority.transfer import outgoing
from netstack.dns.authority.zone import Zone
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.errors import UsageError

N = names.parse
ORIGIN = N("example.")
NOW = 1_700_000_000
SOA, NS, A, TXT, CNAME = 6, 2, 1, 16, 5
IXFR, AXFR = 251, 252
KEY = tsig.Key("transfer.example.", b"secret")


def soa_data(serial, mname="ns.example."):
    return N(mname) + N("root.example.") + b"".join(v.to_bytes(4, "big") for v in (serial, 3600, 600, 86400, 300))


def soa(serial):
    return Record(ORIGIN, SOA, 1, 3600, soa_data(serial))


def a(owner, last, ttl=60):
    return Record(N(owner, ORIGIN), A, 1, ttl, bytes([192, 0, 2, last]))


def make(serial=1, hosts=3):
    zone = Zone(ORIGIN)
    zone.add("@", "SOA", 3600, soa_data(serial))
    zone.add("@", "NS", 3600, "ns")
    zone.add("ns", "A", 3600, "192.0.2.53")
    for i in range(hosts):
        zone.add(f"Host{i}", "A", 60, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")
    return zone


def change(zone, removed=(), added=()):
    old = zone.serial
    zone.apply([soa(old), *removed], [soa(old + 1 & 0xFFFFFFFF), *added])


def ask(type=AXFR, serial=None, id=77, edns=False, flags=0x0100):
    m = Message(id, flags)
    m.question.append(Question(ORIGIN, type))
    if serial is not None:
        m.authority.append(soa(serial))
    if edns:
        m.edns = Edns(1232)
    return m


def contents(zone):
    return sorted((r.name.lower(), r.type, r.ttl, r.rdata) for r in zone.records())


def sent(zone, message, **more):
    return list(outgoing(zone, message, **more))


def serials(messages):
    return [int.from_bytes(r.rdata[-20:-16], "big") for m in messages for r in m.answer if r.type == SOA]


def receive(messages, ours=None, key=None, config=None, stream=True, id=77, request_mac=b""):
    """Feed an answer; gives what came of it."""
    incoming = Incoming(ORIGIN, id, ours, config=config, stream=stream)
    result = None
    for m in messages:
        assert result is None, "messages after the end"
        result = incoming.message(m if isinstance(m, bytes) else m.encode(exact=True), NOW)
    return result


# -- out: AXFR ----------------------------------------------------------------------------------------------------------------


def test_a_transfer_begins_and_ends_with_the_soa_and_has_every_record_once():
    zone = make(hosts=2000)
    messages = sent(zone, ask(edns=True))
    assert len(messages) > 1
    first = messages[0]
    assert (first.id, first.qr, first.aa, first.rcode, first.rd) == (77, True, True, 0, True)
    assert first.question == [Question(ORIGIN, AXFR)] and first.edns is not None
    assert all(m.question == [] and m.edns is None and m.id == 77 and m.aa for m in messages[1:])
    records = [r for m in messages for r in m.answer]
    assert records[0] == records[-1] == soa(1)
    assert [r.type for r in records[1:-1]].count(SOA) == 0
    assert sorted((r.name.lower(), r.type, r.ttl, r.rdata) for r in records[:-1]) == contents(zone)


@pytest.mark.parametrize("limit", [512, 1232, 4096, 16384, 65535])
def test_every_message_fits_its_limit_whole(limit):
    zone = make(hosts=500)
    messages = sent(zone, ask(), limit=limit)
    wires = [m.encode(limit, exact=True) for m in messages]
    assert all(len(wire) <= limit and not decode(wire).tc for wire in wires)
    assert sum(len(decode(wire).answer) for wire in wires) == 500 + 4
    key_room = KEY.overhead
    assert limit < 1232 or all(len(wire) + key_room <= limit for wire in wires)


def test_letters_of_names_are_kept():
    wire = sent(make(), ask())[0].encode(exact=True)
    assert b"\x05Host1" in wire


def test_one_record_of_sixty_kilobytes_has_a_message_of_its_own():
    zone = make()
    big = b"".join(b"\xff" + bytes([i]) * 255 for i in range(230))
    zone.add("big", "TXT", 60, big)
    wires = [m.encode(exact=True) for m in sent(zone, ask())]
    assert any(len(wire) > 58_000 for wire in wires) and not any(decode(wire).tc for wire in wires)
    assert contents(receive(wires).zone) == contents(zone)


def test_dnspython_reads_our_transfer():
    zone = make(hosts=700)
    theirs = dns.zone.Zone("example.")
    with dns.xfr.Inbound(theirs, dns.rdatatype.AXFR) as inbound:
        done = False
        for m in sent(zone, ask()):
            assert not done
            done = inbound.process_message(dns.message.from_wire(m.encode(exact=True), xfr=True, origin=theirs.origin))
    assert done
    assert len(list(theirs.iterate_rdatas())) == 703
    assert str(theirs["Host9"].find_rdataset(1, 1)[0]) == "10.0.0.9"


def test_a_zone_that_changes_during_its_transfer_is_sent_as_it_was():
    zone = make(hosts=3000)
    before = contents(zone)
    stream = outgoing(zone, ask(), 8192)
    messages = [next(stream)]
    change(zone, [Record(N("Host2999", ORIGIN), A, 1, 60, bytes([10, 0, 2999 >> 8, 2999 & 255]))], [a("aaa", 1)])
    for i in range(40):
        change(zone, added=[a(f"new{i}", i)])
    messages += stream
    assert contents(receive(messages).zone) == before
    assert serials(messages) == [1, 1]


def test_what_is_asked_of_another_zone_or_badly_is_an_error():
    zone = make()
    other = ask()
    other.question = [Question(N("other."), AXFR)]
    assert [m.rcode for m in sent(zone, other)] == [9]  # NOTAUTH
    two = ask()
    two.question *= 2
    assert [m.rcode for m in sent(zone, two)] == [1]
    assert [m.rcode for m in sent(zone, ask(), stream=False)] == [1]  # RFC 5936 4.2: not over UDP
    assert [m.rcode for m in sent(zone, ask(IXFR))] == [1]  # without a SOA
    assert [m.rcode for m in sent(Zone(ORIGIN), ask())] == [2]
    zone.expired = True
    assert [m.rcode for m in sent(zone, ask())] == [2]


# -- out: IXFR ----------------------------------------------------------------------------------------------------------------


def changed(n=3):
    zone = make(serial=10)
    change(zone, added=[a("one", 1)])
    change(zone, [a("one", 1)], [a("one", 2), a("two", 2)])
    change(zone, added=[a("three", 3)])
    return zone


def test_changes_are_sent_one_by_one():
    zone = changed()
    (message,) = sent(zone, ask(IXFR, 10))
    kinds = [(r.type, int.from_bytes(r.rdata[-20:-16], "big") if r.type == SOA else r.rdata[3]) for r in message.answer]
    assert kinds == [
        (SOA, 13),
        (SOA, 10), (SOA, 11), (A, 1),
        (SOA, 11), (A, 1), (SOA, 12), (A, 2), (A, 2),
        (SOA, 12), (SOA, 13), (A, 3),
        (SOA, 13),
    ]  # fmt: skip
    assert message.question == [Question(ORIGIN, IXFR)]


@pytest.mark.parametrize("serial", [13, 14, 13 + 2**31 - 1])
def test_who_is_as_new_or_newer_gets_the_soa_alone(serial):
    (message,) = sent(changed(), ask(IXFR, serial))
    assert message.answer == [soa(13)]


@pytest.mark.parametrize("serial", [9, 13 + 2**31 + 5])
def test_who_is_older_than_the_journal_gets_the_whole_zone(serial):
    zone = changed()
    messages = sent(zone, ask(IXFR, serial))
    assert contents(receive(messages, soa_data(serial)).zone) == contents(zone)


def test_over_udp_changes_that_fit_are_sent_and_else_the_soa_alone():
    zone = changed()
    (small,) = sent(zone, ask(IXFR, 10), limit=1232, stream=False)
    assert len(small.answer) == 13
    change(zone, added=[Record(N("big", ORIGIN), TXT, 1, 60, b"\xff" + bytes(255)) for _ in range(1)])
    for i in range(20):
        change(zone, added=[Record(N(f"big{i}", ORIGIN), TXT, 1, 60, b"\xff" + bytes(255))])
    (large,) = sent(zone, ask(IXFR, 10), limit=1232, stream=False)
    assert large.answer == [soa(34)]
    (unknown,) = sent(zone, ask(IXFR, 1), limit=1232, stream=False)
    assert unknown.answer == [soa(34)]


def test_dnspython_reads_our_changes():
    zone = changed()
    theirs = dns.zone.Zone("example.")
    with dns.xfr.Inbound(theirs, dns.rdatatype.AXFR) as inbound:
        for m in sent(make(serial=10), ask()):
            inbound.process_message(dns.message.from_wire(m.encode(exact=True), xfr=True, origin=theirs.origin))
    with dns.xfr.Inbound(theirs, dns.rdatatype.IXFR, serial=10) as inbound:
        for m in sent(zone, ask(IXFR, 10), limit=700):
            done = inbound.process_message(dns.message.from_wire(m.encode(exact=True), xfr=True, origin=theirs.origin))
    assert done and len(list(theirs.iterate_rdatas())) == 9
    assert str(theirs["one"].find_rdataset(1, 1)[0]) == "192.0.2.2"


# -- in -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [512, 700, 4096, 65535])
def test_what_we_send_we_can_receive(limit):
    zone = make(hosts=300)
    assert contents(receive(sent(zone, ask(), limit=limit)).zone) == contents(zone)


@pytest.mark.parametrize("limit", [512, 700, 65535])
def test_changes_applied_to_the_old_zone_make_the_new_one(limit, seed):
    rng = random.Random(seed)
    zone, copy = make(serial=0xFFFFFFF0, hosts=20), make(serial=0xFFFFFFF0, hosts=20)
    for _ in range(40):  # over the end of the circle
        there = [r for r in zone.records() if r.type == A and r.name != N("ns.example.")]
        removed = rng.sample(there, min(len(there), rng.randrange(3)))
        added = [a(f"n{rng.randrange(30)}", rng.randrange(250), 60) for _ in range(rng.randrange(3))]
        change(zone, removed, [r for r in added if r not in removed])
    result = receive(sent(zone, ask(IXFR, 0xFFFFFFF0), limit=limit), soa_data(0xFFFFFFF0))
    assert isinstance(result, Changes) and len(result.changes) == 40
    for each in result.changes:
        copy.apply(each.removed, each.added)
    assert contents(copy) == contents(zone) and copy.serial == zone.serial == 24
    assert copy.journal.since(0xFFFFFFF0) is not None, "who is behind us can have the changes too"


def test_each_record_in_a_message_of_its_own_is_lawful():
    zone = make()
    records = [r for m in sent(zone, ask()) for r in m.answer]
    messages = []
    for r in records:
        m = Message(77, 0x8400)
        m.answer.append(r)
        messages.append(m)
    assert contents(receive(messages).zone) == contents(zone)
    ixfr = [r for m in sent(changed(), ask(IXFR, 10)) for r in m.answer]
    messages = []
    for r in ixfr:
        m = Message(77, 0x8400)
        m.answer.append(r)
        messages.append(m)
    assert len(receive(messages, soa_data(10)).changes) == 3


def test_a_record_that_comes_twice_is_one():
    zone = make()
    (m,) = sent(zone, ask())
    m.answer[2:2] = m.answer[2:4]
    assert contents(receive([m]).zone) == contents(zone)


def test_the_soa_alone_says_that_there_is_nothing_new():
    assert receive(sent(changed(), ask(IXFR, 13)), soa_data(13)) == UpToDate(13)
    assert receive(sent(changed(), ask(IXFR, 14)), soa_data(14)) == UpToDate(13)


def test_a_zone_of_one_soa_is_whole():
    m = Message(77, 0x8400)
    m.answer = [soa(5), soa(5)]
    assert contents(receive([m]).zone) == contents(receive([m], soa_data(4)).zone)


def test_over_udp_a_newer_soa_alone_means_to_come_over_tcp():
    zone = changed()
    (m,) = sent(zone, ask(IXFR, 1), stream=False)
    assert receive([m], soa_data(1), stream=False) == OverStream(13)
    (m,) = sent(zone, ask(IXFR, 10), stream=False)
    assert len(receive([m], soa_data(10), stream=False).changes) == 3
    m.answer.pop()
    assert receive([m], soa_data(10), stream=False) == OverStream(13)


def test_a_signed_transfer_is_verified_message_by_message():
    zone = make(hosts=200)
    incoming = Incoming(ORIGIN, 77, key=KEY)
    signed = tsig.verify(incoming.request(NOW), tsig.Keys([KEY]), NOW)
    assert decode(signed.message).question == [Question(ORIGIN, AXFR)]
    signer = signed.signer()
    wires = [signer.sign(m.encode(exact=True), NOW) for m in outgoing(zone, decode(signed.message), 1232)]
    results = [incoming.message(wire, NOW) for wire in wires]
    assert results[:-1] == [None] * (len(wires) - 1) and contents(results[-1].zone) == contents(zone)

    for spoil in (lambda w: w[:3] + w[4:], lambda w: [*w[:4], w[4][:100] + b"\0" + w[4][101:], *w[5:]], lambda w: w[1:]):
        incoming = Incoming(ORIGIN, 77, key=KEY)
        signer = tsig.verify(incoming.request(NOW), tsig.Keys([KEY]), NOW).signer()
        wires = [signer.sign(m.encode(exact=True), NOW) for m in outgoing(zone, ask(), 1232)]
        with pytest.raises(TransferError, match=r"not right|not signed|not lawful"):
            for wire in spoil(wires):
                incoming.message(wire, NOW)
    incoming = Incoming(ORIGIN, 77, key=KEY)
    incoming.request(NOW)
    with pytest.raises(TransferError, match="not signed"):
        incoming.message(sent(make(), ask())[0].encode(), NOW)


# -- in: primaries that lie ---------------------------------------------------------------------------------------------------


def answer(*records, id=77, flags=0x8400, question=None):
    m = Message(id, flags)
    if question is not None:
        m.question.append(question)
    m.answer = list(records)
    return m


OUT = Record(N("www.other."), A, 1, 60, bytes(4))
CHAOS = Record(N("x.example."), A, 3, 60, bytes(4))


@pytest.mark.parametrize(
    "messages, ours, says",
    [
        ([answer(soa(1), a("x", 1), id=78)], None, "not an answer to our query"),
        ([answer(soa(1), flags=0x0400)], None, "not an answer to our query"),
        ([answer(soa(1), flags=0xA400)], None, "not an answer to our query"),  # another opcode
        ([answer(flags=0x8405)], None, "REFUSED"),
        ([answer(soa(1), question=Question(N("other."), AXFR))], None, "another question"),
        ([answer(soa(1), question=Question(ORIGIN, IXFR))], None, "another question"),
        ([answer(soa(1), flags=0x8600)], None, "truncated"),
        ([answer()], None, "without records"),
        ([answer(a("x", 1))], None, "begins with the zone's SOA"),
        ([answer(Record(N("x.example."), SOA, 1, 60, soa_data(1)))], None, "not the apex"),
        ([answer(soa(1), OUT)], None, "not in the zone"),
        ([answer(soa(1), CHAOS)], None, "class 3"),
        ([answer(soa(1), a("x", 1), soa(2))], None, "changed in the middle"),
        ([answer(soa(2), a("x", 1), soa(1))], None, "changed in the middle"),
        ([answer(soa(1), a("x", 1), soa(1), a("y", 1))], None, "after the end"),
        ([answer(soa(1)), answer(), answer()], None, "without records"),
        ([answer(soa(1), a("x", 1), Record(N("x.example."), CNAME, 1, 60, N("y.example.")))], None, "the zone can't be"),
        ([answer(soa(1), Record(N("x.example."), 255, 1, 60, b""))], None, "the zone can't be"),
        ([answer(soa(1), Record(N("x.example."), 28, 255, 60, b""))], None, "not lawful"),
        # changes
        ([answer(soa(9), soa(4), a("x", 1))], soa_data(5), "changes since serial 4: ours is 5"),
        ([answer(soa(9), soa(5), soa(5))], soa_data(5), "from serial 5 to 5"),
        ([answer(soa(9), soa(5), soa(4))], soa_data(5), "from serial 5 to 4"),
        ([answer(soa(9), soa(5), soa(10))], soa_data(5), "from serial 5 to 10"),
        ([answer(soa(9), soa(5), soa(6), soa(7))], soa_data(5), "from serial 7 after one to 6"),
        ([answer(soa(9), soa(5), soa(6), soa(5), soa(6))], soa_data(5), "from serial 5 after one to 6"),  # for ever
        ([answer(soa(9), soa(5), soa(9), soa(9), a("x", 1))], soa_data(5), "after the end"),
        ([answer(soa(9), soa(5), OUT)], soa_data(5), "not in the zone"),
    ],
)
def test_what_a_primary_can_say_wrong_is_one_clear_sentence(messages, ours, says):
    with pytest.raises(TransferError, match=says):
        receive(messages, ours)


def endless():
    yield answer(soa(1))
    i = 0
    while True:
        i += 1
        yield answer(*(a(f"x{i}-{j}", 1) for j in range(50)))


@pytest.mark.parametrize(
    "config, says",
    [
        (TransferConfig(records=1000), "more than 1000 records: TransferConfig"),
        (TransferConfig(octets=10_000), "more than 10000 octets"),
        (TransferConfig(messages=20), "more than 20 messages"),
    ],
)
def test_a_zone_without_an_end_ends_at_a_bound(config, says):
    with pytest.raises(TransferError, match=says):
        receive(endless(), config=config)

    def changes():
        yield answer(soa(9), soa(5))
        yield from (m for m in endless() if m.answer[0].type != SOA)

    with pytest.raises(TransferError, match=says):
        receive(changes(), soa_data(5), config=config)


def test_a_stream_that_ends_in_the_middle_says_so():
    incoming = Incoming(ORIGIN, 77)
    assert "answered nothing" in str(incoming.ended())
    assert incoming.message(answer(soa(1), a("x", 1)).encode(), NOW) is None
    assert "in the middle" in str(incoming.ended())


def test_octets_of_a_stranger_are_a_result_or_a_transfer_error(seed):
    rng = random.Random(seed)
    wires = [m.encode(exact=True) for m in sent(changed(), ask(IXFR, 10), limit=700)]
    for _ in range(400):
        incoming = Incoming(ORIGIN, 77, soa_data(10))
        try:
            for wire in wires:
                bad = bytearray(wire)
                for _ in range(rng.randrange(4)):
                    bad[rng.randrange(len(bad))] = rng.randrange(256)
                if incoming.message(bytes(bad), NOW) is not None:
                    break
        except TransferError:
            pass


# -- who may ------------------------------------------------------------------------------------------------------------------


def test_nobody_may_anything_unless_he_is_named():
    access = Access()
    assert not access.may_transfer("127.0.0.1") and not access.may_update("127.0.0.1") and not access.may_notify("127.0.0.1")


def test_networks_and_keys():
    key = N("k.example.")
    access = Access(transfer=("10.0.0.0/8", "key:k.example"), update="192.0.2.1 key:K.example.", notify="any")
    assert access.may_transfer("10.9.9.9") and access.may_transfer("::ffff:10.9.9.9")
    assert access.may_transfer("192.0.2.7", key) and not access.may_transfer("192.0.2.7")
    assert access.may_update("192.0.2.1", key)
    assert not access.may_update("192.0.2.1") and not access.may_update("192.0.2.2", key)
    assert not access.may_update("192.0.2.1", N("other."))
    assert access.may_notify("2001:db8::1") and access.may_notify("fe80::1%eth0")


@pytest.mark.parametrize(
    "text, says", [("10.0.0.0/33", "not a network"), ("", "empty"), ("key:a key:b", "two keys"), ("all", "any")]
)
def test_bad_rules_are_refused_in_a_sentence(text, says):
    with pytest.raises(UsageError, match=says):
        rule(text)
