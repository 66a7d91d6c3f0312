"""Worlds of links and routers: transfers through each shape and each fault, partitions, crashes, new routes, captures."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netstack.errors import PeerReset, UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.pcap import Decoder
from netstack.testing.net import Endpoint, Host, World
from netstack.testing.topology import chain, dumbbell, from_dict, pair, star

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(6000))  # 192,000 bytes


def transfer(world: World, a: Host, b: Host, payload: bytes = PAYLOAD, port: int = 80) -> tuple[Endpoint, Endpoint]:
    """a sends to b; the world has not run yet."""
    server = Endpoint()
    b.listen(port, lambda: server)
    return a.connect(b, port, Endpoint(payload)), server


def finish(world: World, *ends: Endpoint, limit: int = 3600 * SECOND) -> None:
    world.run(until=lambda: all(end.is_closed for end in ends), limit=limit)
    assert [end.error for end in ends] == [None] * len(ends)


LINKS = {
    "perfect": {},
    "slow": {"rate": 5_000_000, "queue": 20},
    "bursts": {"loss": 0.03, "burst": 5.0, "burst_loss": 0.6},  # of 1.0, it outlasts all 15 retransmissions once in 40 runs
    "no acknowledgements": {"back": {"ack_loss": 0.4}},
    "segments": {"drop": "3+10-14+20+20r1"},
    "reordering by five": {"reorder": 0.05, "reorder_past": 5, "hold": 100 * MILLISECOND},
    "corrupting": {"corrupt": 0.03},
    "duplicating": {"duplicate": 0.2, "jitter": 3 * MILLISECOND},
    "one-eyed": {"rate": 20_000_000, "back": {"rate": 100_000, "queue": 10}},
    "all at once": {"loss": 0.03, "burst": 2.0, "ack_loss": 0.05, "reorder": 0.05, "reorder_past": 3, "duplicate": 0.05,
                    "corrupt": 0.01, "jitter": 5 * MILLISECOND},
}  # fmt: skip


@pytest.mark.parametrize("link", LINKS)
def test_a_transfer_through_a_chain_arrives_whole_whatever_its_middle_does(link: str, seed: int) -> None:
    world = World(seed=seed, delay=2 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    world.router("r1")
    world.router("r2")
    world.link("a", "r1")
    world.link("r1", "r2", **LINKS[link])  # type: ignore[arg-type]  # as the table has them
    world.link("r2", "b")
    client, server = transfer(world, a, b)
    finish(world, client, server)
    assert server.received == PAYLOAD


def test_the_same_seed_gives_the_same_bytes_on_every_link() -> None:
    def run(seed: int) -> list[str]:
        world = World(seed=seed, delay=5 * MILLISECOND, loss=0.02, jitter=MILLISECOND, reorder=0.05, reorder_past=2)
        a, b, links = chain(world, 2)
        seen = [hashlib.sha256() for _ in links]
        for link, digest in zip(links, seen, strict=True):
            link.tamper(lambda name, frame, digest=digest: (digest.update(name.encode() + frame), frame)[1])  # type: ignore[misc]
        finish(world, *transfer(world, a, b, PAYLOAD[:50_000]))
        return [digest.hexdigest() for digest in seen]

    assert run(1) == run(1) != run(2)


STORY = """
import hashlib
from netstack.testing.net import Endpoint, World
from netstack.testing.topology import dumbbell
faults = dict(delay=3_000_000, loss=0.03, burst=2.0, jitter=2_000_000, reorder=0.03, reorder_past=3, duplicate=0.02, corrupt=0.01)
world = World(seed=9, **faults)
bell = dumbbell(world, 3, rate=5_000_000, queue=10)
digest = hashlib.sha256()
for link in world.links.values():
    link.tamper(lambda name, frame: (digest.update(f"{world.now} {name}".encode() + frame), frame)[1])
ends = []
for a, b in zip(bell.senders, bell.receivers):
    server = Endpoint(bytes(10_000))
    b.listen(80, lambda server=server: server)
    ends += [server, a.connect(b, 80, Endpoint(bytes(30_000)))]
world.run(until=lambda: all(end.is_closed for end in ends))
print(digest.hexdigest(), world.now)
"""


def test_neither_the_build_nor_the_order_of_hashes_changes_a_byte() -> None:
    told = set()
    for pure in "01":
        for hashes in "12":
            environment = {**os.environ, "NETSTACK_PURE": pure, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(ROOT)}
            run = subprocess.run([sys.executable, "-c", STORY], env=environment, capture_output=True, text=True, check=True)
            told.add(run.stdout)
    assert len(told) == 1 and len(told.pop()) > 64


def test_what_a_seed_gives_is_the_same_on_every_machine() -> None:
    """A fingerprint of dice, routes, and order; to be changed only together with what a seed means."""
    world = World(seed=5, delay=MILLISECOND, loss=0.2, burst=2.0, jitter=MILLISECOND, duplicate=0.1, reorder=0.2, reorder_past=3)
    world.router("r")
    world.router("s")
    link = world.link("r", "s")
    fates = [link.there.line.carry(bytes([n]), n * MILLISECOND) for n in range(200)]
    told = repr([([when for when, _ in arrivals], fate) for arrivals, fate in fates])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "417e673941ad8f32"


# -- shapes --------------------------------------------------------------------------------------------------------------------


def test_a_pair_needs_no_router() -> None:
    world = World(seed=1, delay=10 * MILLISECOND)
    a, b, link = pair(world, rate=10_000_000)
    client, server = transfer(world, a, b)
    finish(world, client)
    assert server.received == PAYLOAD and world.now > len(PAYLOAD) * 8 * 100 and link.there.mib.Frames > 100


def test_a_star_joins_everybody_with_everybody() -> None:
    world = World(seed=1)
    hub = star(world, "abcd", delay=MILLISECOND)
    hosts = world.hosts
    ends = []
    for n, a in enumerate(hosts):
        for m, b in enumerate(hosts):
            if a is not b:
                ends.append(transfer(world, a, b, bytes([n, m]) * 5000, port=1000 + n))
    finish(world, *(client for client, _ in ends))
    assert all(server.received == client.payload for client, server in ends) and hub.node_mib.Forwarded > 100


def test_a_host_with_two_links_takes_the_one_that_leads_on() -> None:
    world = World(seed=1)
    a, b, c = world.host("a"), world.host("b"), world.host("c")
    ab, ac = world.link("a", "b"), world.link("a", "c")
    finish(world, *transfer(world, a, b), *transfer(world, a, c))
    assert ab.there.mib.Frames > 100 and ac.there.mib.Frames > 100


def test_a_dumbbell_has_one_bottleneck() -> None:
    world = World(seed=1, delay=MILLISECOND)
    bell = dumbbell(world, 4, rate=10_000_000, queue=30, access={"rate": 100_000_000})
    ends = [end for a, b in zip(bell.senders, bell.receivers, strict=True) for end in transfer(world, a, b)]
    finish(world, *ends)
    assert bell.bottleneck.there.mib.QueueFull > 0
    assert all(way.mib.QueueFull == 0 for link in world.links.values() for way in link.ways if link is not bell.bottleneck)


def test_a_world_is_made_from_a_dictionary() -> None:
    world = from_dict({
        "seed": 7,
        "delay": "1ms",
        "hosts": {"a": "10.1.0.1", "b": ""},
        "routers": ["r"],
        "links": {"a r": "rate=10M,delay=5ms", "r b": {"there": "loss=1%", "back": "ack_loss=5%", "metric": 3, "name": "far"}},
    })  # fmt: skip
    far = world.links["far"]
    assert (far.there.faults.loss, far.there.faults.ack_loss, far.there.faults.delay) == (0.01, 0.0, MILLISECOND)
    assert (far.back.faults.loss, far.back.faults.ack_loss, far.there.metric) == (0.01, 0.05, 3)
    assert world.links["a-r"].back.faults.delay == 5 * MILLISECOND and world.seed == 7
    a, b = world.hosts
    assert str(a.address.address) == "10.1.0.1"
    client, server = transfer(world, a, b)
    finish(world, client)
    assert server.received == PAYLOAD


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"hosts": "ab", "links": {"ab": ""}}, "does not join two nodes"),
        ({"hosts": "ab", "links": {"a c": ""}}, "there is no 'c' in this world: there are a, b"),
        ({"hosts": "ab", "links": {"a b": {"hither": ""}}}, "says 'hither'"),
        ({"hosts": "ab", "links": {"a b": "los=1"}}, "'los' is not a fault"),
        ({"hosts": "aa"}, "a node 'a' in this world already"),
        ({"hosts": {"a": "10.0.0.9", "b": "10.0.0.9"}}, "10.0.0.9 is a's address already"),
        ({"hosts": "ab", "links": {"a a": ""}}, "can't be linked to itself"),
    ],
)
def test_a_wrong_description_is_refused_with_a_sentence(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        from_dict(data)


def test_a_host_that_lives_on_the_wire_can_not_be_linked_any_more() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    assert a.stack.netif in world.wire.ports
    with pytest.raises(UsageError, match="lives on the world's wire already"):
        world.link(a, b)


def test_hosts_on_the_wire_and_hosts_on_links_live_in_one_world() -> None:
    world = World(seed=2, delay=MILLISECOND)
    hosts = [world.host(name) for name in "abcd"]
    world.link("c", "d")
    finish(world, *transfer(world, hosts[0], hosts[1]), *transfer(world, hosts[2], hosts[3]))


# -- what happens in mid flow ---------------------------------------------------------------------------------------------------


def test_a_narrow_link_in_the_middle_is_found_by_its_routers_word() -> None:
    world = World(seed=1, delay=MILLISECOND)
    a, b, links = chain(world, 3)
    links[2].change(mtu=600)
    client, server = transfer(world, a, b)
    finish(world, client)
    router = world.node("r2")
    assert server.received == PAYLOAD and router.node_mib.TooBig > 0 and a.stack.tcp.ext.PmtuLowered > 0


@pytest.mark.parametrize("linked", [False, True])
def test_two_hosts_are_parted_by_name_and_nobody_else_is(linked: bool) -> None:
    world = World(seed=1, delay=5 * MILLISECOND)
    if linked:
        star(world, "abc")
    else:
        for name in "abc":
            world.host(name)
    a, b, c = world.hosts
    client, server = transfer(world, a, b)
    world.run(until=lambda: len(server.received) > 20_000)
    world.partition("a", "b")
    world.rest(SECOND)  # what was on its way has arrived
    had = len(server.received)
    finish(world, transfer(world, a, c)[0])
    world.rest(5 * SECOND)
    assert len(server.received) == had < len(PAYLOAD)
    world.heal("a", "b")
    finish(world, client)
    assert server.received == PAYLOAD


def test_groups_are_parted_and_all_is_healed_at_once() -> None:
    world = World(seed=1)
    star(world, "abcd")
    a, b, c, d = world.hosts
    world.partition(["a", "b"], [c, "d"])
    ends = {pair: transfer(world, *pair, b"x", port=n)[0] for n, pair in enumerate([(a, b), (c, d), (a, c), (b, d)], 1)}
    world.rest(2 * SECOND)
    assert [end.is_closed for end in ends.values()] == [True, True, False, False]
    world.heal()
    finish(world, *ends.values())
    with pytest.raises(UsageError, match="hub is a router"):
        world.partition("a", "hub")


def test_a_link_that_is_cut_is_a_black_hole_and_one_that_is_down_is_gone_round() -> None:
    for act, whole in (("cut", False), ("down", True)):
        world = World(seed=1, delay=MILLISECOND)
        a, b, _ = chain(world, 3)
        world.router("around")
        world.link("r1", "around")
        world.link("around", "r3", metric=5)
        client, server = transfer(world, a, b)
        world.run(until=lambda server=server: len(server.received) > 20_000)  # type: ignore[misc]  # mypy can't infer it
        if act == "cut":
            world.links["r1-r2"].cut()
        else:
            world.down("r1-r2")
        world.rest(20 * SECOND)
        assert (len(server.received) == len(PAYLOAD)) is whole, act
        assert (world.links["r1-around"].there.mib.Frames > 0) is whole
        world.links["r1-r2"].mend()
        finish(world, client)


def test_a_way_that_becomes_shorter_in_mid_flow_reorders_and_loses_nothing() -> None:
    world = World(seed=1)
    a, b, link = pair(world, rate=20_000_000, delay=50 * MILLISECOND)
    client, server = transfer(world, a, b, PAYLOAD * 4)
    world.run(until=lambda: len(server.received) > 60_000)
    link.change(delay=5 * MILLISECOND)
    finish(world, client)
    assert server.received == PAYLOAD * 4 and b.stack.tcp.ext.TCPOFOQueue > 0


@pytest.mark.parametrize("linked", [False, True])
def test_a_host_that_crashes_forgets_and_one_that_restarts_says_so(linked: bool) -> None:
    world = World(seed=1, delay=5 * MILLISECOND)
    if linked:
        star(world, "ab")
    else:
        world.host("a")
        world.host("b")
    a, b = world.hosts
    client, server = transfer(world, a, b)
    world.run(until=lambda: len(server.received) > 20_000)
    b.crash()
    b.crash()
    had = len(server.received)
    world.rest(2 * SECOND)
    assert not client.is_closed and len(server.received) == had
    b.restart()
    world.run(until=lambda: client.is_closed, limit=60 * SECOND)
    assert isinstance(client.error, PeerReset)
    again, server = transfer(world, a, b)
    finish(world, again)
    assert server.received == PAYLOAD


# -- captures --------------------------------------------------------------------------------------------------------------------


def test_every_link_leaves_a_capture_with_the_fate_of_each_datagram(tmp_path: Path) -> None:
    world = World(seed=1, delay=MILLISECOND)
    a, b, links = chain(world, 1)
    world.capture(tmp_path / "caps")
    links[1].change(drop="3")
    late = world.link("r1", world.router("r2"))
    finish(world, transfer(world, a, b, PAYLOAD[:20_000])[0])
    world.close()
    names = sorted(path.name for path in (tmp_path / "caps").iterdir())
    assert names == ["a-r1.pcapng", "r1-b.pcapng", "r1-r2.pcapng"] and late.file is None
    packets = Decoder().feed((tmp_path / "caps" / "r1-b.pcapng").read_bytes())
    assert len(packets) == sum(way.mib.Frames for way in links[1].ways)
    assert {packet.interface.name for packet in packets} == {"r1>b", "b>r1"}
    assert [packet.comment for packet in packets if packet.comment] == ["dropped: it is segment 3"]


def test_evidence_is_left_by_a_failure_and_only_then(tmp_path: Path) -> None:
    def run(directory: Path, fail: bool) -> None:
        world = World(seed=42)
        a, b, _ = pair(world)
        with world.evidence(directory):
            finish(world, transfer(world, a, b, b"x")[0])
            assert not fail

    run(tmp_path / "good", False)
    assert not (tmp_path / "good").exists()
    with pytest.raises(AssertionError) as caught:
        run(tmp_path / "bad", True)
    assert [path.name for path in (tmp_path / "bad").iterdir()] == ["a-b.pcapng"]
    assert "the seed of this world is 42" in caught.value.__notes__[0] and str(tmp_path / "bad") in caught.value.__notes__[0]
