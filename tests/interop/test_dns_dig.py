"""`netstack dig` beside BIND's dig, on the same answers: byte for byte, but for ids, times, cookies, and the program's own name."""

import json
import re
import sys
from pathlib import Path

import pytest

from netstack.dns import name, rdata
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record
from netstack.dns.numbers import type_number

pytestmark = [pytest.mark.once, pytest.mark.needs("dig")]

PROGRAM = Path(__file__).with_name("dns_canned.py")
ROOT = PROGRAM.parents[2]
HASH = "2t7b4g4vsa5smi47k61mv5bv1a22bojr"
DATA = {
    "A": ["192.0.2.1", "192.0.2.255"],
    "AAAA": ["2001:db8::1", "::", "::1", "::ffff:192.0.2.1", "2001:db8:0:1::"],
    "NS": ["ns1.example.org.", "a-very-long-name-indeed-for-a-name-server.example.com."],
    "CNAME": ["target.example.com."],
    "DNAME": ["elsewhere.example."],
    "SOA": ["ns.example.com. hostmaster.example.com. 2026112101 7200 3600 1209600 300"],
    "PTR": ["host.example.com."],
    "MX": ["10 mail.example.com.", "0 ."],
    "TXT": ['"v=spf1 -all; x"', '"two" "strings"', '"quo\\"te\\\\ \\009tab \\195\\188"', '""'],
    "SPF": ['"v=spf1"'],
    "HINFO": ['"cpu type" "os"'],
    "RP": ["mbox.example.com. txt.example.com."],
    "AFSDB": ["1 afs.example.com."],
    "SRV": ["0 5 5060 sip.example.com."],
    "NAPTR": ['100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .', '10 20 "" "" "" replacement.example.com.'],
    "CAA": ['0 issue "letsencrypt.org"', '128 iodef "mailto:a\\"b@example.com"'],
    "DS": ["60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", "12345 13 2 " + "AB" * 32, "1 8 4 " + "CD" * 48],
    "CDS": ["0 0 0 00"],
    "DNSKEY": [
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
        "256 3 8 AwEAAb" + "A" * 346,
        "385 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    ],
    "CDNSKEY": ["0 3 0 AA=="],
    "RRSIG": ["A 13 2 3600 20261221000000 20261121000000 2642 example.com. " + "A" * 86 + "=="],
    "NSEC": ["host.example.com. A MX RRSIG NSEC TYPE1234", "\\000.example.com. A NS SOA CAA"],
    "NSEC3": [f"1 1 12 aabbccdd {HASH} MX DNSKEY NS SOA NSEC3PARAM RRSIG TYPE1234", f"1 0 0 - {HASH}"],
    "NSEC3PARAM": ["1 0 0 -", "1 0 12 AABB"],
    "TLSA": ["3 1 1 " + "0D" * 32],
    "SMIMEA": ["3 0 0 " + "12" * 100],
    "SSHFP": ["2 1 123456789abcdef67890123456789abcdef67890", "4 2 " + "11" * 32],
    "OPENPGPKEY": ["A" * 200],
    "CSYNC": ["66 3 A NS AAAA"],
    "ZONEMD": ["2018031900 1 1 " + "62" * 48],
    "URI": ['10 1 "ftp://ftp1.example.com/public"'],
    "SVCB": [
        "0 foo.example.com.",
        "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
        "1 . port=8443 no-default-alpn alpn=h2",
        '1 foo.example.com. key667="hello\\210qoo"',
        '1 foo.example.com. alpn="f\\\\\\\\oo\\\\,bar,h2"',
    ],
    "HTTPS": ['1 . alpn="h3,h2" ipv4hint=192.0.2.229,192.0.2.230 ipv6hint=2001:db8::6810:84e5 ech=AEX+DQ==', "0 other.example."],
    "LOC": ["42 21 54 N 71 06 18 W -24m 30m", "52 22 23.5 N 4 53 32 E -2.50m 0.00m 10000m 10.00m"],
    "KEY": ["256 3 13 AQIDBA=="],
    "CERT": ["PKIX 1 RSASHA256 qrvM3Q==", "65000 65535 99 AA=="],
    "DHCID": ["AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="],
    "EUI48": ["00-00-5e-00-53-2a"],
    "EUI64": ["00-00-5e-ef-10-00-00-2a"],
    "NID": ["10 0014:4fff:ff20:ee64"],
    "L32": ["10 10.1.2.0"],
    "L64": ["20 2001:0DB8:1140:1000"],
    "LP": ["10 l64-subnet1.example.com."],
    "KX": ["1 rt1.example.com."],
    "RT": ["10 relay.example.com."],
    "MINFO": ["a.example.com. b.example.com."],
    "MB": ["a.example.com."],
    "NULL": ["\\# 3 010203"],
    "TYPE65280": ["\\# 4 c0000201", "\\# 0", "\\# 80 " + "ab" * 80],
}
LOOKS = [
    [],
    ["+multiline"],
    ["+short"],
    ["+nocrypto", "+ttlunits", "+rrcomments"],
    ["+unknownformat", "+split=20"],
    ["+nosplit", "+nottlid"],
    ["+noclass", "+expandaaaa", "+nocomments"],
    ["+multiline", "+nottlid", "+norrcomments"],
]


def record(said):
    """Of (owner, type, ttl, data)."""
    owner, type, ttl, data = said
    number = type_number(type)
    return Record(name.parse(owner, name.ROOT), number, 1, ttl, rdata.from_text(number, data))


class Book:
    """Answers to be learnt by heart, and questions."""

    def __init__(self):
        self.answers = {}
        self.cases = []

    def put(self, owner, type, *messages):
        self.answers[f"{name.parse(owner, name.ROOT).hex()}:{type_number(type)}"] = [m.hex() for m in messages]
        return [owner, type]

    def message(self, owner, type, flags, edns=None, answer=(), authority=(), additional=()):
        """One answer; records as (owner, type, ttl, data)."""
        m = Message(1, flags)
        m.question.append(Question(name.parse(owner, name.ROOT), type_number(type)))
        m.answer, m.authority, m.additional = (list(map(record, part)) for part in (answer, authority, additional))
        m.edns = edns
        return self.put(owner, type, m.encode())

    def ask(self, *words):
        self.cases.append([word for part in words for word in ([part] if isinstance(part, str) else part)])


def normal(text):
    text = re.sub(r"<<>> (DiG|netstack dig) \S+ <<>>", "<<>> DIG <<>>", text)
    text = re.sub(r"id: \d+", "id: 1", text)
    text = re.sub(r"(Query time: |in )\d+( ?[mu]s)", r"\g<1>1\2", text)
    text = re.sub(r"WHEN: .*", "WHEN: now", text)
    return re.sub(r"COOKIE: (?!57524f4e47)[0-9a-f]{16}", "COOKIE: mine", text)  # WRONG is nobody's


def compare(netns, tmp_path, book):
    file = tmp_path / "book.json"
    file.write_text(json.dumps({"answers": book.answers, "cases": book.cases}))
    done = netns.run("env", f"PYTHONPATH={ROOT}:{ROOT / 'backends'}", sys.executable, str(PROGRAM), str(file), timeout=50)
    assert done.returncode == 0, done.stderr
    for words, (theirs, their_status, ours, our_status) in zip(book.cases, json.loads(done.stdout), strict=True):
        assert normal(ours) == normal(theirs), " ".join(words)
        assert our_status == their_status, " ".join(words)
        assert theirs, " ".join(words)


def test_every_type_of_record_looks_the_same(netns, tmp_path):
    book = Book()
    asked = []
    for type, data in DATA.items():
        owner = f"{HASH}.example.com." if type == "NSEC3" else f"a-long-name-for-the-columns.{type}.example.com."
        records = [(owner, type, 3600 + i * 90000, said) for i, said in enumerate(data)]
        asked += book.message(owner, type, 0x8580, Edns(1232), answer=records)
    for look in LOOKS:
        for i in range(0, len(asked), 20):  # dig's line about its own words ends after 1023 octets
            book.ask(look, asked[i : i + 20])
    compare(netns, tmp_path, book)


OPTIONS = {
    "nsid": [(3, b"ns1.example\0")],
    "no-nsid": [(3, b"")],
    "cookie": [(10, b"CLIENTCK" + b"\1\0\0\0ABCDEFGHIJKL")],
    "cookie-echoed": [(10, b"CLIENTCK")],
    "cookie-of-another": [(10, b"WRONGCOO12345678")],
    "error": [(15, b"\0\x12words here"), (15, b"\0\x06"), (15, b"\0\x16caf\xc3\xa9"), (15, b"\xff\xff"), (15, b"\0\x1b")],
    "subnet": [(8, b"\0\1\x18\0\xc0\0\2")],
    "subnet6": [(8, b"\0\2\x38\x30\x20\1\x0d\xb8\0\0\0")],
    "padding": [(12, bytes(30))],
    "no-padding": [(12, b"")],
    "keepalive": [(11, b"\0\x96")],
    "expire": [(9, b"\0\1\x51\x81")],
    "no-expire": [(9, b"")],
    "key-tag": [(14, b"\x4f\x66\0\1")],
    "others": [(100, b"\1\2abc"), (65001, b""), (5, b"\x08\x0d"), (7, b"\x01"), (16, b"\0\1"), (17, b"\0\2")],
    "llq": [(1, b"\0\1\0\1\0\0" + bytes(7) + b"\1\0\0\x0e\x10")],
    "several": [(3, b"x"), (10, b"CLIENTCK12345678"), (12, b"\0\0")],
}


def test_the_options_of_edns_look_the_same(netns, tmp_path):
    book = Book()
    asked = []
    for label, options in OPTIONS.items():
        owner = f"{label}.example.com."
        asked += book.message(owner, "A", 0x8180, Edns(1232, options=tuple(options)), answer=[(owner, "A", 1, "192.0.2.9")])
    for look in ([], ["+nocomments"], ["+nocookie"]):
        book.ask(look, asked)
    compare(netns, tmp_path, book)


HEADERS = [
    (0x8583, Edns(4096, do=True)),
    (0x8185, None),
    (0x8102, Edns(1232)),
    (0x8181, None),
    (0x8184, None),
    (0x81F0, Edns(512, flags=0x1234)),
    (0x8180, Edns(1232, ext_rcode=1)),
    (0x818B, Edns(1232)),
    (0x8180, Edns(1232, ext_rcode=2)),
    (0x8189, Edns(1232, flags=0x4000)),
    (0x818F, None),
]


def test_flags_codes_and_warnings_look_the_same(netns, tmp_path):
    book = Book()
    asked = []
    soa = [("example.com.", "SOA", 300, "ns.example.com. host.example.com. 1 2 3 4 5")]
    for i, (flags, edns) in enumerate(HEADERS):
        asked += book.message(f"m{i}.example.com.", "A", flags, edns, authority=soa)
    for look in ([], ["+dnssec"], ["+comments", "+nostats", "+noquestion"], ["+noedns"], ["+norecurse", "+noadflag"]):
        book.ask(look, asked)
    book.ask(book.message("printer.local.", "A", 0x8183))
    compare(netns, tmp_path, book)


def test_what_to_show_is_said_in_the_same_words(netns, tmp_path):
    book = Book()
    asked = book.message(
        "www.example.com.",
        "A",
        0x8400,
        answer=[("www.example.com.", "CNAME", 60, "web.example.com."), ("web.example.com.", "A", 60, "192.0.2.3")],
        authority=[("example.com.", "NS", 60, "ns.example.com."), ("example.com.", "NS", 60, "ns2.example.com.")],
        additional=[("ns.example.com.", "A", 60, "192.0.2.53"), ("ns2.example.com.", "AAAA", 60, "2001:db8::53")],
    )
    for look in (
        "+noall +authority", "+noadditional", "+nocmd", "+nocmd +nostats", "+qr", "+qr +dnssec +nsid +subnet=192.0.2.0/23",
        "+short", "+short +noshort", "+identify +nostats", "+short +identify", "-u", "+tcp", "+vc +nostats", "+noall +stats",
        "+noall +comments", "+noall +question +answer", "+noques +noauth +noadd", "+nottlid +noclass",
        "+header-only +noedns +time=1 +tries=1",
        "+qr +padding=64", "+qr +zflag +cdflag +aaflag +raflag +tcflag +noadflag", "+qr +ednsopt=100:beef +ednsflags=0x1234",
        "+qr +keepalive +expire +edns=0 +bufsize=4096 +cookie=0123456789abcdef", "+qr +noedns +norec", "+qr +subnet=2001:db8::/33",
        "+qr +ednsopt=nsid +coflag +subnet=0",
    ):  # fmt: skip
        book.ask(asked, look.split())
    odd = "esc\\.aped\\;\\032\\200\\@x.example.com."
    book.ask(book.message(odd, "A", 0x8180, answer=[(odd, "A", 1, "192.0.2.1")]))
    compare(netns, tmp_path, book)


def test_the_grammar_of_the_command_line_is_the_same(netns, tmp_path):
    book = Book()
    book.message("1.2.0.192.in-addr.arpa.", "PTR", 0x8180, answer=[("1.2.0.192.in-addr.arpa.", "PTR", 1, "h.example.")])
    book.message("2.0.192.in-addr.arpa.", "PTR", 0x8183)
    book.message(f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa.", "PTR", 0x8183)
    book.message(".", "NS", 0x8180, answer=[(".", "NS", 518400, "ns.example.")])
    book.message("one.example.", "A", 0x8183)
    book.message("one.example.", "MX", 0x8183)
    book.message("two.example.", "MX", 0x8180, answer=[("two.example.", "MX", 5, "5 m.example.")])
    book.message("in.example.", "TYPE1000", 0x8180)
    for line in (
        "-x 192.0.2.1", "-x 192.0.2", "-x 2001:db8::1", "-x192.0.2.1 +short", "", ". ns", "-t ns .", "one.example two.example mx",
        "mx two.example one.example", "two.example mx in +noall +answer one.example a", "-q two.example -t mx -c in",
        "two.example mx +rrcomments one.example mx +short", "type1000 in.example", "in.example TYPE1000 IN", "-tmx two.example",
        "+short two.example mx -x 192.0.2.1 +noshort", "-4u two.example mx",
    ):  # fmt: skip
        book.ask(line.split())
    compare(netns, tmp_path, book)


def soa(serial):
    return f"ns.x. h.x. {serial} 2 3 4 5"


def messages(zone, *parts, rcode=0, qtype=252):
    """A transfer's messages: records as (owner, type, data)."""
    found = []
    for i, part in enumerate(parts):
        m = Message(1, 0x8400 | rcode)
        if i == 0:
            m.question.append(Question(name.parse(zone, name.ROOT), qtype))
        m.answer = [record((owner, type, 300, data)) for owner, type, data in part]
        found.append(m.encode())
    return found


def test_zone_transfers_look_the_same(netns, tmp_path):
    book = Book()
    zone = "zone.example."
    first = [(zone, "SOA", soa(9)), (zone, "NS", "ns.x.")]
    book.put(zone, "AXFR", *messages(zone, first, [(f"www.{zone}", "A", "192.0.2.1"), (zone, "SOA", soa(9))]))
    for look in ("", "+short", "+onesoa", "+nocmd +nostats", "+multiline", "+noall +answer", "+noidnin"):
        book.ask(zone, "axfr", look.split())
    book.ask("axfr", zone, "+comments")
    book.put("refused.example.", "AXFR", *messages("refused.example.", [], rcode=5))
    book.ask("refused.example", "axfr")
    book.put("odd.example.", "AXFR", *messages("odd.example.", [("odd.example.", "NS", "ns.x.")]))
    book.ask("odd.example", "axfr")
    change = [(zone, "SOA", soa(9)), (zone, "SOA", soa(7)), (f"a.{zone}", "A", "192.0.2.7"), (zone, "SOA", soa(9))]
    book.put(zone, "IXFR", *messages(zone, [*change, (f"b.{zone}", "A", "192.0.2.8"), (zone, "SOA", soa(9))], qtype=251))
    for words in ("ixfr=7", "ixfr=9", "ixfr=7 +notcp", "ixfr=7 +noall +answer"):
        book.ask(zone, words.split())
    compare(netns, tmp_path, book)


def test_silence_and_mistakes_have_the_same_words_and_status(netns, tmp_path):
    book = Book()
    book.message("there.example.", "A", 0x8180)
    for line in (
        "mute.example +time=1 +tries=1 +short", "mute.example +tcp +time=1 +tries=1",
        "there.example -p 5399 +tries=2", "there.example -p 5399 +notcp +nocmd", "@192.0.2.1 there.example -p 5300",
    ):  # fmt: skip
        book.ask(line.split())
    book.message("cut.example.", "A", 0x8380, answer=[("cut.example.", "A", 1, "192.0.2.1")])
    book.ask("cut.example", "+ignore")
    book.ask("cut.example")
    compare(netns, tmp_path, book)
