"""`netstack dig`: its grammar, what it prints of a message, and the JSON. What BIND's dig prints is compared in tests/interop."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.cli import main
from netstack.cli.digging.words import read, reverse, subnet
from netstack.cli.digging.zones import Ends
from netstack.dns import jsonform, name, present, rdata
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Type
from netstack.dns.rdata import from_text
from netstack.errors import UsageError, WireError

N = name.parse


def asked(line):
    """(name, type, class) of each look-up."""
    return [(each.name, each.type, each.rclass) for each in read(line.split()).lookups]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", [(".", 2, 1)]),
        ("example.com", [("example.com", 1, 1)]),
        ("example.com MX", [("example.com", 15, 1)]),
        ("mx example.com ch", [("example.com", 15, 3)]),
        ("-t aaaa -c in -q mx", [("mx", 28, 1)]),
        ("-taaaa mx.example", [("mx.example", 28, 1)]),
        ("example.com TYPE65280", [("example.com", 65280, 1)]),
        ("a.example aaaa b.example txt", [("a.example", 28, 1), ("b.example", 16, 1)]),
        ("txt a.example b.example", [("a.example", 16, 1), ("b.example", 16, 1)]),
        ("-x 192.0.2.1", [("1.2.0.192.in-addr.arpa.", 12, 1)]),
        ("-x 192.0.2", [("2.0.192.in-addr.arpa.", 12, 1)]),
        ("example.com ixfr=7", [("example.com", 251, 1)]),
    ],
)
def test_words_are_read_as_dig_reads_them(line, expected):
    assert asked(line) == expected


def test_what_stands_before_the_first_name_holds_for_all_of_them():
    job = read(["@192.0.2.1", "+dnssec", "+tcp", "a.example", "+nodnssec", "@192.0.2.2", "@192.0.2.3", "b.example", "+notcp"])
    a, b = job.lookups
    assert (a.servers, a.dnssec, a.tcp) == (["192.0.2.2", "192.0.2.3"], False, True)
    assert (b.servers, b.dnssec, b.tcp) == (["192.0.2.1"], True, False)


def test_words_can_be_cut_short():
    (lookup,) = read(["+norec", "+dns", "+noques", "+ign", "+ti=3", "+tls-h=ns.example", "x.example"]).lookups
    assert (lookup.rd, lookup.dnssec, lookup.question, lookup.ignore) == (False, True, False, True)
    assert (lookup.tls, lookup.tls_hostname) == (True, "ns.example")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("+nosuch", "+nosuch is not an option"),
        ("+s x.example", "may be any of"),
        ("+domain", "+domain needs a value"),
        ("-p", "-p needs a value"),
        ("-p 99999", "'99999' is not a port"),
        ("+subnet=nonsense", "'nonsense' is not a subnet"),
        ("+ednsopt=100:xyz", "pairs of hexadecimal digits"),
        ("+edns=256", "'256' is not a EDNS version"),
        ("-x nonsense", "'nonsense' is not an address"),
        ("-t nonsense x", "'nonsense' is not a record type"),
        ("x ixfr", "write ixfr="),
        ("-y nonsense", "a TSIG key is written like"),
        ("-Z", "-Z is not an option"),
        ("--frobnicate", "--frobnicate is not an option"),
        ("-k /no/such/file", "/no/such/file: No such file"),
        ("bücher.example @192.0.2.1", "is not ASCII"),
        ("a..b @192.0.2.1", "has a label of 0 octets"),
        ("x.example @192.0.2.1 --net nonsense:x --address 10.0.0.2/24", "nonsense"),
        ("x.example --net loopback:?address=10.0.0.2/24", "which server?"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(capsys, line, said):
    assert main(["dig", *line.split()]) == 1
    out, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_batch_file_that_is_not_there_is_status_8(capsys, tmp_path):
    assert main(["dig", "-f", str(tmp_path / "nothing")]) == 8
    assert "nothing" in capsys.readouterr().err


def test_a_batch_file_has_a_look_up_a_line(tmp_path):
    file = tmp_path / "batch"
    file.write_text("a.example mx\n; a remark\n\n+short b.example\n")
    lookups = read(["+tcp", "-f", str(file)]).lookups
    assert [(each.name, each.type, each.tcp) for each in lookups] == [("a.example", 15, True), ("b.example", 1, True)]


def test_no_answer_is_status_9(capsys):
    assert main(["dig", "@127.0.0.1", "-p", "1", "+tries=1", "+time=1", "x.example"]) == 9  # nobody has port 1
    assert "no servers could be reached" in capsys.readouterr().out


def test_what_is_asked_has_the_flags_and_options_that_were_said():
    words = ["+norec", "+cd", "+z", "+dnssec", "+nsid", "+subnet=192.0.2.128/25", "+ednsopt=100:0102", "+edns=1", "x.example"]
    (lookup,) = read(words).lookups
    m = decode(lookup.message(N("x.example"), 7, b"01234567").encode())
    assert (m.id, m.flags) == (7, 0x0070)
    assert m.edns == Edns(
        1232, do=True, version=1, options=((3, b""), (8, b"\0\1\x19\0\xc0\0\2\x80"), (10, b"01234567"), (100, b"\1\2"))
    )
    (lookup,) = read(["+noedns", "+header-only", "+opcode=status", "x.example"]).lookups
    assert lookup.message(N("x.example"), 7, b"01234567").encode() == bytes.fromhex("0007 1120 0000 0000 0000 0000")


def test_addresses_become_names_and_subnets_options():
    assert reverse("2001:db8::1") == "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa."
    assert subnet("10.1.2.3/12").hex() == "0001 0c00 0a00".replace(" ", "")
    assert subnet("2001:db8::/33").hex() == "0002210020010db800"
    assert subnet("0").hex() == "00010000"


def message(flags=0x8180, **edns):
    m = Message(4711, flags)
    m.question.append(Question(N("www.example.com."), Type.A))
    m.answer.append(Record(N("www.example.com."), Type.CNAME, 1, 300, N("a-name-that-is-quite-long.example.com.")))
    m.answer.append(Record(N("a-name-that-is-quite-long.example.com."), Type.A, 1, 60, b"\xc0\0\2\1"))
    m.edns = Edns(1232, **edns) if edns else None
    return m


SHOWN = """\
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 4711
;; flags: qr rd; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1
;; WARNING: recursion requested but not available

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags: do; udp: 1232
; COOKIE: 3031323334353637616263646566676869 (good)
; EDE: 18 (Prohibited): (not for you)
;; QUESTION SECTION:
;www.example.com.		IN	A

;; ANSWER SECTION:
www.example.com.	300	IN	CNAME	a-name-that-is-quite-long.example.com.
a-name-that-is-quite-long.example.com. 60 IN A	192.0.2.1

"""


def test_a_message_is_printed_as_dig_prints_it():
    m = message(0x8103, do=True, options=((10, b"01234567abcdefghi"), (15, b"\0\x12not for you")))
    assert present.message_text(m, sent_cookie=b"01234567") == SHOWN


def test_over_several_lines_numbers_have_their_meaning():
    m = Message(1, 0x8180)
    soa = "ns.example. host.example. 2026112101 7200 3600 1209600 300"
    m.answer.append(Record(N("example."), Type.SOA, 1, 300, from_text(Type.SOA, soa)))
    style = read(["+multiline", "x.example"]).lookups[0].style()
    assert present.section_text(m, 1, style) == (
        ";; ANSWER SECTION:\nexample.\t\t300 IN SOA ns.example. host.example. (\n\t\t\t\t2026112101 ; serial\n"
        "\t\t\t\t7200       ; refresh (2 hours)\n\t\t\t\t3600       ; retry (1 hour)\n\t\t\t\t1209600    ; expire (2 weeks)\n"
        "\t\t\t\t300        ; minimum (5 minutes)\n\t\t\t\t)\n\n"
    )


def test_json_has_the_shapes_of_rfc_8427():
    found = json.loads(json.dumps(jsonform.message(message(options=((15, b"\0\x12no"),)), 99)))
    assert found["ID"] == 4711
    assert [found[key] for key in ("QR", "AA", "RD", "RA", "RCODE", "ANCOUNT", "ARCOUNT", "msgLength")] == [1, 0, 1, 1, 0, 2, 1, 99]
    assert (found["QNAME"], found["QTYPEname"]) == ("www.example.com.", "A")
    assert found["answerRRs"][1] == {
        "NAME": "a-name-that-is-quite-long.example.com.", "TYPE": 1, "TYPEname": "A", "CLASS": 1, "CLASSname": "IN", "TTL": 60,
        "rdataA": "192.0.2.1", "RDLENGTH": 4, "RDATAHEX": "c0000201",
    }  # fmt: skip
    assert found["EDNS"]["EDE"] == [{"code": 18, "text": "no"}]


@given(st.sampled_from([*sorted(rdata.FORMS), 250, 65280]), st.binary(max_size=80), st.binary(max_size=40))
def test_whatever_can_be_read_can_be_shown(type, data, option):
    for words in (["x"], ["+multiline", "x"], ["+nocrypto", "+rrcomments", "x"], ["+unknownformat", "+nosplit", "x"]):
        shown = present.record_text(Record(N("x."), type, 1, 1, data), read(words).lookups[0].style())
        assert shown.startswith("x.\t") and shown.endswith("\n")
    for code in range(20):
        assert "\n" not in present.option_text(code, option, b"01234567")


def records(*said):
    return [
        Record(N("z."), Type.SOA, 1, 1, from_text(Type.SOA, f"a. b. {n} 1 1 1 1")) if n else Record(N("z."), 1, 1, 1, b"abcd")
        for n in said
    ]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (None, (9, 0, 0, 9)),  # a whole zone
        (None, (9, 9)),
        (7, (9,)),  # up to date would be 7; see below
        (7, (9, 0, 0, 9)),  # a whole zone in place of changes
        (7, (9, 7, 0, 8, 0, 8, 0, 9, 0, 9)),  # two changes
        (7, (9, 7, 9, 9)),  # a change of nothing but the serial
    ],
)
def test_the_end_of_a_transfer_is_where_the_first_serial_comes_again(wanted, said):
    ends = Ends(wanted)
    found = [ends.put(r) for r in records(*said)]
    assert found[:-1] == [False] * (len(said) - 1)
    assert found[-1] is (len(said) > 1)


def test_a_transfer_that_has_nothing_new_is_one_record():
    assert Ends(9).put(records(9)[0])
    assert Ends(2).put(records(0xFFFFFFF0)[0])  # RFC 1982
    with pytest.raises(WireError, match="Didn't start with SOA"):
        Ends(None).put(records(0)[0])


def test_a_key_file_is_read(tmp_path):
    file = tmp_path / "k"
    file.write_text('key "k.example" {\n\talgorithm hmac-sha512;\n\tsecret "c2VjcmV0c2VjcmV0";\n};\n')
    key = read(["-k", str(file), "x"]).key
    assert (key.name, key.algorithm, key.secret) == (N("k.example."), "hmac-sha512", b"secretsecret")
    file.write_text("nothing")
    with pytest.raises(UsageError, match="has no key"):
        read(["-k", str(file), "x"])
