"""The store of a zone: what it holds is what a dictionary would hold, in a few octets, through growth, garbage and snapshots."""

import random

import pytest

from netstack.dns import name
from netstack.dns.authority.denial import Circle, find_chain, order
from netstack.dns.authority.node import Set
from netstack.dns.authority.store import Store
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Record
from netstack.dns.numbers import Type

SUFFIX = b"\x07Example\0"


def random_name(rng, labels=b"abcW*"):
    return b"".join(bytes((1, rng.choice(labels))) for _ in range(rng.randrange(1, 4)))


def random_sets(rng):
    kinds = rng.sample([1, 2, 15, 16, 28, 47, 65280], rng.randrange(1, 4))
    return {
        kind: Set(
            rng.getrandbits(31),
            tuple(rng.randbytes(rng.choice([0, 1, 4, 16, 127, 128, 300])) for _ in range(rng.choice([0, 1, 1, 2, 5]))),
            tuple(rng.randbytes(rng.choice([20, 90, 20000])) for _ in range(rng.choice([0, 0, 1]))),
        )
        for kind in kinds
    }


def content(node):
    return {kind: (kept.ttl, kept.rdatas, kept.signatures) for kind, kept in node.sets.items()}


def plain(sets):
    return {kind: (kept.ttl, kept.rdatas, kept.signatures) for kind, kept in sets.items()}


def test_it_holds_what_a_dictionary_would(seed):
    rng = random.Random(seed)
    store = Store(SUFFIX)
    model = {}
    compacted = 0
    for _ in range(1500):
        owner = random_name(rng)
        key = owner.lower()
        sets = random_sets(rng) if rng.randrange(3) else {}
        garbage = store.garbage
        store.put(owner, sets)
        compacted += store.garbage < garbage - 1000
        if sets:
            model[key] = plain(sets)
        else:
            model.pop(key, None)
        there = {key[i:] for key in model for i in range(0, len(key), 2)} | {b""}  # with all that stand between
        assert store.count == len(there)
    assert compacted > 1
    for probe in there | {random_name(rng).lower() for _ in range(200)}:
        found = store.find(probe)
        assert bool(found) == (probe in there)
        if not found:
            continue
        node = store.node(found)
        assert node.name.lower() == probe + SUFFIX.lower() == store.key(found) + SUFFIX.lower()
        assert content(node) == model.get(probe, {})
        for kind in (1, 2, 47, 99):
            rdatas = model.get(probe, {}).get(kind, (0, (), ()))[1]
            kept = store.get(found, kind)
            assert (kept.rdatas if kept else ()) == rdatas and store.has(found, kind) == bool(rdatas)
    assert {node.name.lower() for node in store.nodes()} == {key + SUFFIX.lower() for key in model}


def test_a_snapshot_stays_as_it_was(seed):
    rng = random.Random(seed)
    store = Store(SUFFIX)
    for _ in range(60):
        store.put(random_name(rng), random_sets(rng))
    before = [(node.name, content(node)) for node in store.nodes()]
    reading = store.nodes()
    seen = [next(reading)]
    for _ in range(300):
        store.put(random_name(rng), random_sets(rng) if rng.randrange(2) else {})
    seen += reading
    assert [(node.name, content(node)) for node in seen] == before


def test_names_with_one_address_take_thirty_octets_besides_their_labels():
    store = Store(SUFFIX)
    for i in range(40000):
        store.put(b"\x07h%06d" % i, {1: Set(3600, (i.to_bytes(4, "big"),))})
    octets = len(store.heap) + len(store.places) + len(store.table)
    assert octets / 40000 - 8 < 35
    assert store.garbage < 100  # the apex alone was written again


def test_records_of_one_name_in_a_row_leave_no_garbage():
    zone = Zone(name.parse("example."))
    for i in range(3000):
        for kind in (1, 1, 16):
            zone.add(b"\x04%04d" % i + zone.origin, kind, 60, b"\1\2\3" + bytes((kind,)) if kind == 1 else b"\1x")
    assert zone.rrset(b"\x042999" + zone.origin, 1) is not None
    assert zone._tree.garbage < 100


@pytest.mark.parametrize(
    "wire", [b"", b"\1a", b"\1b\1a", b"\2ab", b"\1\0\1a", b"\1\1\1a", b"\2\0\1\1a", b"\1z\1\0", b"\x3f" + b"z" * 63]
)
def test_the_order_is_the_canonical_one(wire):
    others = [b"", b"\1a", b"\1b", b"\1b\1a", b"\2ab", b"\3abc", b"\1\0", b"\1\0\1a", b"\1\1\1a", b"\1\2\1a", b"\2\0\1\1a", b"\1*"]
    for other in others:
        ours = (order(wire) > order(other)) - (order(wire) < order(other))
        a, b = name.order(wire + b"\0"), name.order(other + b"\0")
        assert ours == (a > b) - (a < b)


def test_a_circle_that_is_mended_is_the_one_that_is_made_anew(seed):
    rng = random.Random(seed)
    zone = Zone(name.parse("example."))
    zone.add("@", "SOA", 60, "a b 1 2 3 4 5")
    zone.add("@", "NSEC", 60, "a NSEC")
    assert zone.chain() is not None
    mended = zone.chain().circle
    there = {}
    for step in range(300):
        owner = random_name(rng) + zone.origin
        if owner.lower() in there and rng.randrange(2):
            zone.apply([there.pop(owner.lower())], [])
        else:
            record = Record(owner, Type.NSEC, 1, 60, b"\0\0\1\2")
            zone.apply([], [record])
            there[owner.lower()] = record
        if step % 20 == 0:
            zone.add(random_name(rng) + zone.origin, 1, 60, b"\1\2\3\4")
            fresh = find_chain(zone._tree, zone._hashes)
            assert zone.chain().circle is mended and bytes(fresh.circle.ids) == bytes(mended.ids)
            assert len(mended.ids) == 4 * (len(there) + 1)


def test_a_chain_of_hashes_follows_its_parameters(seed):
    rng = random.Random(seed)
    zone = Zone(name.parse("example."))
    zone.add("@", "SOA", 60, "a b 1 2 3 4 5")
    zone.add("@", "NSEC3PARAM", 60, "1 0 2 ab")
    assert zone.chain() is None
    owners = [f"{rng.getrandbits(128):032x}" for _ in range(50)]
    for i, owner in enumerate(owners):
        zone.add(owner, "NSEC3", 60, f"1 0 2 {'ab' if i % 3 else 'cd'} {'0' * 32} A")
        assert zone.chain() is None or len(zone.chain().circle.ids) // 4 == sum(1 for j in range(i + 1) if j % 3)
    assert isinstance(zone.chain().circle, Circle)
    zone.remove(owners[1])
    assert len(zone.chain().circle.ids) // 4 == 32
    zone.remove("@", "NSEC3PARAM")
    assert zone.chain() is None
    zone.add("@", "NSEC3PARAM", 60, "1 0 2 cd")
    assert len(zone.chain().circle.ids) // 4 == 17
