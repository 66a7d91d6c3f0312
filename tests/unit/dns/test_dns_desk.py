"""What the desk of a server says, message by message."""

import pytest
from dns_desk import TCP, TLS, UDP, N, ask, desk, octets, opt, option, query, small_zone

from netstack.dns.ask import Ask
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Message, decode
from netstack.dns.numbers import Ede, Rcode, Type

RD, AD, CD, AA, RA, TC = 0x0100, 0x0020, 0x0010, 0x0400, 0x0080, 0x0200


def test_a_name_of_ours_is_answered_with_authority_and_the_letters_of_the_client() -> None:
    at = desk()
    wire = octets(at, query("wWw.Example.", flags=RD))
    assert wire[:12] == bytes.fromhex("beef 8500 0001 0002 0000 0000")
    assert wire[12:25] == b"\3wWw\7Example\0"
    assert wire[29:45] == bytes.fromhex("c00c 0001 0001 0000003c 0004 c0000250")
    assert at.mib.QrySuccess == at.mib.QryAuthAns == at.mib.QryUDP == 1


def test_names_and_types_that_are_not_there() -> None:
    at = desk()
    assert ask(at, query("nobody.example.")).rcode == Rcode.NXDOMAIN
    nothing = ask(at, query("www.example.", Type.MX))
    assert (nothing.rcode, nothing.answer, nothing.authority[0].type, nothing.authority[0].ttl) == (0, [], Type.SOA, 300)
    assert (at.mib.QryNXDOMAIN, at.mib.QryNxrrset) == (1, 1)


def test_outside_of_all_zones_is_refused_and_the_client_that_knows_edns_is_told_why() -> None:
    at = desk()
    assert octets(at, query("www.other.")) == bytes.fromhex("beef 8005 0001 0000 0000 0000") + query("www.other.")[12:]
    m = ask(at, query("www.other.", edns=opt()))
    assert m.rcode == Rcode.REFUSED and m.edns is not None and m.edns.errors[0].code == Ede.NOT_AUTHORITATIVE
    assert at.mib.AuthQryRej == 2


def test_the_longest_zone_answers_and_a_ds_is_the_parents() -> None:
    parent, child = small_zone(), small_zone("cut.example.")
    parent.add("cut", "DS", 60, "1 8 2 " + "ab" * 32)
    at = desk(parent, child)
    assert ask(at, query("www.cut.example.")).answer[0].name == N("www.cut.example.")
    assert ask(at, query("cut.example.", Type.DS)).answer[0].type == Type.DS
    alone = ask(desk(child), query("cut.example.", Type.DS))
    assert (alone.rcode, alone.answer, alone.authority[0].type) == (0, [], Type.SOA)


def test_a_zone_without_a_soa_is_not_ready() -> None:
    m = ask(desk(Zone(N("empty."))), query("empty.", edns=opt()))
    assert m.rcode == Rcode.SERVFAIL and m.edns is not None and m.edns.errors[0].code == Ede.NOT_READY


def test_responses_and_runts_get_silence() -> None:
    at = desk()
    assert at.handle(query("www.example.", flags=0x8000), UDP, 0) is None
    assert at.handle(b"\xbe\xef\1\0\0\1\0\0\0\0\0", UDP, 0) is None
    assert at.handle(b"", UDP, 0) is None
    assert (at.mib.InResponses, at.mib.InRunts) == (1, 2)


def test_garbage_behind_a_header_is_a_format_error_with_its_id() -> None:
    at = desk()
    assert octets(at, bytes.fromhex("abcd 0100 0001 0000 0000 0000 ff")) == bytes.fromhex("abcd 8101 0000 0000 0000 0000")
    assert ask(at, query("www.example.", qd=2)).rcode == Rcode.FORMERR  # RFC 9619
    assert ask(at, query("www.example.", extra=b"x")).rcode == Rcode.FORMERR
    assert octets(at, bytes.fromhex("abcd 0000 0000 0000 0000 0000")) == bytes.fromhex("abcd 8001 0000 0000 0000 0000")
    assert at.mib.QryFORMERR == 4


@pytest.mark.parametrize("opcode", [1, 2, 3, 6, 7, 15])
def test_other_opcodes_are_not_implemented_and_go_back_as_they_came(opcode: int) -> None:
    wire = query("www.example.", flags=opcode << 11)
    assert octets(desk(), wire) == b"\xbe\xef" + (0x8004 | opcode << 11).to_bytes(2, "big") + bytes(8)


def test_types_that_can_not_be_asked_for() -> None:
    at = desk()
    for type in (Type.OPT, 128, Type.TSIG):
        assert ask(at, query("www.example.", type)).rcode == Rcode.FORMERR, type
    for type in (Type.TKEY, Type.MAILA, Type.MAILB):
        assert ask(at, query("www.example.", type)).rcode == Rcode.NOTIMP, type
    assert ask(at, query("example.", Type.AXFR), TCP).rcode == Rcode.REFUSED


def test_other_classes_are_refused_and_chaos_tells_only_what_it_was_given() -> None:
    assert ask(desk(), query("www.example.", rclass=255)).rcode == Rcode.REFUSED
    assert ask(desk(), query("version.bind.", Type.TXT, rclass=3)).rcode == Rcode.REFUSED
    at = desk(version="ours", identity="ns1")
    assert ask(at, query("VERSION.bind.", Type.TXT, rclass=3)).answer[0].rdata == b"\4ours"
    assert ask(at, query("id.server.", Type.TXT, rclass=3)).answer[0].rdata == b"\3ns1"
    assert ask(at, query("authors.bind.", Type.TXT, rclass=3)).rcode == Rcode.REFUSED


def test_rd_and_cd_go_back_and_ad_does_not() -> None:
    m = ask(desk(), query("www.example.", flags=RD | CD | AD))
    assert m.flags == 0x8000 | AA | RD | CD
    assert ask(desk(), query("www.example.", flags=0x0040)).flags == 0x8000 | AA  # Z


# -- EDNS ---------------------------------------------------------------------------------------------------------------------


def test_an_unknown_version_of_edns_is_told_ours() -> None:
    at = desk()
    wire = octets(at, query("www.example.", edns=opt(version=100, options=option(100, b"abc"))))
    assert wire[:12] == bytes.fromhex("beef 8000 0001 0000 0000 0001")
    assert wire[-11:] == bytes.fromhex("00 0029 04d0 01 00 0000 0000")
    assert at.mib.ReqBadEDNSVer == 1


def test_unknown_options_and_flags_are_ignored_and_do_goes_back() -> None:
    plain = octets(desk(), query("www.example.", edns=opt()))
    assert octets(desk(), query("www.example.", edns=opt(options=option(100, b"abc") + option(65001)))) == plain
    assert octets(desk(), query("www.example.", edns=opt(flags=0x0080))) == plain
    m = ask(desk(), query("www.example.", edns=opt(flags=0x8080)))
    assert m.edns is not None and m.edns.flags == 0x8000


def test_an_option_that_runs_past_its_record_and_two_opt_records_are_format_errors() -> None:
    assert ask(desk(), query("www.example.", edns=opt(options=b"\0\3\0\5ab"))).rcode == Rcode.FORMERR
    two = bytearray(query("www.example.", edns=opt() + opt()))
    two[11] = 2
    assert ask(desk(), bytes(two)).rcode == Rcode.FORMERR


def test_nsid_is_told_to_who_asks_and_when_there_is_one() -> None:
    wire = query("www.example.", edns=opt(options=option(3)))
    m = ask(desk(nsid=b"ns1"), wire)
    assert m.edns is not None and m.edns.nsid == b"ns1"
    none = ask(desk(), wire).edns
    assert none is not None and none.options == ()


def test_keepalive_is_told_on_streams_alone() -> None:
    wire = query("www.example.", edns=opt(options=option(11)))
    edns = ask(desk(), wire, TCP).edns
    assert edns is not None and edns.keepalive == 100
    edns = ask(desk(), wire, UDP).edns
    assert edns is not None and edns.options == ()


def test_padding_is_for_encrypted_streams_of_who_pads() -> None:
    wire = query("www.example.", edns=opt(options=option(12, bytes(7))))
    assert len(octets(desk(), wire, TLS)) == 468
    assert len(octets(desk(), query("www.other.", edns=opt(options=option(12))), TLS)) == 468
    assert len(octets(desk(), wire, TCP)) < 100
    assert len(octets(desk(), query("www.example.", edns=opt()), TLS)) < 100


# -- length -------------------------------------------------------------------------------------------------------------------


def test_what_is_too_long_is_truncated_over_udp_and_whole_on_a_stream() -> None:
    at = desk()
    cut = octets(at, query("big.example.", Type.TXT))
    assert len(cut) <= 512 and decode(cut).tc and decode(cut).answer == []
    assert len(octets(at, query("big.example.", Type.TXT, edns=opt(4096)))) <= 1232
    assert len(ask(at, query("big.example.", Type.TXT), TCP).answer) == 40
    assert at.mib.TruncatedResp == 2


def test_glue_that_does_not_fit_truncates_a_referral() -> None:
    zone = small_zone()  # RFC 9471
    for i in range(40):
        zone.add("ns.cut", "AAAA", 60, f"2001:db8::{i:x}")
    at = desk(zone)
    assert ask(at, query("www.cut.example.")).tc
    whole = ask(at, query("www.cut.example."), TCP)
    assert (whole.tc, whole.aa, len(whole.additional)) == (False, False, 41)
    assert at.mib.QryReferral == 1


def test_any_is_one_set_unless_streams_may_have_all() -> None:
    assert {r.type for r in ask(desk(), query("www.example.", 255), TCP).answer} == {Type.A}
    at = desk(any_over_streams=True)
    assert {r.type for r in ask(at, query("www.example.", 255), TCP).answer} == {Type.A, Type.TXT}
    assert {r.type for r in ask(at, query("www.example.", 255), UDP).answer} == {Type.A}


def test_aliases_lead_from_zone_to_zone() -> None:
    at = desk(small_zone(), small_zone("elsewhere."))
    m = ask(at, query("away.example."))
    assert [r.type for r in m.answer] == [Type.CNAME, Type.A, Type.A] and m.aa
    there = small_zone("there.")
    there.add("loop", "CNAME", 60, "loop.here.")
    here = small_zone("here.")
    here.add("loop", "CNAME", 60, "loop.there.")
    m = ask(desk(here, there), query("loop.here."))
    assert len(m.answer) < 12


def test_a_query_with_records_it_has_no_use_for_is_a_format_error_or_read_all_the_same() -> None:
    m = Message(1, 0)
    m.question = decode(query("www.example.")).question
    m.additional = ask(desk(), query("www.example.")).answer
    assert ask(desk(), m.encode()).answer[0].type == Type.A
    m.answer = m.additional
    assert ask(desk(), m.encode()).rcode == Rcode.FORMERR


def test_the_short_cut_gives_what_the_desk_gives() -> None:
    at, other = desk(), Ask()
    for text in ("www.example.", "nobody.example.", "a.cut.example.", "alias.example.", "away.example.", "big.example."):
        for edns in (b"", opt(), opt(flags=0x8000)):
            wire = query(text, edns=edns)
            other.read(wire)
            found = at.fill(other)
            assert found is not None
            assert found[0].reply(other) == octets(at, wire), text
            assert found[1] is at.zones.exact(N("example."))
    for wire in (query("www.other."), query("www.example.", rclass=3), query("example.", Type.AXFR), query("www.example.", qd=2)):
        other.read(wire)
        assert at.fill(other) is None
    at.answer("*.example.", lambda question, client: None)
    other.read(query("www.example."))
    assert at.fill(other) is None
