"""Name servers of others as peers: unbound and named forward to us, we forward to them and to nsd, and our dig asks them all."""

import contextlib
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from dnslab import ROOT, knotd, named, nsd, served, sign, unbound
from netns import Namespace

pytestmark = [pytest.mark.once, pytest.mark.needs("dig", "nsd", "knotd", "named", "unbound", "dnssec-signzone")]

ORIGIN = "peers.example."
ZONE = """\
$TTL 300
@ SOA ns hostmaster 2026112101 7200 3600 1209600 60
@ NS ns
@ MX 10 mail
@ TXT "one" "two; three"
ns A 127.0.0.1
mail A 192.0.2.25
mail AAAA 2001:db8::25
www CNAME mail
far CNAME mail
*.wild A 192.0.2.99
svc HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.80
_sip._tcp SRV 0 5 5060 mail
""" + "".join(f'big TXT "{i:03d} {"x" * 200}"\n' for i in range(20))

NAMES = [
    ("peers.example", "SOA"), ("peers.example", "MX"), ("peers.example", "TXT"), ("mail.peers.example", "A"),
    ("mail.peers.example", "AAAA"), ("www.peers.example", "A"), ("x.wild.peers.example", "A"), ("svc.peers.example", "HTTPS"),
    ("_sip._tcp.peers.example", "SRV"), ("big.peers.example", "TXT"), ("nothing.peers.example", "A"), ("mail.peers.example", "MX"),
]  # fmt: skip


@pytest.fixture(scope="module")
def zone(tmp_path_factory):
    """Signed, in a file; with its trust anchor."""
    folder = tmp_path_factory.mktemp("peers")
    path, anchor = sign(folder, ORIGIN, ZONE)
    return SimpleNamespace(files={ORIGIN: str(path)}, anchor=str(anchor), folder=folder)


@pytest.fixture(scope="module")
def space():
    """A namespace for the tests of this file; each has ports of its own."""
    netns = Namespace()
    yield netns
    netns.close()


def dig(netns, port, *words):
    """BIND's dig."""
    return netns.run("dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", *words).stdout


def our_dig(netns, port, *words):
    """Ours: what it prints, and its status."""
    command = ("env", f"PYTHONPATH={ROOT}:{ROOT / 'backends'}", sys.executable, "-m", "netstack", "dig", "@127.0.0.1")
    done = netns.run(*command, "-p", str(port), *words)
    assert done.stderr == ""
    return done.stdout, done.returncode


def facts(text):
    """What each answer of a dig's output says: status and sorted data, times left out."""
    found = []
    for part in text.split(";; Got answer:")[1:]:
        lines = [re.sub(r"\s+", " ", line) for line in part.splitlines() if line and line[0] != ";"]
        found.append((re.search(r"status: (\w+)", part)[1], sorted(re.sub(r"^(\S+) \d+", r"\1", line) for line in lines)))
    return found


def asked(*how):
    return [word for name, type in NAMES for word in (name, type)] + list(how)


def test_unbound_and_named_forward_to_us(space, zone, tmp_path):
    """A question through them has the answer that we give when asked at once."""
    with served(space, 5310, zone.files):
        straight = facts(dig(space, 5310, "+noall", "+answer", "+comments", *asked()))
        assert len(straight) == len(NAMES)
        assert straight[0][0] == "NOERROR"
        assert straight[-2][0] == "NXDOMAIN"
        with unbound(space, tmp_path, 5311, forward=("127.0.0.1", 5310), ask=ORIGIN):
            assert facts(dig(space, 5311, "+noall", "+answer", "+comments", *asked())) == straight
            assert facts(dig(space, 5311, "+tcp", "+noall", "+answer", "+comments", *asked())) == straight
        with named(space, tmp_path, port=5312, forward=("127.0.0.1", 5310)):
            assert facts(dig(space, 5312, "+noall", "+answer", "+comments", *asked())) == straight


def test_unbound_validates_what_it_has_from_us(space, zone, tmp_path):
    """The signatures, and the proofs of what is not there, reach a validator behind another server."""
    anchors = zone.folder / "ds.anchor"
    dnskey = dnskey_of(zone.files[ORIGIN])
    anchors.write_text(f"{ORIGIN} IN DNSKEY {dnskey}\n")
    with (
        served(space, 5313, zone.files),
        unbound(space, tmp_path, 5314, forward=("127.0.0.1", 5313), anchor=str(anchors), ask=ORIGIN),
    ):
        for name, type in NAMES:
            got = dig(space, 5314, "+dnssec", name, type)
            assert re.search(r";; flags:[a-z ]* ad[ ;]", got), f"{name} {type}: {got}"


def dnskey_of(path):
    """Of the key-signing key."""
    with open(path) as file:
        return next(line.split("DNSKEY", 1)[1].strip() for line in file if re.search(r"\sDNSKEY\s+257\s", line))


@pytest.mark.parametrize("peer", ["nsd", "knotd", "named", "unbound"])
def test_we_forward_to_others(space, zone, tmp_path, peer):
    """UDP and TCP, answers that are cut on the way, what isn't there, and the second time from the cache."""
    port = {"nsd": 5320, "knotd": 5321, "named": 5322, "unbound": 5323}[peer]
    with contextlib.ExitStack() as stack:
        if peer == "unbound":
            stack.enter_context(nsd(space, tmp_path, zone.files, 5324))
            stack.enter_context(unbound(space, tmp_path, port, forward=("127.0.0.1", 5324), ask=ORIGIN))
        else:
            start = {"nsd": nsd, "knotd": knotd, "named": named}[peer]
            stack.enter_context(start(space, tmp_path, zone.files, port))
        straight = facts(dig(space, port, "+noall", "+answer", "+comments", *asked()))
        stack.enter_context(served(space, port + 10, forward=[f"127.0.0.1:{port}"]))
        assert facts(dig(space, port + 10, "+noall", "+answer", "+comments", *asked())) == straight
        assert facts(dig(space, port + 10, "+tcp", "+noall", "+answer", "+comments", *asked())) == straight
        assert len(straight) == len(NAMES)
        signed = dig(space, port + 10, "+dnssec", "mail.peers.example", "A")
        assert "RRSIG	A 13 3" in signed


def test_we_forward_past_a_server_that_is_dead(space, zone, tmp_path):
    with nsd(space, tmp_path, zone.files, 5340), served(space, 5341, forward=["127.0.0.1:5999", "127.0.0.1:5340"]):
        assert dig(space, 5341, "+short", "mail.peers.example") == "192.0.2.25\n"
    with served(space, 5342, forward=["127.0.0.1:5999"]):
        got = dig(space, 5342, "mail.peers.example")
        assert "status: SERVFAIL" in got
        assert "EDE: " in got


@pytest.mark.parametrize("peer", ["nsd", "knotd", "named", "unbound"])
def test_our_dig_and_theirs_see_the_same_of_every_server(space, zone, tmp_path, peer):
    port = {"nsd": 5350, "knotd": 5351, "named": 5352, "unbound": 5353}[peer]
    with contextlib.ExitStack() as stack:
        if peer == "unbound":
            stack.enter_context(nsd(space, tmp_path, zone.files, 5354))
            stack.enter_context(unbound(space, tmp_path, port, forward=("127.0.0.1", 5354), ask=ORIGIN))
        else:
            start = {"nsd": nsd, "knotd": knotd, "named": named}[peer]
            stack.enter_context(start(space, tmp_path, zone.files, port))
        for how in (["+noall", "+answer", "+comments"], ["+dnssec", "+tcp"], ["+norec", "+nocookie", "+multiline"]):
            theirs = dig(space, port, *how, *asked())
            got, status = our_dig(space, port, *how, *asked())
            assert status == 0
            assert facts(got) == facts(theirs), " ".join(how)
            assert len(facts(got)) == len(NAMES)
        got, status = our_dig(space, port, "-j", "mail.peers.example", "AAAA", "nothing.peers.example", "A")
        there, missing = map(json.loads, got.splitlines())
        assert there["responseMessage"]["answerRRs"][0]["rdataAAAA"] == "2001:db8::25"
        assert missing["responseMessage"]["RCODEname"] == "NXDOMAIN"
        assert (there["protocol"], there["port"], status) == ("UDP", port, 0)
        if peer != "unbound":
            theirs, mine = (
                ask(space, port, "axfr", "peers.example", "+nostats", "+nocmd") for ask in (dig, lambda *words: our_dig(*words)[0])
            )
            assert mine == theirs if peer != "nsd" else "Transfer failed" in mine


def test_our_dig_signs_and_verifies_as_theirs_does(space, zone, tmp_path):
    secret = "c2l4dGVlbiBvY3RldHMgb2Ygbm90aGluZw=="
    more = f'key "k.example" {{ algorithm hmac-sha256; secret "{secret}"; }};'
    (tmp_path / "k.key").write_text(more)
    signed = re.compile(r"hmac-sha256\. \d+ 300 32 \S+ \d+ NOERROR 0")

    def normal(text):
        text = re.sub(r"(Query time: |id: )\d+|(WHEN|COOKIE): .*", "", text)
        return signed.sub("signature", text).replace(f" -y hmac-sha256:k.example:{secret}", "")

    with named(space, tmp_path, zone.files, 5360, options="allow-transfer { key k.example; };", more=more):
        for how in (["mail.peers.example"], ["mail.peers.example", "+tcp", "+dnssec"], ["peers.example", "axfr"]):
            words = ["+nocmd", "-y", f"hmac-sha256:k.example:{secret}", *how]
            theirs = dig(space, 5360, *words)
            mine, status = our_dig(space, 5360, *words)
            assert signed.search(mine)
            assert (normal(mine), status) == (normal(theirs), 0)
        mine, status = our_dig(space, 5360, "peers.example", "axfr", "-k", str(tmp_path / "k.key"), "+short")
        assert "192.0.2.25" in mine
        assert "Transfer failed" in our_dig(space, 5360, "peers.example", "axfr")[0]
        wrong, status = our_dig(space, 5360, "mail.peers.example", "-y", "hmac-sha256:k.example:AAAA")
        assert "status: NOTAUTH" in wrong
        assert ";; Couldn't verify signature: the server says BADSIG to our signature" in wrong
        assert ";; WARNING -- Some TSIG could not be validated" in wrong
        assert status == 0


@pytest.mark.needs_tap
def test_our_dig_asks_over_a_stack_of_its_own(netns, zone, tmp_path):
    """The same question from the kernel's sockets and over a tap: UDP, cut and over TCP, a transfer that nsd refuses."""
    with nsd(netns, tmp_path, zone.files, 5380, "0.0.0.0"):
        how = ["@10.79.0.1", "--net", "tap:dig0?host=10.79.0.1/24&address=10.79.0.2/24"]
        for words in (["mail.peers.example", "AAAA"], ["big.peers.example", "TXT"], ["+tcp", "+dnssec", "peers.example", "MX"]):
            straight, _ = our_dig(netns, 5380, *words)
            over_tap, status = our_dig(netns, 5380, *words, *how)
            assert (facts(over_tap), status) == (facts(straight), 0)
            assert facts(straight)[0][0] == "NOERROR"
            assert "#5380(10.79.0.1)" in over_tap


@pytest.mark.needs("kdig", "openssl")
def test_dns_over_tls_with_dig_kdig_and_ours(netns, zone, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    request += ["-subj", "/CN=dns.example", "-addext", "subjectAltName=DNS:dns.example", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(request, check=True, capture_output=True)
    trusted = [f"+tls-ca={cert}", "+tls-hostname=dns.example"]
    with served(netns, 5370, zone.files, words=["--tls", str(cert), str(key)]):
        for words in (["+tls"], ["+tls", *trusted]):
            got = netns.run("dig", "@127.0.0.1", "+tries=1", *words, "big.peers.example", "TXT").stdout
            assert "ANSWER: 20," in got
            assert "#853(127.0.0.1) (TLS)" in got
            got = netns.run("kdig", "@127.0.0.1", *words, "mail.peers.example", "AAAA", "www.peers.example", "A").stdout
            assert "2001:db8::25" in got
            assert "192.0.2.25" in got
            mine, status = our_dig(netns, 853, *words, "big.peers.example", "TXT")
            assert "ANSWER: 20," in mine
            assert ("#853(127.0.0.1) (TLS)" in mine, status) == (True, 0)
        refused, status = our_dig(netns, 853, f"+tls-ca={cert}", "+tls-hostname=other.example", "+tries=1", "mail.peers.example")
        assert status == 9
        assert "Connection to 127.0.0.1#853(127.0.0.1) for mail.peers.example failed: " in refused


TREE = {
    ".": "@ 86400 SOA ns.root. h.root. 1 2 3 4 5\n@ 86400 NS ns.root.\nns.root. 86400 A 127.0.0.2\n"
    "example. 86400 NS ns.example.\nns.example. 86400 A 127.0.0.3\n",
    "example.": "@ 3600 SOA ns h 1 2 3 4 5\n@ 3600 NS ns\nns 3600 A 127.0.0.3\nns.deep 3600 A 127.0.0.4\ndeep 3600 NS ns.deep\n",
    "deep.example.": "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 127.0.0.4\nwww 60 A 192.0.2.80\n",
}
HOSTS = {".": "127.0.0.2", "example.": "127.0.0.3", "deep.example.": "127.0.0.4"}


def test_trace_walks_from_the_root_and_shows_each_referral(netns, tmp_path):
    """Three servers of others, and us, each with one zone, all on port 53 of their own addresses."""
    with contextlib.ExitStack() as stack:
        for i, (origin, text) in enumerate(TREE.items()):
            folder = tmp_path / str(i)
            folder.mkdir()
            path = folder / "zone"
            path.write_text(text)
            netns.run("ip", "addr", "add", f"{HOSTS[origin]}/32", "dev", "lo", check=True)  # named listens on no other
            start = (nsd, knotd, named)[i]
            stack.enter_context(start(netns, folder, {origin: str(path)}, 53, HOSTS[origin]))
        stack.enter_context(served(netns, 53, forward=["127.0.0.2"], words=["--listen", "127.0.0.1"]))
        got, status = our_dig(netns, 53, "+trace", "www.deep.example")
        lines = [line for line in got.splitlines() if line and not line.startswith("; <<>>")]
        assert status == 0, got
        assert [re.sub(r"Received \d+ bytes (from \S+) .*", r"\1", line) for line in lines if "Received" in line] == [
            ";; from 127.0.0.1#53(127.0.0.1)",
            ";; from 127.0.0.2#53(ns.root)",
            ";; from 127.0.0.3#53(ns.example)",
            ";; from 127.0.0.4#53(ns.deep.example)",
        ]
        records = [re.sub(r"\s+", " ", line) for line in lines if not line.startswith(";")]
        assert records == [
            ". 86400 IN NS ns.root.",
            "example. 86400 IN NS ns.example.",
            "deep.example. 3600 IN NS ns.deep.example.",
            "www.deep.example. 60 IN A 192.0.2.80",
            "deep.example. 60 IN NS ns.deep.example.",
        ]
        got, status = our_dig(netns, 53, "+nssearch", "deep.example", "@127.0.0.4")
        assert status == 0, got
        assert re.fullmatch(r"SOA ns.deep.example. h.deep.example. 1 2 3 4 5 from server ns.deep.example in \d+ ms.\n", got)
