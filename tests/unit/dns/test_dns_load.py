"""Zone files: what they may say, what is refused and where, and dnspython's opinion of both."""

import contextlib
import random

import dns.rdatatype
import dns.zone
import dns.zonefile
import pytest

from netstack.dns import name, rdata
from netstack.dns.authority import load
from netstack.dns.authority.load import read, write
from netstack.dns.numbers import type_text
from netstack.errors import UsageError

HEAD = "$ORIGIN example.\n$TTL 300\n@ SOA ns1 admin 1 3600 300 3600000 60\n@ NS ns1\n"

FILE = r"""
$TTL 1h
@ IN SOA ns1 hostmaster (
        2024010101 ; serial
        1d 2h ; refresh and "retry"
        4w ; (expire)
        5m )
        NS ns1
    IN  NS ns2.example.net.
ns1 300 A 192.0.2.1
    IN 400 AAAA 2001:db8::1
    500 IN TXT "two" words "and; (quoted) ones"
multi TXT ( "first line"
  "second" ; a comment (with parentheses
  third )
esc\.aped A 192.0.2.2
\097bc A 192.0.2.3
*.wild MX 10 ns1
$ORIGIN sub.example.
@ A 192.0.2.4
www CNAME @
$ORIGIN deep
x A 192.0.2.5
$ORIGIN example.
$TTL 60
unknown TYPE65280 \# 4 c0 000201
known A \# 4 c0000203
$GENERATE 1-3 host$ A 192.0.2.$
$GENERATE 10-12/2 g${0,3} CNAME host$.other.test.
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
svc HTTPS 1 . alpn="h2,h3" port=8443
caa CAA 0 issue "ca.example; x=y"
key DNSKEY 256 3 RSASHA256 AwEAAa==
cased a 192.0.2.9
Big.Letters A 192.0.2.10
"""


def lines(text):
    return [line + "\n" for line in text.splitlines()]


def ours(zone):
    return sorted((r.name.lower(), r.type, r.ttl, r.rdata) for r in zone.records())


def theirs(text, origin="example."):
    found = dns.zone.from_text(text, origin, relativize=False, check_origin=False)
    origin = name.parse(origin)
    records = [
        (owner.to_wire().lower(), int(rd.rdtype), rdataset.ttl, rd.to_wire())
        for owner, node in found.nodes.items()
        for rdataset in node.rdatasets
        for rd in rdataset
    ]
    return sorted(record for record in records if name.under(record[0], origin))


def test_a_file_means_what_dnspython_takes_it_for():
    zone = read(lines(FILE), "example.")
    assert ours(zone) == theirs(FILE)
    assert len(ours(zone)) == 26
    shown = {f"{name.text(r.name)} {r.ttl} {type_text(r.type)} {rdata.to_text(r.type, r.rdata)}" for r in zone.records()}
    assert {
        "example. 3600 SOA ns1.example. hostmaster.example. 2024010101 86400 7200 2419200 300",
        'multi.example. 3600 TXT "first line" "second" "third"',
        "esc\\.aped.example. 3600 A 192.0.2.2",
        "x.deep.sub.example. 3600 A 192.0.2.5",
        "g012.example. 60 CNAME host12.other.test.",
        "unknown.example. 60 TYPE65280 \\# 4 c0000201",
    } <= shown


def test_without_an_origin_the_zone_is_that_of_its_soa():
    assert name.text(read(lines(HEAD)).name) == "example."
    text = "$TTL 60\nexample. IN SOA ns1.example. a. 1 2 3 4 5\nwww.example. A 192.0.2.1\n"
    assert ours(read(lines(text))) == theirs(text)
    with pytest.raises(UsageError, match="line 1: A before the SOA"):
        read(["www.example. 60 A 192.0.2.1\n"])


@pytest.mark.parametrize(
    ("text", "ttls"),
    [
        ("@ SOA a b 1 2 3 4 77\nx A 192.0.2.1\n", [77, 77]),  # the minimum, where nobody says anything
        ("@ 5 SOA a b 1 2 3 4 77\nx A 192.0.2.1\n", [5, 5]),
        ("@ 5 SOA a b 1 2 3 4 77\ny 9 A 192.0.2.1\nx A 192.0.2.1\n", [5, 9, 9]),
        ("$TTL 8\n@ 5 SOA a b 1 2 3 4 77\nx A 192.0.2.1\n", [5, 8]),
        ('@ 5 SOA a b 1 2 3 4 77\nz 3 TXT "quoted"\nx A 192.0.2.1\ny TXT "a"\n', [5, 3, 3, 3]),
    ],
)
def test_a_record_without_a_ttl_has_the_default_the_last_or_the_minimum(text, ttls):
    assert [r.ttl for r in read(lines(text), "example.").records()] == ttls


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("www A 192.0.2.256\n", 5, "not an IPv4 address"),
        ("www A 192.0.2.1 192.0.2.2\n", 5, "too much"),
        ("www A\n", 5, ""),
        ("\n\nwww NOTYPE 192.0.2.1\n", 7, "NOTYPE"),
        ("www CH A 192.0.2.1\n", 5, "class"),
        ("www.test. A 192.0.2.1\n", 5, "not in the zone"),
        ('www.test. TXT "x"\n', 5, "not in the zone"),
        ("www A 192.0.2.1\nwww CNAME ns1\n", 6, "stands alone"),
        ('txt TXT "open\n', 5, ""),
        ("txt TXT ( a\n b\n c\n", 5, "not closed"),
        ("txt TXT a )\n", 5, ""),
        ("$INCLUDE other\n", 5, "not allowed here"),
        ("$UNICODE 2003\n", 5, "unknown"),
        ("$TTL\n", 5, "TTL"),
        ("$TTL x\n", 5, "duration"),
        ("$GENERATE 1 2 3\n", 5, ""),
        ("a..b A 192.0.2.1\n", 5, "label"),
        ("a\\ A 192.0.2.1\n", 5, ""),
        ("www 4000000000 A 192.0.2.1\n", 5, "TTL"),
        ("bücher A 192.0.2.1\nx A 1\n", 6, "IPv4"),
        ("www A \\# 3 010203\n", 5, ""),
        ("sub SOA a b 1 2 3 4 5\n", 5, "apex"),
        ("x ANY \\# 0\n", 5, ""),
    ],
)
def test_a_mistake_is_said_with_its_line(text, where, words):
    with pytest.raises(UsageError, match=f"^line {where}: .*{words}") as caught:
        read(lines(HEAD + text))
    assert "\n" not in str(caught.value) and len(str(caught.value)) > len("line 5: ") + 10


def test_a_zone_needs_a_soa():
    with pytest.raises(UsageError, match="no SOA record for example"):
        read(["$TTL 5\n", "@ NS a\n"], "example.")
    with pytest.raises(UsageError, match="no records"):
        read([])


def test_an_open_parenthesis_does_not_swallow_the_file():
    def endless():
        yield from lines(HEAD)
        yield "x TXT (\n"
        while True:
            yield "a" * 1000 + "\n"

    with pytest.raises(UsageError, match="line 5: an entry of more than"):
        read(endless())


def test_files_are_named_in_mistakes(tmp_path):
    path = tmp_path / "example.zone"
    path.write_text(HEAD + "www A 1.2.3\n")
    with pytest.raises(UsageError, match=r"example\.zone:5: '1\.2\.3' is not an IPv4"):
        read(path)
    with pytest.raises(UsageError, match="nowhere can't be read: No such file"):
        read(tmp_path / "nowhere")
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(UsageError, match="not text in UTF-8"):
        read(str(path))
    path.write_text("x" * (load.LONGEST + 5))
    with pytest.raises(UsageError):
        read(path, "example.")


def test_includes_stay_below_the_folder_of_the_file(tmp_path):
    folder = tmp_path / "zones"
    (folder / "parts").mkdir(parents=True)
    main = folder / "main"
    (folder / "parts" / "a").write_text("$ORIGIN in.example.\nx 5 A 192.0.2.1\n$TTL 7\ny A 192.0.2.2\n")
    main.write_text(HEAD + "last A 192.0.2.8\n$INCLUDE parts/a ; below\n  TXT still-last\n$INCLUDE parts/a sub\nend A 192.0.2.9\n")
    zone = read(main, include=True)
    assert zone.rrset("x.in", "A").ttl == 5 and zone.rrset("y.in", "A").ttl == 7
    assert zone.rrset("last", "TXT") is not None and zone.rrset("end", "A").ttl == 300
    with pytest.raises(UsageError, match="not allowed here"):
        read(main)
    (tmp_path / "secret").write_text("x A 192.0.2.1\n")
    (folder / "link").symlink_to(tmp_path / "secret")
    for path in ("../secret", str(tmp_path / "secret"), "link", "parts/../../secret"):
        main.write_text(HEAD + f"$INCLUDE {path}\n")
        with pytest.raises(UsageError, match=r"main:5: .*outside of the zone file's folder"):
            read(main, include=True)
    main.write_text(HEAD + "$INCLUDE circle\n")
    (folder / "circle").write_text("$INCLUDE circle\n")
    with pytest.raises(UsageError, match="circle"):
        read(main, include=True)
    (folder / "circle").write_text("a A 192.0.2.1\nb A x\n")
    with pytest.raises(UsageError, match=r"^circle:2: 'x'"):
        read(main, include=True)
    main.write_text(HEAD + "$INCLUDE nothing\n")
    with pytest.raises(UsageError, match="main:5: nothing can't be read"):
        read(main, include=True)


def test_what_is_written_is_read_again_by_both():
    zone = read(lines(FILE), "example.")
    text = "\n".join(write(zone)) + "\n"
    assert ours(read(lines(text))) == ours(zone) == theirs(text)
    assert text.splitlines()[1].startswith("@ 3600 IN SOA ")


DATA = {
    "A": ["192.0.2.1", "1.2.3.4", "\\# 4 01020304"],
    "AAAA": ["2001:db8::1", "::ffff:1.2.3.4", "::"],
    "NS": ["ns1", "a.b.test.", "@", "."],
    "CNAME": ["Other.Name", "x\\.y"],
    "PTR": ["host.test."],
    "MX": ["10 mail", "0 ."],
    "TXT": ['"a b" c', "plain", '"\\"\\\\;()"', "k=v x", '""', "\\097\\\\"],
    "SRV": ["1 2 3 target", "0 0 0 ."],
    "SOA": ["a b 1 2 3 4 5", "a b 4294967295 1h 2m 1w 1d"],
    "HINFO": ["PC Linux", '"a b" "c"'],
    "RP": ["mail.box txt.name"],
    "AFSDB": ["1 host"],
    "NAPTR": ['100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" .'],
    "CAA": ['0 issue "ca.test"', "128 iodef mailto:a@b.test"],
    "DS": ["12345 8 2 " + "ab" * 32, "1 RSASHA256 1 " + "00" * 20, "12345 13 2 ABCD EF01" + "ab" * 28],
    "DNSKEY": ["257 3 13 AQID BAUG", "256 3 ECDSAP256SHA256 AQID"],
    "RRSIG": ["A 13 2 300 20300101000000 20200101000000 1 example. AQIDBA=="],
    "NSEC": ["next A NS TYPE65280 RRSIG", "\\000.x NSEC"],
    "NSEC3": ["1 1 0 - " + "0" * 32 + " A RRSIG", "1 0 12 AABB " + "v" * 32],
    "NSEC3PARAM": ["1 0 0 -", "1 0 5 abcd"],
    "TLSA": ["3 1 1 " + "cd" * 32, "3 1 0 AB CD"],
    "SSHFP": ["4 2 " + "ef" * 32],
    "SVCB": ["1 svc.test. alpn=h2", "0 alias"],
    "URI": ['10 1 "https://a.test/"'],
    "OPENPGPKEY": ["AQID"],
    "CSYNC": ["66 3 A NS AAAA"],
    "CDS": ["0 0 0 00"],
    "TYPE62347": ["\\# 0", "\\# 3 abcdef"],
    "DNAME": ["else.where."],
}


def random_file(rng):
    """Entries of all shapes, some of them wrong."""
    out = ["$TTL 300\n"] if rng.randrange(4) else []
    out.append("@ SOA ns1 admin 1 3600 300 3600000 60\n")
    for i in range(rng.randrange(25)):
        kind = rng.choice(list(DATA))
        owner = rng.choice(["", f"h{i}", f"h{i}", "a.b.c", "*.w", "UP.per", f"h{i}.example.", f"\\104{i}", "@"])
        ttl = rng.choice(["", "", "600", "1h30m", "0"])
        rclass = rng.choice(["", "", "IN", "in"])
        middle = [ttl, rclass] if rng.randrange(2) else [rclass, ttl]
        value = rng.choice(DATA[kind])
        if rng.randrange(8) == 0:
            first, _, rest = value.partition(" ")
            value = f"( {first}\n\t{rest} ; note ( \n )"
        if rng.randrange(15) == 0:
            value += " garbage)"
        kind = kind.lower() if rng.randrange(8) == 0 else kind
        words = [owner, *(word for word in middle if word), kind, value]
        end = rng.choice(["", "", " ; comment", "\t", ' ; "odd (comment'])
        out.append(rng.choice([" ", "  ", "\t"]).join(words) + end + rng.choice(["\n", "\n", "\n\n", "\r\n"]))
        if rng.randrange(12) == 0:
            out.append(rng.choice(["$ORIGIN sub\n", "$ORIGIN example.\n", "$TTL 2h ; two\n", "  \n", "; comment\n", " ; x\n"]))
    return "".join(out)


def comparable(records):
    """Of a second NSEC at a name dnspython forgets the first; and a signature has the TTL of what it signs (RFC 4034 3)."""
    return sorted((o, t, 0 if t == 46 else ttl, d) for o, t, ttl, d in records if not dns.rdatatype.is_singleton(t))


def outcome(make):
    try:
        return make()
    except Exception as error:
        return f"refused: {type(error).__name__}"


def test_the_short_way_and_dnspython_read_the_same(seed, monkeypatch):
    """Every file is read as it is, entry by entry by dnspython alone, and by dnspython's own zone."""
    rng = random.Random(seed)
    read_both = 0
    for _ in range(250):
        text = random_file(rng)
        mine = outcome(lambda text=text: ours(read(lines(text), "example.")))
        with monkeypatch.context() as patch:
            patch.setattr(load._Loader, "plain", lambda self, line: False)
            long = outcome(lambda text=text: ours(read(lines(text), "example.")))
        assert mine == long, text
        if isinstance(mine, list) and text.startswith("$TTL"):  # without, it depends on dnspython's version
            with contextlib.suppress(dns.zonefile.CNAMEAndOtherData):  # a signature of what is not there, beside a CNAME
                assert comparable(mine) == comparable(theirs(text)), text
                read_both += 1
    assert read_both > 40


def test_types_that_dnspython_knows_and_we_do_not_are_read_too():
    text = "@ SOA a b 1 2 3 4 5\nx APL 1:192.168.32.0/21\nx EUI48 00-00-5e-00-53-2a\nx CERT 1 2 3 AQID\n"
    zone = read(lines("$TTL 9\n" + text), "example.")
    assert ours(zone) == theirs("$TTL 9\n" + text)
    again = "\n".join(write(zone))
    assert dns.rdatatype.from_text("APL") == 42 and "TYPE42 \\# " in again
