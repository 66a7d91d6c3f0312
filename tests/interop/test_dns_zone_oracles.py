"""What a zone answers, beside nsd's answers and before unbound's judgement."""

import random
import sys

import pytest

from netstack.dns.authority import load
from netstack.dns.numbers import Rcode, Type
from tests.interop import zone_oracle as oracle

NSD, OURS, UNBOUND = 5300, 5301, 5302


def made(folder, rng, how):
    """A zone file, perhaps signed, the zone in it and questions."""
    (folder / "zone").write_text(oracle.random_zone(rng))
    path = folder / "zone" if how == "plain" else oracle.signed(folder, how)
    zone = load.read(path, oracle.ORIGIN)
    owners = [
        r.name
        for r in zone.records()
        if r.type != Type.NSEC3 and not (r.type == Type.RRSIG and r.rdata[:2] == Type.NSEC3.to_bytes(2, "big"))
    ]
    return path, zone, owners


def reply(zone, asked):
    owner, kind, dnssec = asked
    return zone.answer(owner, kind, dnssec).message(owner, kind)


@pytest.mark.needs("unshare", "nsd")
def test_nsd_gives_the_same_answers(netns, tmp_path, seed):
    check_with_nsd(netns, tmp_path, random.Random(seed), "plain")


@pytest.mark.needs("unshare", "nsd", "ldns-signzone", "dnssec-signzone")
@pytest.mark.parametrize("how", oracle.SIGNERS)
def test_nsd_gives_the_same_answers_and_proofs_of_a_signed_zone(netns, tmp_path, seed, how):
    check_with_nsd(netns, tmp_path, random.Random(seed), how)


def check_with_nsd(netns, folder, rng, how):
    path, zone, owners = made(folder, rng, how)
    questions = oracle.questions(rng, owners, 300)
    with oracle.running(netns, "nsd", "-d", "-c", oracle.nsd_config(folder, path, NSD)):
        theirs = oracle.ask(netns, NSD, questions)
    found = []
    for asked, answer in zip(questions, theirs, strict=True):
        ours = reply(zone, asked)
        if "opt-out" in how and any(oracle.unproven(zone, key) for key in (asked[0].lower(), *inside(ours))):
            continue
        found.append(oracle.difference(zone, asked, ours, answer))
    assert len(found) > 100
    assert not any(found), "\n".join(filter(None, found))[:5000]


def inside(message):
    origin = oracle.name.parse(oracle.ORIGIN)
    return [key for key in oracle.aliases(message) if oracle.name.under(key, origin)]


def strange(message, owners):
    """Unbound finds nsd's answers bogus as well: when aliases go round in a circle or come to a DNAME more than once, and when the
    name of a wildcard, which isn't there, is made from another wildcard."""
    renamed = [r.name.lower() for r in message.answer if r.type == Type.CNAME]
    again = any(sum(oracle.name.under(key, r.name.lower()) for key in renamed) > 1 for r in message.answer if r.type == Type.DNAME)
    circle = any(target in renamed for target in oracle.aliases(message)[-1:])
    return again or circle or any(r.name.startswith(b"\1*") and r.name not in owners for r in message.answer)


@pytest.mark.needs("unshare", "unbound", "ldns-signzone", "dnssec-signzone")
@pytest.mark.parametrize("how", ["ldns-nsec", "bind-nsec3", "ldns-opt-out"])
def test_unbound_believes_our_proofs(netns, tmp_path, seed, how):
    rng = random.Random(seed)
    path, zone, owners = made(tmp_path, rng, how)
    origin = oracle.name.parse(oracle.ORIGIN)
    questions = []
    for owner, kind, _ in oracle.questions(rng, owners, 200):
        ours = reply(zone, (owner, kind, True))
        ends = all(oracle.name.under(key, origin) for key in oracle.aliases(ours)) and len(oracle.aliases(ours)) < 8
        refers = any(r.type == Type.NS for r in ours.authority)
        refers |= owner == origin and kind == Type.DS  # unbound asks the root for that
        refers |= kind in (Type.CNAME, Type.DNAME, Type.NSEC)  # these it takes from aliases, and finds nsd's answers bogus as well
        if ends and not refers and not strange(ours, owners) and (owner, kind, True) not in questions:
            questions.append((owner, kind, True))
    with (
        oracle.running(netns, sys.executable, "-c", oracle.SERVER, str(path), str(OURS)),
        oracle.running(netns, "unbound", "-d", "-p", "-c", oracle.unbound_config(tmp_path, UNBOUND, OURS)),
    ):
        oracle.ask(netns, OURS, questions[:1])
        judged = oracle.ask(netns, UNBOUND, questions)
    secure = 0
    for asked, answer in zip(questions, judged, strict=True):
        what = f"{oracle.name.text(asked[0])} {asked[1]}"
        assert answer.rcode != Rcode.SERVFAIL, f"{what}: unbound finds it bogus"
        assert answer.rcode == reply(zone, asked).rcode, what
        secure += answer.ad
        assert answer.ad or "opt-out" in how, f"{what}: unbound can't tell that it is secure"
    assert secure > 10
