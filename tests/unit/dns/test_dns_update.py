"""Dynamic update as RFC 2136 has it, section by section; and that it is all or nothing, once in the journal."""

import random

import dns.message
import dns.name
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

from netstack.dns import name as names
from netstack.dns.authority import update
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Rcode, Type

N = names.parse
ORIGIN = N("example.")
SOA, NS, A, CNAME, MX, TXT, AAAA, ANY, DNAME, RRSIG = 6, 2, 1, 5, 15, 16, 28, 255, 39, 46
IN, CLASS_NONE, CLASS_ANY = 1, 254, 255
OK, FORMERR, SERVFAIL, NXDOMAIN, YXDOMAIN, YXRRSET, NXRRSET, NOTAUTH, NOTZONE = 0, 1, 2, 3, 6, 7, 8, 9, 10


def soa_data(serial):
    return N("ns.example.") + N("root.example.") + b"".join(v.to_bytes(4, "big") for v in (serial, 3600, 600, 86400, 300))


def make(serial=1):
    zone = Zone(ORIGIN)
    zone.add("@", "SOA", 3600, soa_data(serial))
    for owner, type, value in (
        ("@", "NS", "ns"),
        ("@", "NS", "ns2.other."),
        ("@", "TXT", '"hello"'),
        ("ns", "A", "192.0.2.53"),
        ("www", "A", "192.0.2.1"),
        ("www", "A", "192.0.2.2"),
        ("www", "AAAA", "2001:db8::1"),
        ("alias", "CNAME", "www"),
        ("a.b.c", "TXT", '"deep"'),
        ("sub", "NS", "ns.sub"),
        ("*.wild", "A", "192.0.2.9"),
    ):
        zone.add(owner, type, 3600, value)
    return zone


def rr(owner, type, value="", rclass=IN, ttl=0):
    if isinstance(value, str):
        from netstack.dns import rdata

        value = rdata.from_text(type, value, ORIGIN) if value else b""
    return Record(N(owner, ORIGIN), type, rclass, ttl, value)


def message(updates=(), prerequisites=(), name=ORIGIN, type=SOA, rclass=IN, flags=0x2800):
    m = Message(9, flags)
    m.question.append(Question(name, type, rclass))
    m.answer = list(prerequisites)
    m.authority = list(updates)
    return decode(m.encode())


def contents(zone):
    return sorted((names.text(r.name), r.type, r.ttl, r.rdata) for r in zone.records())


def values(zone, owner, type):
    kept = zone.rrset(N(owner, ORIGIN), type)
    return None if kept is None else sorted(kept.rdatas)


def refused(zone, m, rcode):
    before, serial, version = contents(zone), zone.serial, zone.version
    assert update.apply(zone, m) == rcode
    assert (contents(zone), zone.serial, zone.version) == (before, serial, version), "a refused update leaves no trace"


def done(zone, *updates, prerequisites=()):
    assert update.apply(zone, message(updates, prerequisites)) == OK


# -- 3.1: the zone ------------------------------------------------------------------------------------------------------------


def test_the_zone_section_names_exactly_this_zone():
    zone = make()
    refused(zone, message(name=N("other.")), NOTAUTH)
    refused(zone, message(name=N("www.example.")), NOTAUTH)
    refused(zone, message(rclass=3), NOTAUTH)
    refused(zone, message(type=A), FORMERR)
    refused(zone, message(flags=0), FORMERR)
    two = message()
    two.question *= 2
    refused(zone, two, FORMERR)
    none = message()
    none.question = []
    refused(zone, none, FORMERR)
    assert update.apply(Zone(ORIGIN), message()) == NOTAUTH
    assert update.apply(zone, message(name=N("EXAMPLE."))) == OK


# -- 3.2: prerequisites -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prerequisite, rcode",
    [
        (rr("www", ANY, rclass=CLASS_ANY), OK),  # name is in use
        (rr("WWW", ANY, rclass=CLASS_ANY), OK),
        (rr("nobody", ANY, rclass=CLASS_ANY), NXDOMAIN),
        (rr("c", ANY, rclass=CLASS_ANY), NXDOMAIN),  # 2.4.4: an empty non-terminal is not in use
        (rr("x.wild", ANY, rclass=CLASS_ANY), NXDOMAIN),  # 1.1.3: wildcards mean themselves
        (rr("*.wild", ANY, rclass=CLASS_ANY), OK),
        (rr("www", A, rclass=CLASS_ANY), OK),  # a set exists
        (rr("www", MX, rclass=CLASS_ANY), NXRRSET),
        (rr("alias", A, rclass=CLASS_ANY), NXRRSET),  # 1.1.4: aliases mean themselves
        (rr("nobody", ANY, rclass=CLASS_NONE), OK),  # name is not in use
        (rr("c", ANY, rclass=CLASS_NONE), OK),
        (rr("www", ANY, rclass=CLASS_NONE), YXDOMAIN),
        (rr("www", MX, rclass=CLASS_NONE), OK),  # a set does not exist
        (rr("www", A, rclass=CLASS_NONE), YXRRSET),
        (rr("www", A, rclass=CLASS_ANY, ttl=1), FORMERR),
        (rr("www", A, rclass=CLASS_NONE, ttl=1), FORMERR),
        (rr("www", TXT, b"\1x", rclass=CLASS_ANY), FORMERR),
        (rr("www", TXT, b"\1x", rclass=CLASS_NONE), FORMERR),
        (Record(N("www.other."), A, CLASS_ANY, 0, b""), NOTZONE),
        (Record(N("www.other."), A, CLASS_NONE, 0, b""), NOTZONE),
        (Record(N("www.other."), A, IN, 0, bytes(4)), NOTZONE),
        (rr("www", TXT, '"x"', rclass=3), FORMERR),
        (rr("www", TXT, '"x"', ttl=1), FORMERR),
        (rr("www", TXT, b"\5x"), FORMERR),
    ],
)
def test_each_prerequisite(prerequisite, rcode):
    zone = make()
    if rcode:
        refused(zone, message([rr("new", A, "192.0.2.7")], [prerequisite]), rcode)
    else:
        done(zone, rr("new", A, "192.0.2.7"), prerequisites=[prerequisite])
        assert values(zone, "new", A) == [bytes([192, 0, 2, 7])]


@pytest.mark.parametrize(
    "records, rcode",
    [
        ([rr("www", A, "192.0.2.2"), rr("www", A, "192.0.2.1")], OK),
        ([rr("www", A, "192.0.2.1")], NXRRSET),
        ([rr("www", A, f"192.0.2.{i}") for i in (1, 2, 3)], NXRRSET),
        ([rr("www", A, "192.0.2.1"), rr("www", A, "192.0.2.3")], NXRRSET),
        ([rr("alias", CNAME, "WWW")], OK),  # 1.1.2: letters of names
        ([rr("@", TXT, '"Hello"')], NXRRSET),  # and no others
        ([rr("nobody", A, "192.0.2.1")], NXRRSET),
        ([rr("www", A, "192.0.2.1"), rr("www", A, "192.0.2.2"), rr("www", AAAA, "2001:db8::1")], OK),
    ],
)
def test_a_set_must_be_exactly_what_is_said(records, rcode):
    zone = make()
    if rcode:
        refused(zone, message([rr("new", A, "192.0.2.7")], records), rcode)
    else:
        done(zone, rr("new", A, "192.0.2.7"), prerequisites=records)


# -- 3.4.1: prescan -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad, rcode",
    [
        (Record(N("www.other."), A, IN, 60, bytes(4)), NOTZONE),
        (Record(N("www.other."), A, CLASS_ANY, 0, b""), NOTZONE),
        (rr("www", TXT, '"x"', rclass=3), FORMERR),
        (rr("www", ANY, b"x"), FORMERR),
        (rr("www", 252, b"x"), FORMERR),
        (rr("www", 251, rclass=CLASS_ANY), FORMERR),
        (rr("www", ANY, b"x", rclass=CLASS_NONE), FORMERR),
        (rr("www", 254, b"x", rclass=CLASS_NONE), FORMERR),
        (rr("www", A, rclass=CLASS_ANY, ttl=1), FORMERR),
        (rr("www", TXT, '"x"', rclass=CLASS_ANY), FORMERR),
        (rr("www", TXT, '"x"', rclass=CLASS_NONE, ttl=1), FORMERR),
        (rr("www", TXT, b"\5x"), FORMERR),
    ],
)
def test_one_bad_record_spoils_all(bad, rcode):
    good = rr("new", A, "192.0.2.7", ttl=60)
    for updates in ([bad], [good, bad], [bad, good], [rr("www", ANY, rclass=CLASS_ANY), bad]):
        refused(make(), message(updates), rcode)


# -- 3.4.2: update ------------------------------------------------------------------------------------------------------------


def test_adding_bumps_the_serial_once_and_stands_in_the_journal_as_one_change():
    zone = make(serial=0xFFFFFFFF)
    done(zone, rr("new", A, "192.0.2.7", ttl=60), rr("new", A, "192.0.2.8", ttl=60), rr("other", TXT, '"x"', ttl=60))
    assert zone.serial == 1, "4.2: never zero"
    (change,) = zone.journal.since(0xFFFFFFFF)
    assert [r.type for r in change.removed] == [SOA] and [r.type for r in change.added] == [SOA, A, A, TXT]


def test_what_changes_nothing_changes_no_serial():
    zone = make()
    before = contents(zone), zone.version
    done(zone)
    done(zone, rr("www", A, "192.0.2.1", ttl=3600))
    done(zone, rr("nobody", ANY, rclass=CLASS_ANY), rr("www", MX, rclass=CLASS_ANY), rr("www", A, "192.0.2.99", rclass=CLASS_NONE))
    done(zone, rr("new", A, "192.0.2.7", ttl=60), rr("new", A, rclass=CLASS_ANY))
    assert (contents(zone), zone.version) == before


def test_the_same_record_with_another_ttl_changes_the_ttl_of_its_set():
    zone = make()
    done(zone, rr("www", A, "192.0.2.1", ttl=60))
    assert zone.rrset(N("www.example."), A).ttl == 60 and len(values(zone, "www", A)) == 2 and zone.serial == 2


def test_deleting_a_record_a_set_and_a_name():
    zone = make()
    done(zone, rr("www", A, "192.0.2.1", rclass=CLASS_NONE))
    assert values(zone, "www", A) == [bytes([192, 0, 2, 2])]
    done(zone, rr("www", A, rclass=CLASS_ANY))
    assert values(zone, "www", A) is None and values(zone, "www", AAAA)
    done(zone, rr("www", ANY, rclass=CLASS_ANY))
    assert zone.answer(N("www.example."), AAAA).rcode == NXDOMAIN
    done(zone, rr("a.b.c", ANY, rclass=CLASS_ANY))
    assert zone.answer(N("c.example."), A).rcode == NXDOMAIN, "nor are the names between there any longer"
    assert zone.serial == 5


def test_the_apex_keeps_its_soa_and_one_ns():
    zone = make()
    done(zone, rr("@", ANY, rclass=CLASS_ANY))
    assert values(zone, "@", TXT) is None and len(values(zone, "@", NS)) == 2 and zone.serial == 2
    done(zone, rr("@", NS, rclass=CLASS_ANY), rr("@", SOA, rclass=CLASS_ANY), rr("@", SOA, soa_data(2), rclass=CLASS_NONE))
    assert len(values(zone, "@", NS)) == 2 and zone.serial == 2
    done(zone, rr("@", NS, "ns", rclass=CLASS_NONE), rr("@", NS, "ns2.other.", rclass=CLASS_NONE))
    assert values(zone, "@", NS) == [N("ns2.other.")], "the last one is ignored"
    done(zone, rr("@", NS, "ns3", ttl=60), rr("@", NS, "ns2.other.", rclass=CLASS_NONE))
    assert values(zone, "@", NS) == [N("ns3.example.")]
    done(zone, rr("sub", NS, "ns.sub", rclass=CLASS_NONE))
    assert values(zone, "sub", NS) is None, "below the apex the last one may go"


@pytest.mark.parametrize("serial, taken", [(2, True), (100, True), (1, False), (0, False), (2**31 + 2, False), (2**31, True)])
def test_a_soa_is_taken_where_its_serial_is_later(serial, taken):
    zone = make()
    done(zone, rr("@", SOA, soa_data(serial), ttl=3600))
    assert zone.serial == (serial if taken else 1)
    zone = make()
    done(zone, rr("@", SOA, soa_data(serial), ttl=3600), rr("new", A, "192.0.2.7", ttl=60))
    assert zone.serial == (serial if taken else 2)
    assert len(zone.journal.since(1)) == 1


def test_a_soa_elsewhere_than_at_the_apex_is_ignored():
    zone = make()
    done(zone, rr("www", SOA, soa_data(5), ttl=60))
    assert values(zone, "www", SOA) is None and zone.serial == 1


def test_a_cname_and_other_data_ignore_each_other():
    zone = make()
    done(zone, rr("www", CNAME, "ns", ttl=60))
    assert values(zone, "www", CNAME) is None
    done(zone, rr("alias", A, "192.0.2.7", ttl=60))
    assert values(zone, "alias", A) is None
    assert zone.serial == 1
    done(zone, rr("alias", CNAME, "ns", ttl=60))
    assert values(zone, "alias", CNAME) == [N("ns.example.")] and zone.serial == 2
    done(zone, rr("alias", CNAME, rclass=CLASS_ANY), rr("alias", A, "192.0.2.7", ttl=60))
    assert values(zone, "alias", A) and values(zone, "alias", CNAME) is None, "in the order of the message"


def test_a_dname_replaces_the_one_before():
    zone = make()
    done(zone, rr("old", DNAME, "one", ttl=60))
    done(zone, rr("old", DNAME, "two", ttl=60))
    assert values(zone, "old", DNAME) == [N("two.example.")]


def test_one_wks_for_an_address_and_protocol():
    zone = make()
    done(zone, rr("www", Type.WKS, bytes([192, 0, 2, 1, 6, 1]), ttl=60), rr("www", Type.WKS, bytes([192, 0, 2, 1, 17, 1]), ttl=60))
    done(zone, rr("www", Type.WKS, bytes([192, 0, 2, 1, 6, 2]), ttl=60))
    assert values(zone, "www", Type.WKS) == [bytes([192, 0, 2, 1, 6, 2]), bytes([192, 0, 2, 1, 17, 1])]


def test_records_of_unknown_types_are_data_like_any_other():
    zone = make()
    done(zone, rr("www", 65280, b"\1\2", ttl=60), rr("www", 65280, b"\3", ttl=60))
    done(zone, rr("www", 65280, b"\1\2", rclass=CLASS_NONE))
    assert values(zone, "www", 65280) == [b"\3"]


@pytest.mark.parametrize("type", [3, 8, 14, 21, 26, 36, 47])
def test_data_of_old_types_that_is_not_laid_out_as_they_say_is_data_too(type):
    for value in (b"", b"\0", b"\0\1\5x", b"\x3f", b"\0" * 9 + b"\5"):
        m = Message(9, 0x2800)
        m.question.append(Question(ORIGIN, SOA))
        m.answer.append(rr("www", type, value))
        m.authority.append(rr("www", type, value, ttl=60))
        assert update.apply(make(), m) in (FORMERR, NXRRSET)
        m.answer.clear()
        assert update.apply(make(), m) in (FORMERR, OK)


def test_signatures_can_be_brought_along_and_taken_away():
    zone = make()
    signature = A.to_bytes(2, "big") + bytes([13, 2]) + bytes(12) + bytes(2) + ORIGIN + b"sig"
    done(zone, rr("www", RRSIG, signature, ttl=3600))
    assert zone.rrset(N("www.example."), A).signatures == (signature,)
    refused(zone, message(prerequisites=[rr("www", RRSIG, rclass=CLASS_NONE)]), YXRRSET)
    done(zone, rr("www", RRSIG, rclass=CLASS_ANY))
    assert zone.rrset(N("www.example."), A).signatures == ()


def test_what_no_message_could_hold_is_servfail_and_nothing_happened():
    zone = make()
    big = b"\xff" + b"x" * 255
    for i in range(20):
        done(zone, *(rr("big", TXT, big * 12 + bytes([1, 65 + i]), ttl=60),))
    refused(zone, message([rr("ok", A, "192.0.2.7", ttl=60), rr("big", TXT, big * 100, ttl=60)]), SERVFAIL)


# -- messages of others -------------------------------------------------------------------------------------------------------


def test_an_update_made_by_dnspython():
    zone = make()
    u = dns.update.UpdateMessage("example.")
    u.present("www", "A")
    u.present("www", "A", "192.0.2.1", "192.0.2.2")
    u.absent("nobody")
    u.add("new", 300, "MX", "10 mail.example.")
    u.delete("www", "A", "192.0.2.1")
    u.delete("a.b.c")
    u.delete("sub", "NS")
    u.replace("alias", 60, "CNAME", "new")
    assert update.apply(zone, decode(u.to_wire())) == OK
    assert values(zone, "new", MX) == [b"\0\x0a" + N("mail.example.")]
    assert values(zone, "www", A) == [bytes([192, 0, 2, 2])]
    assert values(zone, "a.b.c", TXT) is None and values(zone, "sub", NS) is None
    assert values(zone, "alias", CNAME) == [N("new.example.")]
    assert zone.serial == 2


def test_empty_data_is_lawful_in_updates_alone():
    m = Message(1, 0x8400)
    m.answer.append(Record(N("www.example."), 16, CLASS_ANY, 0, b""))
    wire = bytearray(m.encode())
    at = wire.index(b"\0\x10\0\xff")
    wire[at + 1] = A
    with pytest.raises(Exception, match="an address of 0 octets"):
        decode(bytes(wire))
    wire[2] = 0x28
    assert decode(bytes(wire)).answer[0].rdata == b""


def test_any_update_leaves_a_lawful_zone_and_a_journal_that_leads_there(seed):
    rng = random.Random(seed)
    owners = ["@", "www", "alias", "new", "a.b.c", "sub", "b.c"]
    data = {
        A: ["192.0.2.1", "192.0.2.2"],
        CNAME: ["www", "ns"],
        NS: ["ns", "ns2.other."],
        TXT: ['"x"'],
        MX: ["1 www"],
        DNAME: ["q"],
    }
    zone = make()
    copy = make()
    start = zone.serial
    for _ in range(300):
        updates = []
        for _ in range(rng.randrange(4)):
            owner, type = rng.choice(owners), rng.choice(list(data))
            how = rng.choice([IN, IN, IN, CLASS_NONE, CLASS_ANY])
            if how == CLASS_ANY:
                updates.append(rr(owner, rng.choice([type, ANY]), rclass=CLASS_ANY))
            else:
                updates.append(rr(owner, type, rng.choice(data[type]), rclass=how, ttl=rng.choice([60, 300]) if how == IN else 0))
        before, serial = contents(zone), zone.serial
        rcode = update.apply(zone, message(updates))
        assert rcode == OK, Rcode(rcode)
        assert (contents(zone) == before) == (zone.serial == serial), "contents and serial move together (3.6)"
    for change in zone.journal.since(start):
        copy.apply(change.removed, change.added)
    assert contents(copy) == contents(zone)
