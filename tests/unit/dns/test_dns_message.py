"""Messages: the literal octets of RFC 1035, compression both ways, truncation, and what must be refused."""

import pytest

from netstack.dns import builder, edns, message, name
from netstack.dns.message import Message, Question, Record, decode
from netstack.errors import UsageError, WireError

N = name.parse


def header(qd=0, an=0, ns=0, ar=0, flags=0x8400, id=0x1234):
    return b"".join(v.to_bytes(2, "big") for v in (id, flags, qd, an, ns, ar))


# RFC 1035 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92
EXAMPLE_AT = 20
EXAMPLE = b"\x01F\x03ISI\x04ARPA\x00"


def test_the_example_of_rfc_1035_4_1_4():
    # four questions, laid out so that the names stand where the RFC has them (the filler is a question of its own)
    filler = b"\x03abc\x00" + b"\0\1\0\1"  # 12..21: then F.ISI.ARPA at 21
    data = header(qd=4, flags=0) + filler + EXAMPLE + b"\0\1\0\1" + b"\x03FOO\xc0\x15" + b"\0\1\0\1" + b"\xc0\x1b" + b"\0\1\0\1"
    m = decode(data)
    assert [name.text(q.name) for q in m.question] == ["abc.", "F.ISI.ARPA.", "FOO.F.ISI.ARPA.", "ARPA."]


def test_an_answer_octet_by_octet():
    data = (
        bytes.fromhex("1234 8580 0001 0002 0001 0001")
        + b"\x03www\x07example\x03com\x00" + bytes.fromhex("0001 0001")
        + bytes.fromhex("c00c 0005 0001 00000e10 0006") + b"\x03web\xc0\x10"
        + bytes.fromhex("c02d 0001 0001 0000003c 0004 c0000201")
        + bytes.fromhex("c010 0002 0001 00000e10 0005") + b"\x02ns\xc0\x10"
        + bytes.fromhex("c04f 001c 0001 00000e10 0010 20010db8000000000000000000000001")
    )  # fmt: skip
    m = decode(data)
    assert (m.id, m.qr, m.aa, m.tc, m.rd, m.ra, m.opcode, m.rcode) == (0x1234, True, True, False, True, True, 0, 0)
    assert m.question == [Question(N("www.example.com."), 1)]
    assert m.answer == [
        Record(N("www.example.com."), 5, 1, 3600, N("web.example.com.")),
        Record(N("web.example.com."), 1, 1, 60, bytes([192, 0, 2, 1])),
    ]
    assert m.authority == [Record(N("example.com."), 2, 1, 3600, N("ns.example.com."))]
    assert m.additional[0].name == N("ns.example.com.")
    assert m.encode() == data


def test_mx_soa_and_srv_compress_as_their_rfcs_say():
    m = Message(1, 0x8000)
    m.question.append(Question(N("a.example."), 15))
    m.answer = [
        Record(N("a.example."), 15, 1, 1, b"\0\x0a" + N("mx.example.")),
        Record(N("a.example."), 6, 1, 1, N("ns.example.") + N("root.example.") + bytes(20)),
        Record(N("a.example."), 33, 1, 1, bytes(6) + N("srv.example.")),  # RFC 2782: the target is not compressed
    ]
    wire = m.encode()
    assert b"\0\x0a\x02mx\xc0\x0e" in wire
    assert b"\x02ns\xc0\x0e\x04root\xc0\x0e" + bytes(20) in wire
    assert bytes(6) + b"\x03srv\x07example\0" in wire
    assert decode(wire).answer == m.answer


def test_compression_in_an_srv_is_understood():
    data = header(an=1) + b"\x01a\x00" + bytes.fromhex("0021 0001 00000001 000a") + bytes(6) + b"\x01b\xc0\x0c"
    assert decode(data).answer[0].rdata == bytes(6) + N("b.a.")


def test_data_of_an_unknown_type_is_not_expanded():
    data = header(an=1) + b"\x01a\x00" + bytes.fromhex("ff00 0001 00000001 0002 c00c")
    assert decode(data).answer[0].rdata == b"\xc0\x0c"
    assert decode(data).encode() == data


def test_names_compress_whatever_the_case_unless_exact():
    m = Message()
    m.question.append(Question(N("wWw.eXample."), 1))
    m.answer.append(Record(N("www.example."), 1, 1, 1, b"abcd"))
    assert m.encode()[12 + 17 :].startswith(b"\xc0\x0c")
    assert b"\x03www\x07example\0" in m.encode(exact=True)
    assert decode(m.encode(exact=True)).answer[0].name == N("www.example.")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "header"),
        (header(qd=1), "can't be in"),
        (header(qd=65535, an=65535, ns=65535, ar=65535), "can't be in"),
        (header(qd=1) + b"\xc0\x0c\0\1\0\1", "backwards"),
        (header(qd=1) + b"\xc0\x00\0\1\0\1", "header"),
        (header(qd=1) + b"\x01a\xc0\x0c\0\1\0\1", "backwards"),
        (header(qd=1) + b"\xc0\xff\0\1\0\1", "backwards"),
        (header(qd=1) + b"\x40aaaaaaa", "type 1"),
        (header(qd=1) + b"\x80aaaaaaa", "type 2"),
        (header(qd=1) + b"\x3faaaaaaa", "label runs"),
        (header(qd=1) + b"\x03aaa\xc0", "half of a pointer"),
        (header(qd=1) + b"\x01a" * 130 + b"\0" + b"\0\1\0\1", "255"),
        (header(qd=1) + b"\x01a\0\0\1\0\1junk", "too many"),
        (header(an=1) + b"\0" + bytes.fromhex("0001 0001 00000000 0003 010203"), "address of 3"),
        (header(an=1) + b"\0" + bytes.fromhex("0001 0001 00000000 0005 01020304"), "5 octets are due"),
        (header(an=1) + b"\0" + bytes.fromhex("0002 0001 00000000 0003 000000"), "too many"),
        (header(an=1) + b"\0" + bytes.fromhex("000f 0001 00000000 0001 00"), "2 octets are due"),
        (header(ar=2) + 2 * (b"\0" + bytes.fromhex("0029 0200 00000000 0000")), "second"),
        (header(an=1) + b"\0" + bytes.fromhex("0029 0200 00000000 0000"), "additional"),
        (header(ar=1) + b"\1a\0" + bytes.fromhex("0029 0200 00000000 0000"), "root"),
        (header(ar=1) + b"\0" + bytes.fromhex("0029 0200 00000000 0003 000000"), "past the end"),
        (header(ar=1) + b"\0" + bytes.fromhex("0029 0200 00000000 0004 000a0001"), "past the end"),
    ],
)
def test_what_is_not_lawful_raises_and_says_what(data, words):
    with pytest.raises(WireError, match=words):
        decode(data)


def test_an_error_says_which_record():
    good = b"\0" + bytes.fromhex("0001 0001 00000000 0004 01020304")
    with pytest.raises(WireError, match="at octet 42 of authority 1"):
        decode(header(an=1, ns=2) + good + good[:-4] + b"abcd" + b"\x7f" + bytes(20))


def test_a_pointer_chain_is_followed_127_times_and_no_further():
    def chain(pointers):
        """Pointers to pointers, in the data of a record of an unknown type, and a name that leads to the last of them."""
        links = b"\x00" + b"".join((0xC000 | (23 if i == 0 else 24 + 2 * (i - 1))).to_bytes(2, "big") for i in range(pointers - 1))
        head = header(an=2) + b"\0" + bytes.fromhex("ff00 0001 00000000") + len(links).to_bytes(2, "big")
        assert len(head) == 23
        last = 23 if pointers == 1 else 24 + 2 * (pointers - 2)
        return head + links + (0xC000 | last).to_bytes(2, "big") + bytes.fromhex("0001 0001 00000000 0004 01020304")

    assert decode(chain(127)).answer[1].name == b"\0"
    with pytest.raises(WireError, match="more pointers"):
        decode(chain(128))


def test_a_ttl_with_the_sign_bit_counts_as_nought():
    data = header(an=1) + b"\0" + bytes.fromhex("0001 0001 80000001 0004 01020304")
    assert decode(data).answer[0].ttl == 0  # RFC 2181 8


def test_edns_goes_around():
    e = edns.Edns(
        1232,
        do=True,
        ext_rcode=1,
        options=(edns.cookie_option(b"12345678", b"x" * 16), edns.error_option(15, "no"), (3, b"ns1"), edns.keepalive_option(1200)),
    )
    m = Message(7, 0x8000)
    m.edns = e
    wire = m.encode()
    assert wire == header(ar=1, flags=0x8000, id=7) + bytes.fromhex(
        "00 0029 04d0 01 00 8000 0031 000a0018" + b"12345678xxxxxxxxxxxxxxxx".hex() + "000f0004000f" + b"no".hex() + "00030003"
        + b"ns1".hex() + "000b000204b0"
    )  # fmt: skip
    got = decode(wire)
    assert got.edns == e
    assert got.rcode == 16
    assert got.edns.cookie == (b"12345678", b"x" * 16)
    assert got.edns.errors == [edns.ExtendedError(15, "no")]
    assert str(got.edns.errors[0]) == "blocked: no"
    assert (got.edns.nsid, got.edns.keepalive, got.edns.subnet, got.edns.do) == (b"ns1", 1200, None, True)


@pytest.mark.parametrize("n", [0, 7, 9, 15, 41])
def test_a_cookie_of_a_wrong_length_is_carried_and_not_read(n):
    e = edns.Edns(options=((10, bytes(n)),))
    with pytest.raises(WireError, match="cookie"):
        _ = e.cookie


def test_other_options_of_a_wrong_length_raise_when_read():
    with pytest.raises(WireError, match="code"):
        _ = edns.Edns(options=((15, b"\0"),)).errors
    with pytest.raises(WireError, match="keepalive"):
        _ = edns.Edns(options=((11, b"\0"),)).keepalive
    with pytest.raises(UsageError):
        edns.cookie_option(b"short")


def test_padding_fills_a_block():
    m = Message()
    m.question.append(Question(N("example."), 1))
    m.edns = edns.Edns()
    for pad in (128, 468):
        assert len(m.encode(pad=pad)) == pad
        assert decode(m.encode(pad=pad)).edns.options[0][0] == 12
    assert len(m.encode(100, pad=128)) == 100  # RFC 8467 4.1: never beyond what may be sent


def many(n, owner="www.example."):
    m = Message(1, 0x8400)
    m.question.append(Question(N(owner), 1))
    m.answer = [Record(N(owner), 1, 1, 60, i.to_bytes(4, "big")) for i in range(n)]
    return m


def test_a_set_that_does_not_fit_goes_whole_and_tc_says_so():
    m = many(100)
    m.answer.insert(0, Record(N("other."), 5, 1, 1, N("www.example.")))
    m.edns = edns.Edns()
    cut = decode(m.encode(512))
    assert len(m.encode(512)) <= 512
    assert cut.tc and [r.type for r in cut.answer] == [5] and cut.edns is not None
    whole = decode(m.encode())
    assert not whole.tc and len(whole.answer) == 101


def test_additional_records_that_do_not_fit_go_silently():
    m = many(2)
    m.additional = [Record(N(f"ns{i}.example."), 1, 1, 60, b"abcd") for i in range(100)]
    cut = decode(m.encode(512))
    assert not cut.tc
    assert 20 < len(cut.additional) < 100
    assert cut.additional == m.additional[: len(cut.additional)]


@pytest.mark.parametrize("limit", range(30, 140))
def test_whatever_the_limit_the_message_is_lawful_and_within_it(limit):
    m = many(3)
    m.authority = [
        Record(N("example."), 2, 1, 60, N("ns.example.")),
        Record(N("example."), 15, 1, 60, b"\0\1" + N("mx.www.example.")),
    ]
    m.additional = [Record(N("ns.example."), 1, 1, 60, b"abcd")]
    wire = m.encode(limit)
    assert len(wire) <= limit
    got = decode(wire)
    assert got.tc == (len(got.answer) + len(got.authority) < 5)
    assert len(got.answer) in (0, 3)
    assert got.answer == m.answer[: len(got.answer)]
    assert got.authority == m.authority[: len(got.authority)]


def test_what_was_taken_back_is_no_target_of_compression():
    b = builder.Builder(80)
    b.begin(1, 0)
    assert b.question(N("a."), 1, 1)
    assert not b.rrset(1, N("long.name.example."), 16, 1, 1, [bytes(20), bytes(20)])
    assert b.an == 0
    assert b.rrset(1, N("name.example."), 16, 1, 1, [b"\0"])
    got = decode(b.finish())
    assert got.answer == [Record(N("name.example."), 16, 1, 1, b"\0")]


def test_names_beyond_16_kib_are_written_out():
    m = Message()
    m.answer = [Record(N(f"h{i}."), 16, 1, 1, bytes(1000)) for i in range(20)]
    m.answer += [Record(N("late.example."), 2, 1, 1, N("ns.late.example.")) for _ in range(2)]
    wire = m.encode()
    assert wire.count(b"\x04late\x07example\0") == 4
    assert decode(wire).answer == m.answer


def test_data_without_its_layout_is_written_as_it_is():
    m = Message()
    for rdata in (b"", b"\xff", b"\x05ab", b"\xc0\x0c"):
        m.answer = [Record(N("a."), 2, 1, 1, rdata)]
        assert m.encode().endswith(len(rdata).to_bytes(2, "big") + rdata)


def test_sections_are_written_in_their_order():
    b = builder.Builder()
    assert b.record(2, N("a."), 1, 1, 1, b"abcd")
    with pytest.raises(UsageError):
        b.record(1, N("a."), 1, 1, 1, b"abcd")
    with pytest.raises(UsageError):
        b.question(N("a."), 1, 1)
    with pytest.raises(UsageError):
        builder.Builder(20, edns.Edns())


def test_questions_compare_without_case_and_print():
    assert Question(N("A.b."), 1) == Question(N("a.B."), 1)
    assert hash(Question(N("A.b."), 1)) == hash(Question(N("a.B."), 1))
    assert Question(N("a."), 1) != Question(N("a."), 2)
    assert "TYPE65280" in repr(Question(N("a."), 65280))
    assert "NOERROR" in repr(message.Message())
