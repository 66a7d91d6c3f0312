"""Clients of others against our server, over a tap and on the kernel's sockets: dig, kdig, drill, and delv, which believes only
what is signed; and ISC's compliance queries for EDNS, written by hand."""

import re
from types import SimpleNamespace

import pytest
from dnslab import KERNEL, STACK, TAP, named, ours, sign
from netns import Namespace

pytestmark = [pytest.mark.once, pytest.mark.needs_tap, pytest.mark.needs("dig", "kdig", "drill", "delv", "dnssec-signzone")]

ZONE = """\
$TTL 300
@ SOA ns hostmaster 2026112101 7200 3600 1209600 300
@ NS ns
@ MX 10 mail
@ TXT "v=spf1 -all; x" "second"
@ CAA 0 issue "ca.example.net"
@ HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.80
ns A 10.79.0.2
mail A 192.0.2.25
mail AAAA 2001:db8::25
www CNAME web
web A 192.0.2.80
web A 192.0.2.81
far CNAME www.elsewhere.test.
*.wild A 192.0.2.99
*.wild TXT "wild"
deep.empty.non A 192.0.2.7
tree DNAME web
_sip._tcp SRV 0 5 5060 web
_443._tcp TLSA 3 1 1 0D6FCE13243AA7D9C1C4B4F9F0B3A2C8E6F5D4C3B2A1908F7E6D5C4B3A291807
host SSHFP 4 2 1111111111111111111111111111111111111111111111111111111111111111
host HINFO "cpu" "os"
host LOC 52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m
naptr NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .
uri URI 10 1 "ftp://ftp.example/public"
odd TYPE65280 \\# 4 c0000201
sub NS ns.sub
ns.sub A 192.0.2.53
safe NS ns.safe
safe DS 12345 13 2 0D6FCE13243AA7D9C1C4B4F9F0B3A2C8E6F5D4C3B2A1908F7E6D5C4B3A291807
ns.safe A 192.0.2.54
"""
BIG = "".join(f'big TXT "{i:03d} {"x" * 200}"\n' for i in range(20))
ZONES = {"nsec.example.": (), "nsec3.example.": ("-3", "aabbccdd", "-H", "1"), "optout.example.": ("-3", "-", "-H", "0", "-A")}


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    """Signed three ways."""
    folder = tmp_path_factory.mktemp("zones")
    found = {origin: sign(folder, origin, ZONE + BIG, *options) for origin, options in ZONES.items()}
    return SimpleNamespace(
        folder=folder, files={o: str(f[0]) for o, f in found.items()}, anchors={o: str(f[1]) for o, f in found.items()}
    )


@pytest.fixture(scope="module", params=["tap", "posix"])
def server(request, zones):
    """Our server; `dig`, `kdig`, … run with its address."""
    netns = Namespace()
    host = STACK if request.param == "tap" else "127.0.0.1"
    net = TAP if request.param == "tap" else "posix:"
    config = {"nsid": "6e73312e6f757273", "version": "netstack", "identity": "ns1"}

    def dig(*words):
        return netns.run("dig", f"@{host}", "+tries=1", "+time=3", *words).stdout

    try:
        with ours(netns, net=net, zones=zones.files, any_over_streams=True, **config):
            yield SimpleNamespace(netns=netns, host=host, dig=dig, zones=zones)
    finally:
        netns.close()


def status(text):
    return re.search(r"status: (\w+)", text)[1]


def flags(text):
    return re.search(r";; flags:([a-z ]*);", text)[1].split()


RECORDS = [
    ("", "SOA", "ns.nsec.example. hostmaster.nsec.example. 2026112101 7200 3600 1209600 300"),
    ("", "NS", "ns.nsec.example."),
    ("", "MX", "10 mail.nsec.example."),
    ("", "TXT", '"v=spf1 -all; x" "second"'),
    ("", "CAA", '0 issue "ca.example.net"'),
    ("", "HTTPS", '1 . alpn="h2,h3" ipv4hint=192.0.2.80'),
    ("mail.", "A", "192.0.2.25"),
    ("mail.", "AAAA", "2001:db8::25"),
    ("www.", "A", "web.nsec.example.\n192.0.2.80\n192.0.2.81"),
    ("x.wild.", "A", "192.0.2.99"),
    ("a.b.wild.", "TXT", '"wild"'),
    ("_sip._tcp.", "SRV", "0 5 5060 web.nsec.example."),
    ("_443._tcp.", "TLSA", "3 1 1 0D6FCE13243AA7D9C1C4B4F9F0B3A2C8E6F5D4C3B2A1908F7E6D5C4B 3A291807"),
    ("host.", "SSHFP", "4 2 " + "1" * 56 + " " + "1" * 8),
    ("host.", "HINFO", '"cpu" "os"'),
    ("host.", "LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m"),
    ("naptr.", "NAPTR", '100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .'),
    ("uri.", "URI", '10 1 "ftp://ftp.example/public"'),
    ("odd.", "TYPE65280", "\\# 4 C0000201"),
]


def test_every_type_is_answered_over_udp_and_tcp(server):
    words = [word for owner, type, _ in RECORDS for word in (f"{owner}nsec.example", type)]
    said = [line for _, _, data in RECORDS for line in data.split("\n")]
    for way in ("+notcp", "+tcp"):
        got = server.dig("+short", way, *words).splitlines()
        assert sorted(got) == sorted(said), way
    assert server.dig("+short", "+keepopen", "+tcp", *words).splitlines() == got


def test_kdig_and_drill_understand_the_same(server):
    for program, how in (("kdig", ["+short"]), ("kdig", ["+short", "+tcp", "+keepopen"])):
        words = [word for owner, type, _ in RECORDS if type != "LOC" for word in (f"{owner}nsec.example", type)]
        got = server.netns.run(program, f"@{server.host}", *how, *words)
        assert got.returncode == 0, got.stderr
        for part in ("10 mail.nsec.example.", "192.0.2.99", '"wild"', "0 5 5060 web.nsec.example.", "2001:db8::25"):
            assert part in got.stdout
    for owner, type in (("www.", "A"), ("_sip._tcp.", "SRV"), ("nothing.", "A"), ("", "DNSKEY")):
        got = server.netns.run("drill", "-D", f"{owner}nsec.example", type, f"@{server.host}")
        assert got.returncode == 0, got.stderr
        assert ("NXDOMAIN" if owner == "nothing." else "NOERROR") in got.stdout
        assert "RRSIG" in got.stdout


def test_what_is_not_there_and_what_is_elsewhere(server):
    dig = server.dig
    nothing = dig("nothing.nsec.example")
    assert status(nothing) == "NXDOMAIN"
    assert "aa" in flags(nothing)
    assert "SOA" in nothing
    assert status(dig("empty.non.nsec.example")) == "NOERROR"
    assert status(dig("mail.nsec.example", "MX")) == "NOERROR"
    referral = dig("x.sub.nsec.example", "+norecurse")
    assert "aa" not in flags(referral)
    assert "ns.sub.nsec.example.	300	IN	A	192.0.2.53" in referral
    assert "DS	12345 13 2" in dig("x.safe.nsec.example", "+dnssec", "+norecurse")
    assert "safe.nsec.example.	300	IN	DS" in dig("safe.nsec.example", "DS")
    elsewhere = dig("far.nsec.example")
    assert "CNAME	www.elsewhere.test." in elsewhere
    assert "x.tree.nsec.example.	300	IN	CNAME	x.web.nsec.example." in dig("x.tree.nsec.example")
    assert status(dig("www.elsewhere.test")) == "REFUSED"
    assert status(dig("nsec.example", "CH", "TXT")) == "REFUSED"
    assert '"netstack"' in dig("version.bind", "CH", "TXT")
    assert '"ns1"' in dig("id.server", "CH", "TXT")


def test_letters_of_the_question_come_back_as_they_were(server):
    assert ";WwW.nSeC.eXaMpLe.		IN	A" in server.dig("WwW.nSeC.eXaMpLe")


def test_what_is_long_is_cut_and_comes_whole_over_tcp(server):
    cut = server.dig("big.nsec.example", "TXT", "+ignore", "+notcp")
    assert "tc" in flags(cut)
    whole = server.dig("big.nsec.example", "TXT")
    assert "Truncated, retrying in TCP mode" in whole
    assert "ANSWER: 20," in whole
    assert "(TCP)" in whole
    small = server.dig("big.nsec.example", "TXT", "+ignore", "+bufsize=512", "+dnssec")
    assert int(re.search(r"MSG SIZE  rcvd: (\d+)", small)[1]) <= 512
    large = server.dig("nsec.example", "DNSKEY", "+dnssec", "+bufsize=4096", "+ignore")
    assert int(re.search(r"MSG SIZE  rcvd: (\d+)", large)[1]) <= 1232


def test_any_is_one_set_over_udp(server):
    assert "ANSWER: 1," in server.dig("mail.nsec.example", "ANY", "+notcp")
    over_tcp = server.dig("mail.nsec.example", "ANY", "+tcp")
    assert "192.0.2.25" in over_tcp
    assert "2001:db8::25" in over_tcp


def test_callbacks_answer_others_too(server):
    got = server.dig("hello.called.example", "TXT", "+short")
    assert got == f'"hello.called.example. from {KERNEL if server.host == STACK else server.host}"\n'
    assert status(server.dig("hello.called.example", "A")) == "NXDOMAIN"


# -- EDNS ------------------------------------------------------------------------------------------------------------------------

ZONE_NAME = "nsec.example"


def test_isc_compliance_plain_dns(server):
    """`dig +norec +noedns soa zone`: SOA, NOERROR, no OPT."""
    got = server.dig("+norec", "+noedns", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert "	SOA	" in got
    assert "OPT PSEUDOSECTION" not in got


def test_isc_compliance_plain_edns(server):
    """`dig +norec +edns=0 soa zone`: SOA, NOERROR, OPT version 0."""
    got = server.dig("+norec", "+edns=0", "+nocookie", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert "	SOA	" in got
    assert "EDNS: version: 0, flags:; udp:" in got


def test_isc_compliance_unknown_version(server):
    """`dig +norec +edns=100 +noednsneg soa zone`: BADVERS, OPT version 0, no SOA."""
    for version in (1, 100):
        got = server.dig("+norec", f"+edns={version}", "+noednsneg", "soa", ZONE_NAME)
        assert status(got) == "BADVERS"
        assert "EDNS: version: 0," in got
        assert "	SOA	" not in got


def test_isc_compliance_unknown_option(server):
    """`dig +norec +ednsopt=100 soa zone`: SOA, NOERROR, OPT version 0, the option not echoed."""
    got = server.dig("+norec", "+ednsopt=100", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert "	SOA	" in got
    assert "OPT=100" not in got
    assert "EDNS: version: 0," in got


def test_isc_compliance_unknown_flag(server):
    """`dig +norec +ednsflags=0x80 soa zone`: SOA, NOERROR, the flag not echoed."""
    got = server.dig("+norec", "+ednsflags=0x80", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert "	SOA	" in got
    assert "MBZ" not in got


def test_isc_compliance_dnssec_over_datagrams(server):
    """`dig +norec +dnssec soa zone`: SOA with RRSIG, DO echoed."""
    got = server.dig("+norec", "+dnssec", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert "RRSIG	SOA" in got
    assert "EDNS: version: 0, flags: do; udp:" in got


def test_isc_compliance_truncation(server):
    """`dig +norec +dnssec +bufsize=512 +ignore dnskey zone`: OPT also where the answer is cut, DO echoed."""
    got = server.dig("+norec", "+dnssec", "+bufsize=512", "+ignore", "big.nsec.example", "txt")
    assert status(got) == "NOERROR"
    assert "tc" in flags(got)
    assert "EDNS: version: 0, flags: do; udp:" in got


def test_isc_compliance_unknown_version_with_an_unknown_option(server):
    """`dig +norec +edns=100 +noednsneg +ednsopt=100 soa zone`: BADVERS, the option not echoed."""
    got = server.dig("+norec", "+edns=100", "+noednsneg", "+ednsopt=100", "soa", ZONE_NAME)
    assert status(got) == "BADVERS"
    assert "EDNS: version: 0," in got
    assert "OPT=100" not in got
    assert "	SOA	" not in got


def test_isc_compliance_unknown_version_with_an_unknown_flag(server):
    """`dig +norec +edns=100 +noednsneg +ednsflags=0x80 soa zone`: BADVERS, MBZ is zero."""
    got = server.dig("+norec", "+edns=100", "+noednsneg", "+ednsflags=0x80", "soa", ZONE_NAME)
    assert status(got) == "BADVERS"
    assert "MBZ" not in got


def test_isc_compliance_over_tcp(server):
    """`dig +norec +tcp +edns=0 soa zone`: as over UDP."""
    got = server.dig("+norec", "+tcp", "+edns=0", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert "	SOA	" in got
    assert "EDNS: version: 0, flags:; udp:" in got
    assert status(server.dig("+norec", "+tcp", "+edns=100", "+noednsneg", "soa", ZONE_NAME)) == "BADVERS"


def test_isc_compliance_a_known_version_is_found_by_asking(server):
    """`dig +edns=1 soa zone`: BADVERS says 0, and dig asks again."""
    got = server.dig("+edns=1", "soa", ZONE_NAME)
    assert "BADVERS, retrying with EDNS version 0." in got
    assert status(got) == "NOERROR"


def test_isc_compliance_a_list_of_options(server):
    """`dig +norec +nsid +expire +cookie +subnet=0.0.0.0/0 +ednsopt=100 soa zone`."""
    got = server.dig("+norec", "+nsid", "+expire", "+cookie", "+subnet=0.0.0.0/0", "+ednsopt=100", "+padding=128", "soa", ZONE_NAME)
    assert status(got) == "NOERROR"
    assert '("ns1.ours")' in got
    assert "OPT=100" not in got


def test_other_opcodes_and_odd_headers_are_answered(server):
    assert status(server.dig("+opcode=STATUS", ZONE_NAME)) == "NOTIMP"
    assert status(server.dig("+opcode=IQUERY", ZONE_NAME)) == "NOTIMP"
    assert status(server.dig("+opcode=15", ZONE_NAME)) == "NOTIMP"
    for word in ("+zflag", "+adflag", "+cdflag", "+aaflag", "+raflag", "+tcflag"):
        got = server.dig("+norec", word, "soa", ZONE_NAME)
        assert status(got) == "NOERROR", word
        assert "MBZ" not in got
        assert "ra" not in flags(got)
    assert "rd" in flags(server.dig("+rec", "soa", ZONE_NAME))
    assert status(server.dig("+header-only", ZONE_NAME)) in ("FORMERR", "NOERROR")


# -- delv: what is signed is believed, and what is not there must be proved ------------------------------------------------------

PROOFS = [
    ("mail", "A", "; fully validated"),
    ("", "SOA", "; fully validated"),
    ("", "DNSKEY", "; fully validated"),
    ("www", "A", "; fully validated"),
    ("x.wild", "A", "; fully validated"),
    ("a.b.c.wild", "TXT", "; fully validated"),
    ("x.tree", "A", "; fully validated"),
    ("nothing", "A", "negative response, fully validated"),
    ("a.b.nothing", "A", "negative response, fully validated"),
    ("mail", "MX", "negative response, fully validated"),
    ("empty.non", "A", "negative response, fully validated"),
    ("x.wild", "AAAA", "negative response, fully validated"),
    ("sub", "DS", "negative response, "),
    ("safe", "DS", "; fully validated"),
    ("big", "TXT", "; fully validated"),
]


@pytest.mark.parametrize("origin", ["nsec.example.", "nsec3.example."])
def test_delv_validates_what_is_there_and_what_is_not(server, origin):
    anchor = server.zones.anchors[origin]
    for owner, type, said in PROOFS:
        name = f"{owner}.{origin}".lstrip(".")
        got = server.netns.run("delv", f"@{server.host}", "-a", anchor, f"+root={origin}", name, type)
        assert said in got.stdout + got.stderr, f"{name} {type}: {got.stdout}{got.stderr}"


def test_delv_says_the_same_of_an_opt_out_zone_from_us_and_from_named(server, tmp_path):
    """What an opt-out span covers may be there unsigned (RFC 5155 9.2): that is less than validated."""
    origin = "optout.example."

    def said(owner, type, *how):
        name = f"{owner}.{origin}".lstrip(".")
        got = server.netns.run("delv", *how, "-a", server.zones.anchors[origin], f"+root={origin}", name, type)
        return re.findall(r"; (fully validated|unsigned answer|negative response, [a-z ]+)", got.stdout)

    with named(server.netns, tmp_path, {origin: server.zones.files[origin]}, 5302):
        for owner, type, _ in PROOFS:
            theirs = said(owner, type, "@127.0.0.1", "-p", "5302")
            assert said(owner, type, f"@{server.host}") == theirs, f"{owner} {type}"
            assert theirs


def test_an_answer_has_the_same_records_as_named_gives(server, tmp_path):
    """NSEC, NSEC3 and opt-out, wildcards, delegations, aliases: which records stand in which section."""
    owners = ("", "mail", "www", "x.wild", "nothing", "empty.non", "x.sub", "sub", "x.safe", "safe", "x.tree", "far", "wild")
    asked = [(owner, type) for owner in owners for type in ("A", "DS", "MX", "NS")]

    def sections(host, port, origin, *how):
        words = [w for owner, type in asked for w in (f"{owner}.{origin}".lstrip("."), type)]
        command = ("dig", f"@{host}", "-p", str(port), "+norec", "+nostats", "+nocookie", "+ignore", "+nocmd", *how)
        text = server.netns.run(*command, *words).stdout
        return [seen(part) for part in text.split(";; Got answer:")[1:]]

    def seen(part):
        said = [status(part), *sorted(flags(part))]
        section, found = "", {}
        for line in part.splitlines():
            if match := re.match(r";; (\w+) SECTION", line):
                section = match[1]
            elif line and line[0] != ";":
                found.setdefault(section, []).append(re.sub(r"\s+", " ", line))
        return said, {name: sorted(lines) for name, lines in found.items() if name != "ADDITIONAL"}

    with named(server.netns, tmp_path, server.zones.files, 5301, options="minimal-responses yes;"):
        for origin in ZONES:
            for how in (["+dnssec", "+tcp", "+keepopen"], ["+tcp", "+keepopen"]):
                theirs = sections("127.0.0.1", 5301, origin, *how)
                mine = sections(server.host, 53, origin, *how)
                assert len(theirs) == len(asked)
                for (owner, type), ours_, theirs_ in zip(asked, mine, theirs, strict=True):
                    theirs_[0][:] = [word for word in theirs_[0] if word != "ra"]
                    assert ours_ == theirs_, f"{owner} {type} {origin}"
