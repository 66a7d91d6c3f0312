"""Authoritative answers: the RFCs' own zones and questions."""

import random

import pytest

from netstack.dns import name
from netstack.dns.authority.denial import nsec3_hash, nsec3_label
from netstack.dns.authority.zone import MOST_ALIASES, Zone
from netstack.dns.message import decode
from netstack.dns.numbers import Rcode, Type, type_number, type_text
from netstack.errors import UsageError

N = name.parse
SOA = "ns1.example. bugs.x.w.example. 1081539377 3600 300 3600000 3600"


def zone(text, origin="example."):
    found = Zone(N(origin))
    for line in text.strip().splitlines():
        owner, kind, value = line.split(None, 2)
        found.add(owner, kind, 7200, value)
    return found


def ask(z, owner, kind, dnssec=False):
    return z.answer(N(owner), type_number(kind), dnssec)


def shown(records):
    return [f"{name.text(r.name)} {type_text(r.type)}" for r in records]


# -- RFC 4592 2.2.1 -----------------------------------------------------------------------------------------------------------

WILD = zone(f"""
@ SOA {SOA}
@ NS ns.example.com.
@ NS ns.example.net.
*.example. TXT "this is a wildcard"
*.example. MX 10 host1.example.
sub.*.example. TXT "this is not a wildcard"
host1.example. A 192.0.2.1
_ssh._tcp.host1.example. SRV 0 0 22 host1
_ssh._tcp.host2.example. SRV 0 0 22 host1
subdel.example. NS ns.example.com.
subdel.example. NS ns.example.net.
""")


@pytest.mark.parametrize(
    ("owner", "kind", "answer"),
    [
        ("host3.example.", "MX", ["host3.example. MX"]),
        ("host3.example.", "A", []),
        ("foo.bar.example.", "TXT", ["foo.bar.example. TXT"]),
        ("host1.example.", "MX", []),
        ("sub.*.example.", "MX", []),
        ("host2.example.", "TXT", []),
        ("_tcp.host2.example.", "TXT", []),
    ],
)
def test_wildcards_answer_where_rfc_4592_says_so(owner, kind, answer):
    reply = ask(WILD, owner, kind)
    assert (reply.rcode, reply.aa, shown(reply.answer)) == (Rcode.NOERROR, True, answer)
    assert shown(reply.authority) == ([] if answer else ["example. SOA"])


@pytest.mark.parametrize("owner", ["_telnet._tcp.host1.example.", "ghost.*.example.", "a.b.host1.example.", "x._tcp.host2"])
def test_names_below_what_is_there_are_not_made_up(owner):
    reply = WILD.answer(N(owner, N("example.")), Type.MX)
    assert (reply.rcode, reply.answer, shown(reply.authority)) == (Rcode.NXDOMAIN, [], ["example. SOA"])
    assert reply.authority[0].ttl == 3600  # RFC 2308 3: the lesser of the TTL and the minimum


@pytest.mark.parametrize("owner", ["subdel.example.", "host.subdel.example.", "a.b.SUBDEL.example."])
def test_below_a_delegation_others_answer(owner):
    reply = ask(WILD, owner, "A")
    assert (reply.rcode, reply.aa, reply.answer, reply.glue) == (Rcode.NOERROR, False, [], False)
    assert shown(reply.authority) == ["subdel.example. NS"] * 2


# -- aliases ------------------------------------------------------------------------------------------------------------------

MAZE = zone(f"""
@ SOA {SOA}
@ NS ns1
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
www CNAME web
web CNAME host
host A 192.0.2.2
out CNAME elsewhere.test.
lost CNAME nowhere
empty CNAME a.b
x.a.b TXT x
loop1 CNAME loop2
loop2 CNAME loop1
alone CNAME alone
to CNAME loop1
grows DNAME a.grows
back DNAME @
*.wild CNAME host
cut NS ns.cut
ns.cut A 192.0.2.9
into CNAME deep.cut
tree DNAME host
host.tree2 TXT x
tree2 DNAME other.test.
tree3 DNAME a.long.name.of.another.test.
mail MX 10 ns1
srv SRV 0 0 1 host
""")


def test_aliases_are_followed_inside_of_the_zone():
    reply = ask(MAZE, "WWW.example.", "A")
    assert shown(reply.answer) == ["WWW.example. CNAME", "web.example. CNAME", "host.example. A"] and reply.aa
    assert shown(ask(MAZE, "www.example.", "CNAME").answer) == ["www.example. CNAME"]
    assert shown(ask(MAZE, "out.example.", "A").answer) == ["out.example. CNAME"]
    assert shown(ask(MAZE, "a.wild.example.", "A").answer) == ["a.wild.example. CNAME", "host.example. A"]


def test_the_end_of_a_chain_gives_the_rcode():
    lost = ask(MAZE, "lost.example.", "A")
    assert (lost.rcode, shown(lost.answer), shown(lost.authority)) == (Rcode.NXDOMAIN, ["lost.example. CNAME"], ["example. SOA"])
    empty = ask(MAZE, "empty.example.", "A")
    assert (empty.rcode, shown(empty.authority)) == (Rcode.NOERROR, ["example. SOA"])
    into = ask(MAZE, "into.example.", "A")
    assert (into.rcode, into.aa, into.glue, shown(into.authority)) == (Rcode.NOERROR, True, True, ["cut.example. NS"])
    assert shown(into.additional) == ["ns.cut.example. A"]


def test_a_circle_of_aliases_is_gone_round_once():
    assert shown(ask(MAZE, "LOOP1.example.", "A").answer) == ["LOOP1.example. CNAME", "loop2.example. CNAME"]
    assert shown(ask(MAZE, "alone.example.", "A").answer) == ["alone.example. CNAME"]
    assert shown(ask(MAZE, "to.example.", "A").answer) == ["to.example. CNAME", "loop1.example. CNAME", "loop2.example. CNAME"]


def test_a_maze_of_aliases_ends():
    reply = ask(MAZE, "x.grows.example.", "A")
    assert shown(reply.answer)[:3] == ["grows.example. DNAME", "x.grows.example. CNAME", "x.a.grows.example. CNAME"]
    assert len(reply.answer) == 1 + MOST_ALIASES + 1


def test_a_dname_that_is_met_twice_is_said_once():
    reply = ask(MAZE, "x.back.back.example.", "A")
    assert shown(reply.answer) == ["back.example. DNAME", "x.back.back.example. CNAME", "x.back.example. CNAME"]
    assert (reply.answer[2].rdata, reply.rcode) == (N("x.example."), Rcode.NXDOMAIN)


def test_what_is_below_a_dname_is_renamed_and_itself_is_not():
    reply = ask(MAZE, "ns1.tree.example.", "A")
    assert shown(reply.answer) == ["tree.example. DNAME", "ns1.tree.example. CNAME"] and reply.rcode == Rcode.NXDOMAIN
    assert reply.answer[1].rdata == N("ns1.host.example.")
    assert shown(ask(MAZE, "tree.example.", "DNAME").answer) == ["tree.example. DNAME"]
    assert shown(ask(MAZE, "tree.example.", "A").authority) == ["example. SOA"]
    assert ask(MAZE, "a.b.tree2.example.", "A").answer[1].rdata == N("a.b.other.test.")
    assert shown(ask(MAZE, "host.tree2.example.", "TXT").answer)[0] == "tree2.example. DNAME"  # what is below is out of sight
    long = b"\x3f" + b"a" * 63
    reply = MAZE.answer(long * 3 + b"\x2c" + b"b" * 44 + N("tree3.example."), 1)
    assert (reply.rcode, shown(reply.answer)) == (Rcode.YXDOMAIN, ["tree3.example. DNAME"])


def test_addresses_come_along():
    assert shown(ask(MAZE, "mail.example.", "MX").additional) == ["ns1.example. A", "ns1.example. AAAA"]
    assert shown(ask(MAZE, "srv.example.", "SRV").additional) == ["host.example. A"]
    assert shown(ask(MAZE, "example.", "NS").additional) == ["ns1.example. A", "ns1.example. AAAA"]


def test_any_is_answered_with_one_set():
    assert shown(ask(MAZE, "ns1.example.", "ANY").answer) == ["ns1.example. A"]
    assert shown(ask(MAZE, "www.example.", "ANY").answer) == ["www.example. CNAME"]


def test_outside_and_without_soa_there_is_no_answer():
    assert ask(MAZE, "example.org.", "A").rcode == Rcode.REFUSED
    assert ask(MAZE, "badexample.", "A").rcode == Rcode.REFUSED
    assert Zone(N("a.")).answer(N("a."), 1).rcode == Rcode.SERVFAIL


@pytest.mark.parametrize(
    ("owner", "kind", "value", "words"),
    [
        ("a.test.", "A", "192.0.2.1", "not in the zone"),
        ("www", "A", "192.0.2.1", "stands alone"),
        ("host", "CNAME", "www", "stands alone"),
        ("www", "CNAME", "ns1", "has a CNAME already"),
        ("tree", "DNAME", "ns1", "has a DNAME already"),
        ("@", "SOA", SOA.replace("3600", "60"), "has a SOA already"),
        ("ns1", "SOA", SOA, "apex"),
        ("ns1", "A", b"\1\2\3", "A data"),
    ],
)
def test_what_cannot_stand_together_is_refused(owner, kind, value, words):
    with pytest.raises(UsageError, match=words):
        MAZE.add(owner, kind, 60, value)


def test_a_reply_becomes_a_message():
    m = decode(ask(MAZE, "mail.example.", "MX").message(N("mail.example."), Type.MX, 7, 0x0100).encode())
    assert (m.id, m.qr, m.aa, m.rd, m.rcode) == (7, True, True, True, 0) and len(m.additional) == 2


# -- signed zones: RFC 4035 A and B, RFC 5155 A and B (with signatures that only say what they sign) ----------------------------

COMMON = f"""
@ SOA {SOA}
@ NS ns1
@ NS ns2
@ MX 1 xx
a NS ns1.a
a NS ns2.a
a DS 57855 5 1 B6DCD485719ADCA18E5F3D48A2331627FDD3636B
ns1.a A 192.0.2.5
ns2.a A 192.0.2.6
ai A 192.0.2.9
ai HINFO "KLH-10" "ITS"
ai AAAA 2001:db8::f00:baa9
ns1 A 192.0.2.1
ns2 A 192.0.2.2
*.w MX 1 ai
x.w MX 1 xx
x.y.w MX 1 xx
xx A 192.0.2.10
xx HINFO "KLH-10" "TOPS-20"
xx AAAA 2001:db8::f00:baaa
"""


def sign(z, owner, kind):
    z.add(owner, "RRSIG", 7200, f"{kind} 5 3 3600 20040509183619 20040409183619 38519 example. AAAA")


def signed_with_nsec():
    z = zone(COMMON + "b NS ns1.b\nb NS ns2.b\nns1.b A 192.0.2.7\nns2.b A 192.0.2.8\n")
    chain = ["@", "a", "ai", "b", "ns1", "ns2", "*.w", "x.w", "x.y.w", "xx"]
    for owner, following in zip(chain, [*chain[1:], "@"], strict=True):
        z.add(owner, "NSEC", 3600, f"{following} RRSIG NSEC")
        sign(z, owner, "NSEC")
    for said in ("@ SOA", "@ NS", "@ MX", "ns1 A", "*.w MX", "a DS", "ai A", "ai AAAA"):
        sign(z, *said.split())
    return z


HASHES = {  # RFC 5155 A
    "example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi",
    "ns1.example.": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "ns2.example.": "q04jkcevqvmu85r014c7dkba38o0ji5r",
    "w.example.": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "x.w.example.": "b4um86eghhds6nea196smvmlo4ors995",
    "y.w.example.": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
    "x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
}


def signed_with_nsec3():
    z = zone(
        COMMON + "c NS ns1.c\nc NS ns2.c\nns1.c A 192.0.2.7\nns2.c A 192.0.2.8\n"
        "2t7b4g4vsa5smi47k61mv5bv1a22bojr A 192.0.2.127\n@ NSEC3PARAM 1 0 12 aabbccdd\n"
    )
    chain = sorted(HASHES.values())
    for owner, following in zip(chain, [*chain[1:], chain[0]], strict=True):
        z.add(owner, "NSEC3", 3600, f"1 1 12 aabbccdd {following} RRSIG")
        sign(z, owner, "NSEC3")
    return z


def test_hashes_are_those_of_rfc_5155():
    for owner, label in HASHES.items():
        assert nsec3_label(nsec3_hash(N(owner), bytes.fromhex("aabbccdd"), 12)) == b"\x20" + label.encode()


NSEC = signed_with_nsec()
NSEC3 = signed_with_nsec3()


def proofs(reply, kind):
    """Owners of the proofs, without the zone; each must come with its signature."""
    owners = [name.text(r.name).removesuffix("example.").rstrip(".") for r in reply.authority if r.type == type_number(kind)]
    signed = [r for r in reply.authority if r.type == Type.RRSIG and r.rdata[:2] == type_number(kind).to_bytes(2, "big")]
    assert len(signed) == len(owners) == len(set(owners))
    return set(owners)


@pytest.mark.parametrize(
    ("owner", "kind", "rcode", "answer", "proof"),
    [
        ("x.w", "MX", 0, ["x.w.example. MX"], set()),  # B.1
        ("ml", "A", 3, [], {"b", ""}),  # B.2
        ("ns1", "MX", 0, [], {"ns1"}),  # B.3
        ("mc.a", "MX", 0, [], set()),  # B.4
        ("mc.b", "MX", 0, [], {"b"}),  # B.5
        ("a.z.w", "MX", 0, ["a.z.w.example. MX", "a.z.w.example. RRSIG"], {"x.y.w"}),  # B.6
        ("a.z.w", "AAAA", 0, [], {"x.y.w", "*.w"}),  # B.7
        ("", "DS", 0, [], {""}),  # B.8
        ("y.w", "A", 0, [], {"x.w"}),  # an empty non-terminal: the record that spans it
        ("w", "A", 0, [], {"ns2"}),
        ("zz", "A", 3, [], {"xx", ""}),
        ("b", "DS", 0, [], {"b"}),
        ("ns1", "NSEC", 0, ["ns1.example. NSEC", "ns1.example. RRSIG"], set()),
    ],
)
def test_nsec_proves_what_rfc_4035_b_shows(owner, kind, rcode, answer, proof):
    reply = NSEC.answer(N(owner or "@", N("example.")), type_number(kind), True)
    assert (reply.rcode, shown(reply.answer), proofs(reply, "NSEC")) == (rcode, answer, proof)
    plain = NSEC.answer(N(owner or "@", N("example.")), type_number(kind))
    assert not any(r.type in (Type.RRSIG, Type.NSEC) and kind != "NSEC" for r in (*plain.answer, *plain.authority))
    if owner == "mc.a":
        assert shown(reply.authority) == ["a.example. NS"] * 2 + ["a.example. DS", "a.example. RRSIG"]
        assert shown(reply.additional) == ["ns1.a.example. A", "ns2.a.example. A"]


def hashed(*owners):
    return {HASHES[owner] for owner in owners}


@pytest.mark.parametrize(
    ("owner", "kind", "rcode", "proof"),
    [
        ("a.c.x.w", "A", 3, hashed("example.", "x.w.example.", "a.example.")),  # B.1
        ("ns1", "MX", 0, hashed("ns1.example.")),  # B.2
        ("y.w", "A", 0, hashed("y.w.example.")),  # B.2.1
        ("mc.c", "MX", 0, hashed("a.example.", "example.")),  # B.3, opt-out
        ("a.z.w", "MX", 0, hashed("ns2.example.")),  # B.4
        ("a.z.w", "AAAA", 0, hashed("w.example.", "ns2.example.", "*.w.example.")),  # B.5
        ("", "DS", 0, hashed("example.")),  # B.6
        ("c", "DS", 0, hashed("a.example.", "example.")),  # RFC 5155 7.2.4: an opt-out span
        ("mc.a", "MX", 0, set()),
    ],
)
def test_nsec3_proves_what_rfc_5155_b_shows(owner, kind, rcode, proof):
    reply = NSEC3.answer(N(owner or "@", N("example.")), type_number(kind), True)
    assert (reply.rcode, proofs(reply, "NSEC3")) == (rcode, proof)


def test_the_owner_of_an_nsec3_record_is_no_name():
    """RFC 5155 7.2.8: H(ns1) is also a name of this zone, with an address; H(example) is none."""
    assert ask(NSEC3, HASHES["ns1.example."] + ".example.", "A").answer
    assert not ask(NSEC3, HASHES["ns1.example."] + ".example.", "NSEC3").answer
    assert ask(NSEC3, HASHES["example."] + ".example.", "NSEC3").rcode == Rcode.NXDOMAIN


def test_a_zone_that_changes_proves_what_it_is():
    z = signed_with_nsec()
    assert proofs(ask(z, "ml.example.", "A", True), "NSEC") == {"b", ""}
    z.add("m", "NSEC", 3600, "ns1 NSEC")
    sign(z, "m", "NSEC")
    assert proofs(ask(z, "ml.example.", "A", True), "NSEC") == {"m", ""}
    assert proofs(ask(z, "la.example.", "A", True), "NSEC") == {"b", ""}


def test_random_questions_get_lawful_answers(seed):
    rng = random.Random(seed)
    labels = ["a", "b", "w", "x", "y", "*", "ns1", "xx", "tree", "cut", "www", "wild", "zz", "ns", "c", "host"]
    for z in (WILD, MAZE, NSEC, NSEC3):
        for _ in range(400):
            owner = ".".join([*rng.choices(labels, k=rng.randrange(0, 5)), "example."])
            kind = rng.choice([1, 2, 5, 6, 15, 16, 28, 39, 43, 47, 255])
            reply = z.answer(N(owner), kind, bool(rng.randrange(2)))
            assert reply.rcode in (0, 3)
            m = reply.message(N(owner), kind)
            got = decode(m.encode())
            assert (got.answer, got.authority, got.additional) == (m.answer, m.authority, m.additional)
            if not reply.answer:
                assert shown(reply.authority)[0].split()[1] in ("SOA", "NS")
            assert (reply.rcode == 3) <= ("SOA" in {type_text(r.type) for r in reply.authority})
