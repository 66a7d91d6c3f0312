"""Routers of a world, on literal datagrams: what they forward, what they answer, what they refuse; and the ways they choose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netstack.address import Cidr
from netstack.checksum import checksum
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World
from netstack.testing.nodes import Node
from netstack.testing.router import Router
from tests.net.attacker import DF, icmp, ip4, udp

A, B, R = 0x0A000001, 0x0A000002, 0x0AFF0001


class End(Node):
    """A node without a stack: keeps what arrives."""

    def take(self) -> list[bytes]:
        return self.inbox.take(3600 * SECOND, 1000)


class Bench:
    """a - r - b, with nobody at the ends."""

    def __init__(self, **far: object) -> None:
        self.world = World(seed=1)
        self.a = self._end("a", "10.0.0.1")
        self.b = self._end("b", "10.0.0.2")
        self.router = self.world.router("r")
        self.near = self.world.link("a", "r")
        self.far = self.world.link("r", "b", **far)  # type: ignore[arg-type]  # as a test writes them

    def _end(self, name: str, address: str) -> End:
        end = End(name, len(self.world.nodes), Cidr.parse(address).address)
        self.world.nodes[name] = end
        return end

    def send(self, datagram: bytes) -> tuple[list[bytes], list[bytes]]:
        """From a to the router; what a and b have got afterwards."""
        self.near.there.carry(datagram, self.world.now)
        self.world.rest(SECOND)
        return self.a.take(), self.b.take()


def test_a_datagram_goes_on_with_one_hop_less() -> None:
    bench = Bench()
    back, on = bench.send(udp(A, B, 1, 2, b"hello"))
    assert back == [] and len(on) == 1
    sent = udp(A, B, 1, 2, b"hello")
    assert on[0][8] == sent[8] - 1 and checksum(on[0][:20]) == 0
    assert on[0][:8] + on[0][9:10] + on[0][12:] == sent[:8] + sent[9:10] + sent[12:]
    assert bench.router.node_mib.snapshot() == bench.router.node_mib.snapshot() | {"Forwarded": 1, "Errors": 0}


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_datagram_without_hops_left_is_reported(ttl: int) -> None:
    bench = Bench()
    sent = ip4(A, B, 17, b"x" * 100, ttl=ttl)
    (error,), on = bench.send(sent)
    assert on == [] and bench.router.node_mib.TimeExceeded == 1
    assert error[12:20] == R.to_bytes(4, "big") + A.to_bytes(4, "big") and checksum(error[:20]) == 0
    assert error[20:22] == b"\x0b\0" and checksum(error[20:]) == 0 and error[28:] == sent


def test_a_destination_without_a_way_is_reported() -> None:
    bench = Bench()
    (error,), _ = bench.send(udp(A, 0x08080808, 1, 2, b""))
    assert error[20:22] == b"\x03\0" and bench.router.node_mib.NoRoute == 1


def test_what_must_not_be_cut_is_refused_with_the_mtu_that_would_do() -> None:
    bench = Bench(mtu=576)
    (error,), on = bench.send(ip4(A, B, 6, bytes(1000), frag=DF))
    assert on == [] and error[20:22] == b"\x03\x04" and error[26:28] == (576).to_bytes(2, "big")
    assert len(error) == 576 and bench.router.node_mib.TooBig == 1


def test_what_may_be_cut_is_cut_at_multiples_of_eight() -> None:
    bench = Bench(mtu=100)
    payload = bytes(range(200))
    back, on = bench.send(ip4(A, B, 17, payload, ident=7))
    assert back == [] and [len(piece) for piece in on] == [100, 100, 60]
    assert [int.from_bytes(piece[6:8], "big") for piece in on] == [0x2000, 0x2000 | 10, 20]
    assert all(checksum(piece[:20]) == 0 and piece[4:6] == b"\0\7" for piece in on)
    assert b"".join(piece[20:] for piece in on) == payload


def test_a_fragment_that_is_cut_again_stays_in_its_place() -> None:
    bench = Bench(mtu=60)
    _, on = bench.send(ip4(A, B, 17, bytes(72), frag=0x2000 | 100))
    assert [int.from_bytes(piece[6:8], "big") for piece in on] == [0x2000 | 100, 0x2000 | 105]


def test_an_echo_request_to_the_router_is_answered() -> None:
    bench = Bench()
    (answer,), _ = bench.send(icmp(A, R, 8, 0, 0x00010002, b"data"))
    assert answer[20:22] == b"\0\0" and answer[24:] == b"\0\1\0\2data" and checksum(answer[20:]) == 0
    assert bench.send(udp(A, R, 1, 2, b"")) == ([], []) and bench.router.node_mib.Local == 2


@pytest.mark.parametrize(
    "datagram",
    [b"", bytes(20), ip4(A, B, 17, b"x")[:19], b"\x55" + ip4(A, B, 17, b"x")[1:], ip4(A, B, 17, b"x")[:-1],
     ip4(A, B, 17, b"x")[:10] + b"\0\0" + ip4(A, B, 17, b"x")[12:]],
)  # fmt: skip
def test_what_is_no_datagram_is_dropped(datagram: bytes) -> None:
    bench = Bench()
    assert bench.send(datagram) == ([], []) and bench.router.node_mib.BadHeader == 1


def test_broadcasts_and_multicasts_stay_on_their_link() -> None:
    bench = Bench()
    assert bench.send(udp(A, 0xFFFFFFFF, 1, 2, b"")) == ([], [])
    assert bench.send(udp(A, 0xE0000005, 1, 2, b"")) == ([], [])
    assert bench.router.node_mib.NotForwarded == 2


@pytest.mark.parametrize(
    "datagram",
    [icmp(A, 0x08080808, 3, 0, 0), icmp(A, 0x08080808, 11, 0, 0), ip4(A, 0x08080808, 17, b"x", frag=1),
     udp(0, 0x08080808, 1, 2, b""), udp(0xE0000001, 0x08080808, 1, 2, b""), ip4(A, 0x08080808, 1, b"")],
)  # fmt: skip
def test_no_error_is_sent_about_an_error_a_later_fragment_or_nobody(datagram: bytes) -> None:
    bench = Bench()
    assert bench.send(datagram) == ([], []) and bench.router.node_mib.Errors == 0


# -- which way -----------------------------------------------------------------------------------------------------------------


def diamond() -> World:
    """a - r1 - (r2 | r3) - r4 - b"""
    world = World()
    for name in ("a", "b"):
        world.host(name)
    for n in range(1, 5):
        world.router(f"r{n}")
    for ends in ("a r1", "r1 r2", "r2 r4", "r1 r3", "r3 r4", "r4 b"):
        world.link(*ends.split())
    return world


def path(world: World, a: str, b: str) -> str:
    node, target = world.node(a), world.node(b)
    names = [node.name]
    while node is not target:
        way = node.way_to(target.ip)
        if way is None:
            return " ".join([*names, "?"])
        node = way.target
        names.append(node.name)
    return " ".join(names)


def changed(act: Callable[[World], object]) -> str:
    world = diamond()
    act(world)
    world.reroute()
    return path(world, "a", "b")


def test_of_equal_paths_the_older_nodes_win_and_metrics_and_downs_move_them() -> None:
    assert path(diamond(), "a", "b") == "a r1 r2 r4 b"
    assert path(diamond(), "b", "a") == "b r4 r2 r1 a"
    assert changed(lambda world: setattr(world.links["r2-r4"].there, "metric", 5)) == "a r1 r3 r4 b"
    assert changed(lambda world: world.down("r1-r2")) == "a r1 r3 r4 b"
    assert changed(lambda world: world.links["r1-r2"].cut()) == "a r1 r2 r4 b"
    assert changed(lambda world: (world.down("r1-r2"), world.up("r1-r2"))) == "a r1 r2 r4 b"
    assert changed(lambda world: world.link("r1", "r4")) == "a r1 r4 b"
    assert changed(lambda world: world.link("r1", "r4", metric=2)) == "a r1 r4 b", "as long, but fewer links"
    assert changed(lambda world: world.down("r4-b")) == "a ?"


def test_hosts_forward_nothing() -> None:
    world = World()
    for name in "abc":
        world.host(name)
    world.link("a", "b")
    world.link("b", "c")
    assert path(world, "a", "c") == "a ?" and path(world, "b", "c") == "b c"


def test_the_longest_prefix_wins_and_what_is_written_by_hand_wins_over_what_is_found() -> None:
    world = diamond()
    r2, r3 = world.node("r2"), world.node("r3")
    r3.own("192.168.0.0/16")
    r2.own("192.168.7.0/24")
    world.reroute()
    r1 = world.node("r1")
    assert isinstance(r1, Router)

    def way(dst: int) -> str:
        found = r1.way_to(dst)
        return found.name if found else "?"

    assert [way(dst) for dst in (0xC0A80801, 0xC0A80701, 0xC0A90001)] == ["r1>r3", "r1>r2", "?"]
    r1.route("192.168.7.9", world.links["r1-r3"])
    assert [way(dst) for dst in (0xC0A80709, 0xC0A80701)] == ["r1>r3", "r1>r2"]
    r1.route("192.168.7.9", None)
    assert way(0xC0A80709) == "r1>r2"


def test_links_have_their_own_dice() -> None:
    """One link more does not change what befalls the others."""

    def fates(extra: bool) -> list[bool]:
        world = World(seed=3)
        for name in "abc":
            world.router(name)
        if extra:
            world.link("a", "c", loss=0.5)
        link = world.link("a", "b", loss=0.5)
        return [bool(link.there.line.carry(b"x", n * MILLISECOND)[0]) for n in range(64)]

    assert fates(False) == fates(True) != [True] * 64
