"""Transfers, updates, notifications and their signatures, at the desk; cookies and rate limits at its door."""

import random

from dns_desk import TCP, UDP, N, ask, desk, octets, opt, option, query, small_zone

from netstack.dns import tsig
from netstack.dns.authority.access import Access
from netstack.dns.authority.secondary import Primary, Secondary
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Opcode, Rcode, Type
from netstack.dns.serve.client import Client
from netstack.dns.serve.cookies import Cookies
from netstack.dns.serve.limiter import Limiter
from netstack.dns.serve.limits import RateLimits
from netstack.dns.serve.view import View
from netstack.dns.tsig import Key, Keys, Verifier, sign
from netstack.instant import SECOND

NOW = 1_700_000_000
KEY = Key("transfer.", b"0123456789abcdef")
OTHER = Key("other.", b"0123456789abcdef")


def keyed(**access: str):
    at = desk()
    at.orders.keys = Keys([KEY, OTHER])
    at.orders.access = Access(**access)
    return at


def update(*records: Record, id: int = 7) -> bytes:
    m = Message(id, int(Opcode.UPDATE) << 11)
    m.question = [Question(N("example."), Type.SOA)]
    m.authority = list(records)
    return m.encode()


NEW = Record(N("new.example."), Type.A, 1, 60, b"\1\2\3\4")


def test_a_zone_goes_to_whom_it_may_and_to_nobody_else():
    at = keyed(transfer="192.0.2.0/24")
    records = [r for wire in at.handle(query("example.", Type.AXFR), TCP, 0) for r in decode(wire).answer]
    assert records[0].type == records[-1].type == Type.SOA
    assert len(records) == len(list(at.zones.exact(N("example.")).records())) + 1
    assert ask(at, query("example.", Type.AXFR), Client("198.51.100.1", 1, True)).rcode == Rcode.REFUSED
    assert ask(at, query("example.", Type.AXFR), UDP).rcode == Rcode.FORMERR  # RFC 5936 4.2
    assert ask(at, query("www.example.", Type.AXFR), TCP).rcode == Rcode.NOTAUTH
    assert (at.mib.XfrReqDone, at.mib.XfrRej) == (2, 2)


def test_zones_that_are_sent_at_once_are_bounded():
    at = desk(transfers=1)
    at.orders.access = Access(transfer="any")
    first = iter(at.handle(query("example.", Type.AXFR), TCP, 0))
    next(first)
    assert ask(at, query("example.", Type.AXFR), TCP).rcode == Rcode.SERVFAIL
    assert list(first) == []
    assert ask(at, query("example.", Type.AXFR), TCP).rcode == Rcode.NOERROR


def test_a_signed_query_gets_a_signed_answer():
    at = keyed(transfer="key:transfer.")
    for wire, client in ((query("www.example.", edns=opt()), UDP), (query("example.", Type.AXFR), TCP), (query("no.other."), UDP)):
        signed = sign(wire, KEY, NOW)
        mac = tsig.find(signed).mac
        verifier = Verifier(KEY, mac)
        for each in at.handle(signed, client, 0):
            bare = verifier.check(each, NOW)
            assert decode(bare).rcode == (Rcode.REFUSED if b"other" in wire else 0)
        verifier.finish()
    assert at.mib.ReqTSIG == 3
    assert ask(at, sign(query("example.", Type.AXFR), OTHER, NOW), TCP).rcode == Rcode.REFUSED


def test_a_long_answer_leaves_room_for_its_signature():
    at = keyed()
    at.zones.exact(N("example.")).add("near", "TXT", 60, " ".join(f'"{"x" * 99}"' for _ in range(4)) + f' "{"y" * 60}"')
    assert not ask(at, query("near.example.", Type.TXT)).tc
    wire = octets(at, sign(query("near.example.", Type.TXT), KEY, NOW))
    assert len(wire) <= 512 and decode(wire).tc


def test_signatures_that_do_not_hold_are_told_so():
    at = keyed(transfer="any")
    wire = query("example.", Type.AXFR)
    for bad, error in (
        (sign(wire, Key("nobody.", b"0123456789abcdef"), NOW), tsig.BADKEY),
        (sign(wire, Key("transfer.", b"another secret!!"), NOW), tsig.BADSIG),
        (sign(wire, KEY, NOW - 1000), tsig.BADTIME),
    ):
        answer = octets(at, bad, TCP)
        assert decode(answer).rcode == Rcode.NOTAUTH
        assert tsig.find(answer).error == error
    assert at.mib.ReqBadSIG == 3


def test_an_update_changes_the_zone_for_whom_it_may():
    at = keyed(update="key:transfer.")
    told = []
    at.orders.changed.append(told.append)
    zone = at.zones.exact(N("example."))
    assert ask(at, update(NEW)).rcode == Rcode.REFUSED
    assert told == [] and zone.serial == 7
    answer = octets(at, sign(update(NEW), KEY, NOW))
    assert decode(answer).flags == 0xA800 and tsig.find(answer) is not None
    assert told == [zone] and zone.serial == 8
    assert ask(at, query("new.example.")).answer == [NEW]
    elsewhere = update(Record(N("www.other."), Type.A, 1, 60, b"\1\2\3\4"))
    assert ask(at, sign(elsewhere, KEY, NOW)).rcode == Rcode.NOTZONE
    assert (at.mib.UpdateDone, at.mib.UpdateFail, at.mib.UpdateRej) == (1, 1, 1)
    m = Message(1, int(Opcode.UPDATE) << 11)
    assert ask(at, m.encode()).rcode == Rcode.FORMERR
    m.question = [Question(N("other."), Type.SOA)]
    assert ask(at, m.encode()).rcode == Rcode.NOTAUTH


def test_a_notification_wakes_the_secondary_of_its_zone():
    at = desk()
    woken = []
    secondary = Secondary(N("copy."), [Primary("192.0.2.7")], random.Random(1), lambda: NOW)
    at.orders.secondaries[N("copy.")] = secondary
    at.orders.noticed.append(woken.append)
    m = Message(9, int(Opcode.NOTIFY) << 11 | 0x0400)
    m.question = [Question(N("copy."), Type.SOA)]
    assert octets(at, m.encode())[:4] == bytes.fromhex("0009 a400")
    assert woken == [secondary]
    assert ask(at, m.encode(), Client("198.51.100.1", 53)).rcode == Rcode.REFUSED
    m.question = [Question(N("example."), Type.SOA)]
    assert ask(at, m.encode()).rcode == Rcode.NOTAUTH
    assert (at.mib.NotifyIn, at.mib.NotifyRej, len(woken)) == (1, 2, 1)


# -- cookies and limits -------------------------------------------------------------------------------------------------------


def with_cookie(data: bytes) -> bytes:
    return query("www.example.", edns=opt(options=option(10, data)))


def test_a_client_with_a_cookie_gets_ours_and_is_known_by_it():
    at = desk()
    first = ask(at, with_cookie(b"CLIENTCK")).edns.cookie
    assert first[0] == b"CLIENTCK" and len(first[1]) == 16
    again = ask(at, with_cookie(b"".join(first)))
    assert again.rcode == 0 and again.answer and again.edns.cookie == first
    assert ask(at, with_cookie(b"CLIENTCK" + bytes(16))).edns.cookie == first
    assert (at.mib.CookieIn, at.mib.CookieNew, at.mib.CookieMatch, at.mib.CookieNoMatch) == (3, 1, 1, 1)
    assert ask(at, with_cookie(b"short")).rcode == Rcode.FORMERR
    assert ask(desk(cookies=False), with_cookie(b"CLIENTCK")).edns.options == ()


def test_where_cookies_are_required_there_is_nothing_without_one_over_udp():
    at = desk()
    at.cookies = Cookies(b"0123456789abcdef", required=True)
    m = ask(at, with_cookie(b"CLIENTCK"))
    assert (m.rcode, m.answer) == (Rcode.BADCOOKIE, [])
    assert ask(at, with_cookie(b"".join(m.edns.cookie))).answer
    assert ask(at, with_cookie(b"CLIENTCK"), TCP).answer
    assert ask(at, query("www.example.")).answer  # who knows no cookies


def test_a_cookie_can_be_asked_for_without_a_question():
    wire = bytes.fromhex("beef 0000 0000 0000 0000 0001") + opt(options=option(10, b"CLIENTCK"))
    m = ask(desk(), wire)
    assert m.rcode == 0 and m.question == [] and m.edns.cookie[0] == b"CLIENTCK"
    assert ask(desk(cookies=False), wire).rcode == Rcode.FORMERR
    assert ask(desk(), bytes.fromhex("beef 0000 0000 0000 0000 0001") + opt(options=option(10, b"short"))).rcode == Rcode.FORMERR


def test_refusals_to_one_network_are_limited_and_cookies_are_believed():
    at = desk()
    at.limiter = Limiter(RateLimits(errors=5, responses=5), random.Random(2))
    said = [at.handle(query("www.other."), UDP, SECOND) for _ in range(100)]
    assert 5 <= sum(each is not None for each in said) <= 60  # what is over leaks every second one
    assert at.mib.RateDropped == sum(each is None for each in said)
    said = [at.handle(query("www.example."), UDP, SECOND) for _ in range(100)]
    slipped = [decode(each[0]) for each in said if each is not None]
    assert sum(m.tc and not m.answer for m in slipped) == at.mib.RateSlipped > 40
    cookie = b"".join(ask(at, with_cookie(b"CLIENTCK"), TCP, SECOND).edns.cookie)
    assert all(ask(at, with_cookie(cookie), UDP, SECOND).answer for _ in range(20))
    assert all(ask(at, query("www.example."), TCP, SECOND).answer for _ in range(20))


def test_a_view_has_zones_of_its_own_for_transfers_too():
    inside = small_zone("inside.")
    at = desk(views=[View(["10.0.0.0/8"], [inside])])
    at.orders.access = Access(transfer="any")
    assert ask(at, query("inside.", Type.AXFR), TCP).rcode == Rcode.NOTAUTH
    assert ask(at, query("inside.", Type.AXFR), Client("10.1.1.1", 1, True)).rcode == 0
