"""Queries read by a server, and answers that were packed before."""

import struct

import pytest

from netstack.dns import ask as asks
from netstack.dns import edns, name
from netstack.dns.ask import Ask
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.packed import Packed
from netstack.errors import UsageError

N = name.parse
QUERY = bytes.fromhex("beef 0100 0001 0000 0000 0000") + b"\x03wWw\x07eXample\x00" + bytes.fromhex("0041 0001")
OPT = bytes.fromhex("00 0029 1000 00 00 8000 000c 000a0008") + b"CLIENTCK"
EDNS_QUERY = QUERY[:11] + b"\1" + QUERY[12:] + OPT


def answer(n=2, additional=1, flags=0x8400):
    m = Message(0, flags)
    m.question = [Question(N("www.example."), 65)]
    m.answer = [Record(N("www.example."), 65, 1, 300, bytes([0, i, 0])) for i in range(n)]
    m.authority = [Record(N("example."), 2, 1, 100, N("ns.example."))]
    m.additional = [Record(N("ns.example."), 1, 1, 50, b"abcd")] * additional
    return m


def test_a_plain_query_is_read():
    ask = Ask()
    assert ask.read(QUERY) == asks.OK
    assert (ask.id, ask.flags, ask.type, ask.rclass, ask.limit) == (0xBEEF, 0x0100, 65, 1, 512)
    assert ask.key == b"\x03www\x07example\x00\x00\x41\x00\x01"  # letters of the name are lowered, and not type 65, which is an A
    assert ask.name == b"\x03wWw\x07eXample\x00"
    assert (ask.edns, ask.do, ask.cookie) == (False, False, b"")


def test_a_query_is_read_where_it_lies():
    ask = Ask()
    assert ask.read_at(bytearray(b"xx" + QUERY + b"yy"), 2, len(QUERY)) == asks.OK
    assert ask.read(memoryview(QUERY)) == asks.OK


def test_the_opt_record_is_summed_up():
    ask = Ask(1400)
    assert ask.read(EDNS_QUERY) == asks.OK
    assert (ask.edns, ask.do, ask.version, ask.limit, ask.cookie) == (True, True, 0, 1400, b"CLIENTCK")
    small = EDNS_QUERY.replace(b"\0\x29\x10\0", b"\0\x29\0\x10")
    assert ask.read(small) == asks.OK and ask.limit == 512  # RFC 6891 6.2.3


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"", asks.SILENCE),
        (QUERY[:11], asks.SILENCE),
        (bytes(65536), asks.SILENCE),
        (QUERY[:2] + b"\x81" + QUERY[3:], asks.SILENCE),
        (QUERY[:12], asks.FORMERR),
        (QUERY[:-1], asks.FORMERR),
        (QUERY[:-4], asks.FORMERR),
        (QUERY[:20], asks.FORMERR),
        (QUERY + b"x", asks.FORMERR),
        (QUERY[:5] + b"\2" + QUERY[6:], asks.FORMERR),
        (QUERY[:12] + b"\xc0\x0c\0\1\0\1", asks.FORMERR),
        (QUERY[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", asks.FORMERR),
        (QUERY[:12] + b"\x3f" + (b"a" * 63 + b"\x3f") * 4 + b"\0" * 70, asks.FORMERR),
        (QUERY[:11] + b"\1" + QUERY[12:], asks.FORMERR),
        (EDNS_QUERY[:-1], asks.FORMERR),
        (EDNS_QUERY + b"x", asks.FORMERR),
        (EDNS_QUERY[: -len(OPT)] + OPT[:9] + b"\0\x02\0\0", asks.FORMERR),
        (EDNS_QUERY[: -len(OPT)] + OPT[:9] + b"\0\x04\0\3\0\1", asks.FORMERR),
        (EDNS_QUERY[: -len(OPT)] + OPT[:9] + b"\0\x0b\0\x0a\0\x07" + bytes(7), asks.FORMERR),
        (QUERY[:2] + b"\x29" + QUERY[3:], asks.WHOLE),
        (QUERY[:5] + b"\0" + QUERY[6:12], asks.WHOLE),
        (QUERY[:7] + b"\1" + QUERY[8:] + bytes(20), asks.WHOLE),
        (QUERY[:9] + b"\1" + QUERY[10:] + bytes(20), asks.WHOLE),
        (QUERY[:11] + b"\2" + QUERY[12:] + bytes(30), asks.WHOLE),
        (QUERY[:11] + b"\1" + QUERY[12:] + b"\0\0\xfa" + bytes(30), asks.WHOLE),
        (EDNS_QUERY.replace(b"\x10\0\0\0\x80", b"\x10\0\0\1\x80"), asks.BADVERS),
    ],
)
def test_what_else_arrives_has_a_verdict(data, verdict):
    assert Ask().read(data) == verdict


def test_the_longest_name_is_read():
    longest = N(".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 61]) + ".")
    ask = Ask()
    assert ask.read(QUERY[:12] + longest + b"\0\1\0\1") == asks.OK
    assert ask.name == longest


def test_a_packed_answer_is_that_of_the_builder():
    m = answer()
    packed = Packed(m.encode())
    ask = Ask()
    ask.read(QUERY)
    m.id, m.flags = 0xBEEF, 0x8500
    m.question = [Question(b"\x03wWw\x07eXample\x00", 65)]
    assert packed.reply(ask) == m.encode()
    ask.read(EDNS_QUERY)
    m.edns = edns.Edns(1232, do=True, options=(edns.cookie_option(b"CLIENTCK", b"SERVERCK"),))
    assert packed.reply(ask, options=b"\0\x0a\0\x10CLIENTCKSERVERCK") == m.encode()
    assert packed.reply(ask, options=b"\0\x0a\0\x10CLIENTCKSERVERCK") == m.encode()  # and again


def test_ttls_run_down_to_nought():
    packed = Packed(answer().encode())
    ask = Ask()
    ask.read(QUERY)
    got = decode(packed.reply(ask, age=60))
    assert [r.ttl for r in (*got.answer, *got.authority, *got.additional)] == [240, 240, 40, 0]
    got = decode(packed.reply(ask))
    assert [r.ttl for r in (*got.answer, *got.authority, *got.additional)] == [300, 300, 100, 50]


@pytest.mark.parametrize("query", [QUERY, EDNS_QUERY], ids=["plain", "edns"])
def test_what_is_too_long_goes_without_additional_records_and_then_truncated(query):
    ask = Ask(1400)
    ask.read(query)
    fits = Packed(answer(3, 3).encode())
    whole = fits.reply(ask)
    assert len(decode(whole).additional) == 3
    without = decode(fits.reply(ask, limit=len(whole) - 1, age=1))
    assert not without.tc and (len(without.answer), len(without.authority), len(without.additional)) == (3, 1, 0)
    assert (without.edns is not None) == (query is EDNS_QUERY)
    assert decode(Packed(answer(3, 3).encode(), glue=True).reply(ask, limit=len(whole) - 1)).tc
    long = Packed(answer(100).encode())
    cut = decode(long.reply(ask))
    assert cut.tc and not cut.answer and not cut.authority and cut.question == answer().question
    assert len(decode(long.reply(ask, limit=65535)).answer) == 100


def test_flags_of_the_client_go_back_and_ad_only_to_who_knows_it():
    packed = Packed(answer(flags=0x84A0).encode())
    ask = Ask()
    ask.read(QUERY[:2] + b"\x01\x10" + QUERY[4:])
    assert decode(packed.reply(ask)).flags == 0x8590
    ask.read(QUERY[:2] + b"\x00\x20" + QUERY[4:])
    assert decode(packed.reply(ask)).flags == 0x84A0
    ask.read(EDNS_QUERY)
    assert decode(packed.reply(ask)).flags == 0x85A0


def test_refusals_carry_what_could_be_read():
    ask = Ask()
    ask.read(EDNS_QUERY.replace(b"\x10\0\0\0\x80", b"\x10\0\0\1\x80"))
    got = decode(ask.refuse(16))
    assert got.rcode == 16 and got.edns.version == 0 and got.question == answer().question and got.rd
    ask.read(QUERY[:12])
    assert ask.refuse(1) == bytes.fromhex("beef 8101 0000 0000 0000 0000")
    ask.read(struct.pack("!6H", 7, 0x2800, 0, 0, 0, 0))  # UPDATE
    assert decode(ask.refuse(4)).opcode == 5


def test_only_answers_can_be_packed():
    for wrong in (QUERY, b"short", answer().encode()[:-1], answer().encode() + b"x"):
        with pytest.raises(UsageError):
            Packed(wrong)
    m = answer()
    m.edns = edns.Edns()
    with pytest.raises(UsageError, match="OPT"):
        Packed(m.encode())
    ask = Ask()
    ask.read(QUERY.replace(b"\3wWw", b"\2ww"))
    with pytest.raises(UsageError, match="another question"):
        Packed(answer().encode()).reply(ask)
