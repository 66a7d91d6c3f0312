"""A zone that changes: what may be removed and added, all or nothing, and what the journal says of it."""

import random

import pytest

from netstack.dns import name, rdata
from netstack.dns.authority.journal import Change, Journal, JournalConfig
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Record
from netstack.dns.numbers import Type, type_number, type_text
from netstack.errors import UsageError

N = name.parse
ORIGIN = N("example.")


def soa(serial):
    return record("@", "SOA", f"ns1 admin {serial} 3600 300 3600000 60")


def record(owner, kind, value, ttl=300):
    number = type_number(kind)
    return Record(N(owner, ORIGIN), number, 1, ttl, rdata.from_text(number, value, ORIGIN))


def made(serial=1):
    zone = Zone(ORIGIN)
    for r in (
        soa(serial),
        record("@", "NS", "ns1"),
        record("ns1", "A", "192.0.2.1"),
        record("www", "A", "192.0.2.2"),
        record("www", "A", "192.0.2.3"),
        record("a.b.c", "TXT", "deep"),
        record("alias", "CNAME", "www"),
    ):
        zone.add(r.name, r.type, r.ttl, r.rdata)
    return zone


def shown(records):
    return sorted(f"{name.text(r.name)} {r.ttl} {type_text(r.type)} {rdata.to_text(r.type, r.rdata)}" for r in records)


def rcode(zone, owner, kind="A"):
    return zone.answer(N(owner, ORIGIN), type_number(kind)).rcode


def test_records_begin_with_the_soa_which_comes_once():
    zone = made()
    found = list(zone.records())
    assert found[0] == soa(1) and [r.type for r in found].count(Type.SOA) == 1 and len(found) == 7
    assert zone.serial == 1


def test_records_are_those_of_the_moment_whatever_changes_while_they_are_read():
    zone = made()
    before = shown(zone.records())
    reading = zone.records()
    first = next(reading)
    zone.apply([record("www", "A", "192.0.2.2")], [soa(2), record("new", "A", "192.0.2.9")])
    zone.remove("ns1")
    zone.add("ns9", "A", 60, "192.0.2.9")
    assert shown([first, *reading]) == before != shown(zone.records())


def test_an_rrset_is_what_stands_at_a_name():
    zone = made()
    found = zone.rrset("WWW", "A")
    assert found is not None and (found.ttl, len(found.rdatas)) == (300, 2)
    assert zone.rrset("www", "AAAA") is None is zone.rrset("nowhere", "A")
    assert zone.rrset("b.c", "TXT") is None


def test_removing_takes_a_record_a_set_or_a_name_and_counts_them():
    zone = made()
    assert zone.remove("www", "A", "192.0.2.2") == 1
    assert zone.remove("www", "A", "192.0.2.2") == 0
    assert zone.remove("www", "A") == 1 and zone.rrset("www", "A") is None
    assert rcode(zone, "www") == 3
    zone.add("many", "A", 60, "192.0.2.1")
    zone.add("many", "TXT", 60, "x")
    assert zone.remove("many") == 2 and rcode(zone, "many") == 3
    with pytest.raises(UsageError, match="without its SOA"):
        zone.remove("@")
    with pytest.raises(UsageError, match="without its type"):
        zone.remove("www", value="192.0.2.2")
    assert zone.serial == 1


def test_names_between_live_as_long_as_what_is_below_them():
    zone = made()
    assert (rcode(zone, "b.c"), rcode(zone, "c")) == (0, 0)
    zone.add("x.c", "A", 60, "192.0.2.7")
    zone.remove("a.b.c", "TXT")
    assert (rcode(zone, "a.b.c"), rcode(zone, "b.c"), rcode(zone, "c")) == (3, 3, 0)
    zone.remove("x.c")
    assert rcode(zone, "c") == 3
    zone.add("c", "A", 60, "192.0.2.7")
    zone.add("y.c", "A", 60, "192.0.2.7")
    zone.remove("c", "A")
    assert rcode(zone, "c") == 0
    zone.remove("y.c")
    assert rcode(zone, "c") == 3


def test_a_change_happens_as_a_whole():
    zone = made()
    removed = [soa(1), record("www", "A", "192.0.2.3"), record("alias", "CNAME", "www")]
    zone.apply(removed, [soa(2), record("alias", "A", "192.0.2.4")])
    assert zone.serial == 2
    assert zone.rrset("www", "A").rdatas == (b"\xc0\0\2\2",)
    assert zone.rrset("alias", "A") is not None and zone.rrset("alias", "CNAME") is None


@pytest.mark.parametrize(
    ("removed", "added", "words"),
    [
        ([], [record("www", "A", "192.0.2.9"), record("www", "CNAME", "ns1")], "stands alone"),
        ([record("www", "A", "192.0.2.2"), record("www", "A", "192.0.2.99")], [], "no such record to remove: A"),
        ([record("nobody", "A", "192.0.2.2")], [], "no such record to remove: A"),
        ([soa(2)], [record("www", "A", "192.0.2.9")], "without its SOA"),
        ([], [record("www", "A", "192.0.2.9"), Record(N("www.test."), 1, 1, 60, b"\1\2\3\4")], "not in the zone"),
        ([], [Record(N("a.example."), 1, 1, 60, b"\1\2\3")], "A data"),
        ([], [Record(N("a.example."), 255, 1, 60, b"")], "no type of data"),
        ([], [Record(N("a.example."), 1, 1, 1 << 31, b"\1\2\3\4")], "TTL"),
        ([], [Record(N("a.example."), 1, 3, 60, b"\1\2\3\4")], "class IN"),
        ([], [record("a", "SOA", "a b 1 1 1 1 1")], "apex"),
    ],
)
def test_a_change_that_cannot_be_leaves_everything_as_it_was(removed, added, words):
    zone = made()
    zone.apply([], [soa(2)])
    before = shown(zone.records()), zone.version, len(zone.journal)
    with pytest.raises(UsageError, match=words):
        zone.apply(removed, added)
    assert (shown(zone.records()), zone.version, len(zone.journal)) == before


def test_records_are_the_same_when_only_the_letters_of_their_names_differ():
    zone = made()
    zone.add("@", "NS", 300, "NS1")
    assert len(zone.rrset("@", "NS").rdatas) == 1
    zone.apply([record("ALIAS", "CNAME", "WWW")], [])
    assert rcode(zone, "alias") == 3
    zone.add("bits", "MX", 60, b"\x00\x41\x00")
    zone.add("bits", "MX", 60, b"\x00\x61\x00")  # 0x41 and 0x61 are letters, and here numbers
    assert len(zone.rrset("bits", "MX").rdatas) == 2


def test_a_set_has_one_ttl():
    zone = made()
    zone.add("www", "A", 200, "192.0.2.9")
    assert zone.rrset("www", "A").ttl == 200
    zone.add("www", "A", 250, "192.0.2.10")
    assert zone.rrset("www", "A").ttl == 200
    zone.apply([], [record("www", "A", "192.0.2.10", 900)])
    assert zone.rrset("www", "A").ttl == 900


def test_a_set_that_no_message_could_hold_is_refused():
    zone = made()
    with pytest.raises(UsageError, match="no message holds"):
        for i in range(5000):
            zone.add("big", "A", 60, i.to_bytes(4, "big"))
    with pytest.raises(UsageError, match="types of records"):
        for i in range(101):
            zone.add("wide", 1000 + i, 60, b"")


def test_the_journal_has_what_a_copy_must_lose_and_gain():
    zone = made()
    copy = made()
    zone.apply([record("www", "A", "192.0.2.3")], [soa(2), record("www", "A", "192.0.2.4", 900)])
    zone.apply([soa(2)], [soa(4), record("z", "TXT", "z")])
    changes = zone.journal.since(1)
    assert [(c.old, c.new) for c in changes] == [(1, 2), (2, 4)]
    assert changes[0].removed[0] == soa(1) and changes[0].added[0] == soa(2)
    assert shown(changes[0].removed[1:]) == ["www.example. 300 A 192.0.2.2", "www.example. 300 A 192.0.2.3"]  # its TTL changed
    assert shown(changes[0].added[1:]) == ["www.example. 900 A 192.0.2.2", "www.example. 900 A 192.0.2.4"]
    assert [shown(c.removed[1:]) for c in zone.journal.since(2)] == [[]]
    assert zone.journal.since(4) is None is zone.journal.since(3)
    for change in changes:
        copy.apply(change.removed, change.added)
    assert shown(copy.records()) == shown(zone.records())


def test_a_change_without_a_later_serial_makes_the_journal_forget():
    for spoil in (
        lambda zone: zone.add("x", "A", 60, "192.0.2.1"),
        lambda zone: zone.remove("www"),
        lambda zone: zone.apply([], [record("x", "A", "192.0.2.1")]),
        lambda zone: zone.apply([], [soa(1)]),
    ):
        zone = made()
        zone.apply([], [soa(2)])
        assert len(zone.journal) == 1
        spoil(zone)
        assert len(zone.journal) == 0 and zone.journal.octets == 0
    zone = made(serial=0xFFFFFFFF)
    zone.apply([], [soa(0)])  # RFC 1982: that is later
    assert [(c.old, c.new) for c in zone.journal] == [(0xFFFFFFFF, 0)]


def test_a_journal_keeps_the_latest_within_its_bounds():
    def change(n):
        return Change(n, n + 1, (soa(n),), (soa(n + 1), record("x", "TXT", "y" * 200)))

    journal = Journal(JournalConfig(octets=2000, entries=1000))
    for n in range(10):
        journal.append(change(n))
    assert 1000 < journal.octets <= 2000 and journal.octets == sum(c.size for c in journal)
    assert journal.since(9) is not None and journal.since(0) is None
    journal = Journal(JournalConfig(entries=3))
    for n in range(10):
        journal.append(change(n))
    assert [c.old for c in journal] == [7, 8, 9]
    journal.append(change(20))
    assert [c.old for c in journal] == [20]
    journal = Journal(JournalConfig(octets=0))
    journal.append(change(1))
    assert len(journal) == 0
    with pytest.raises(UsageError):
        JournalConfig(octets=-1)


def test_every_change_moves_the_version():
    zone = made()
    seen = {zone.version}
    zone.add("x", "A", 60, "192.0.2.1")
    seen.add(zone.version)
    zone.remove("x")
    seen.add(zone.version)
    zone.apply([], [soa(2)])
    seen.add(zone.version)
    assert len(seen) == 4


def test_random_changes_agree_with_a_plain_set_of_records(seed):
    rng = random.Random(seed)
    zone = made()
    copy = made()
    owners = ["www", "a", "b.a", "c.b.a", "x.y.z", "*.w"]
    model = {(r.name, r.type, r.rdata) for r in zone.records() if r.type != Type.SOA}
    for serial in range(2, 60):
        removed = [Record(n, t, 1, 0, d) for n, t, d in rng.sample(sorted(model), min(len(model), rng.randrange(3)))]
        added = [record(rng.choice(owners), "TXT", str(rng.randrange(5)), rng.choice([60, 300])) for _ in range(rng.randrange(4))]
        zone.apply(removed, [*added, soa(serial)])
        model -= {(r.name, r.type, r.rdata) for r in removed}
        model |= {(r.name, r.type, r.rdata) for r in added}
        assert {(r.name, r.type, r.rdata) for r in zone.records() if r.type != Type.SOA} == model
        there = {r[0] for r in model}
        for owner in [*owners, "y.z", "z", "w", "b"]:
            full = N(owner, ORIGIN)
            alive = any(name.under(other, full) for other in there)
            assert rcode(zone, owner, "MX") == (0 if alive else 3), owner
    for change in zone.journal.since(1):
        copy.apply(change.removed, change.added)
    assert shown(copy.records()) == shown(zone.records())
