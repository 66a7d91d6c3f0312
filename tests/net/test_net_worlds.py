"""Whole hosts on bad wires, in virtual time: what arrives is what was sent, everything ends, nothing is left behind."""

from __future__ import annotations

import hashlib

import pytest

from netstack.errors import PeerReset, Refused, TimedOut, Unreachable
from netstack.instant import MILLISECOND, SECOND
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from netstack.testing.net import Endpoint, World

PAYLOAD = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(12500))  # 400,000 bytes

WIRES = {
    "perfect": {},
    "slow": {"rate": 10_000_000, "delay": 20 * MILLISECOND},
    "lossy": {"loss": 0.03, "delay": 10 * MILLISECOND},
    "very lossy": {"loss": 0.2, "delay": 2 * MILLISECOND},
    "reordering": {"reorder": 0.2, "delay": 5 * MILLISECOND, "jitter": 3 * MILLISECOND},
    "duplicating": {"duplicate": 0.3, "delay": 1 * MILLISECOND},
    "corrupting": {"corrupt": 0.05, "delay": 1 * MILLISECOND},
    "all at once": {
        "loss": 0.05,
        "reorder": 0.1,
        "duplicate": 0.1,
        "corrupt": 0.02,
        "delay": 10 * MILLISECOND,
        "jitter": 5 * MILLISECOND,
    },
    "narrow": {"mtu": 576, "delay": 1 * MILLISECOND},
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_transfer_both_ways_arrives_whole_and_ends(wire: str, seed: int) -> None:
    world = World(seed=seed, **WIRES[wire])
    a, b = world.host("a"), world.host("b")
    server = Endpoint(PAYLOAD[::-1])
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(PAYLOAD))
    world.run(until=lambda: client.is_closed and server.is_closed, limit=3600 * SECOND)
    assert client.error is None and server.error is None
    assert bytes(server.received) == PAYLOAD
    assert bytes(client.received) == PAYLOAD[::-1]
    world.rest(200 * SECOND)  # TIME-WAIT is over
    assert list(world.connections()) == []


def test_the_same_seed_gives_the_same_packets() -> None:
    def run(seed: int) -> tuple[int, dict[str, dict[str, int]]]:
        world = World(seed=seed, loss=0.1, jitter=4 * MILLISECOND, delay=5 * MILLISECOND, reorder=0.1)
        a, b = world.host("a"), world.host("b")
        server = Endpoint()
        b.listen(80, lambda: server)
        client = a.connect(b, 80, Endpoint(PAYLOAD))
        world.run(until=lambda: client.is_closed and server.is_closed, limit=3600 * SECOND)
        return world.now, a.stack.counters()

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_many_connections_share_a_wire() -> None:
    world = World(seed=3, loss=0.01, delay=1 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    servers: list[Endpoint] = []

    def make() -> Endpoint:
        servers.append(Endpoint(b"pong" * 100))
        return servers[-1]

    b.listen(80, make, backlog=256)
    clients = [a.connect(b, 80, Endpoint(b"ping" * 1000)) for _ in range(200)]
    world.run(until=lambda: all(client.is_closed for client in clients), limit=600 * SECOND)
    assert [client.error for client in clients] == [None] * 200
    assert all(bytes(client.received) == b"pong" * 100 for client in clients)


def test_a_port_without_a_listener_refuses() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    client = a.connect(b, 81, Endpoint())
    world.run(until=lambda: client.is_closed)
    assert isinstance(client.error, Refused)


def test_a_host_that_is_not_there_times_out() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    world.wire.cut("a", "b")
    client = a.connect(b, 80, Endpoint())
    world.run(until=lambda: client.is_closed)
    assert isinstance(client.error, OSError)
    assert list(world.connections()) == []


def test_a_partition_that_heals_costs_time_and_no_bytes() -> None:
    world = World(delay=5 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(PAYLOAD))
    world.run(until=lambda: len(server.received) > 50_000)
    world.wire.cut("a", "b")
    world.rest(5 * SECOND)
    world.wire.mend("a", "b")
    world.run(until=lambda: server.is_closed and client.is_closed)
    assert bytes(server.received) == PAYLOAD


def test_a_partition_that_stays_ends_the_connection_with_a_time_out() -> None:
    world = World(delay=5 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(PAYLOAD))
    world.run(until=lambda: len(server.received) > 50_000)
    world.wire.cut("a", "b")
    world.run(until=lambda: client.is_closed, limit=3600 * SECOND)
    assert isinstance(client.error, (TimedOut, Unreachable))  # as Linux: the last soft error says more than "timed out"


def test_a_peer_that_lost_its_memory_resets() -> None:
    world = World(delay=1 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint(close=False)
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(b"x", close=False))
    world.run(until=lambda: bool(server.received))
    assert server.conn is not None and client.conn is not None
    server.conn.abort(world.now)
    world.run(until=lambda: client.is_closed)
    assert isinstance(client.error, PeerReset)


def test_a_reader_that_pauses_stops_the_writer_and_loses_nothing() -> None:
    world = World(delay=1 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    big = PAYLOAD * 5
    client = a.connect(b, 80, Endpoint(big))
    world.run(until=lambda: len(server.received) > 10_000)
    assert server.conn is not None
    server.conn.pause(world.now)
    held = len(server.received)
    world.rest(120 * SECOND)
    assert len(server.received) == held
    assert client.sent < len(big)
    server.conn.resume(world.now)
    world.run(until=lambda: server.is_closed and client.is_closed)
    assert bytes(server.received) == big


def test_what_all_connections_hold_is_bounded_and_a_reader_is_served_meanwhile() -> None:
    """Twenty users who have paused want a megabyte each; the stack holds 200,000 bytes for all, and loses none of anybody's."""
    world = World(seed=3, delay=2 * MILLISECOND)
    config = StackConfig(tcp=TcpConfig(rcv_buf=65536, memory_pressure=150_000, memory_max=200_000))
    a, b = world.host("a"), world.host("b", config=config)
    servers: list[Endpoint] = []

    def make() -> Endpoint:
        servers.append(Endpoint())
        return servers[-1]

    b.listen(80, make)
    clients = [a.connect(b, 80, Endpoint(PAYLOAD)) for _ in range(20)]
    world.run(until=lambda: len(servers) == 20)
    for server in servers:
        assert server.conn is not None
        server.conn.pause(world.now)
    world.rest(20 * SECOND)
    hub = b.stack.tcp.hub
    assert 100_000 < hub.held <= 200_000 + 20 * 2048, "a little is each connection's own"
    assert b.stack.tcp.ext.TCPRcvQDrop > 0
    reader = a.connect(b, 80, Endpoint(PAYLOAD))
    world.run(until=lambda: reader.is_closed)
    assert bytes(servers[20].received) == PAYLOAD
    for server in servers[:20]:
        assert server.conn is not None
        server.conn.resume(world.now)
    world.run(until=lambda: all(client.is_closed for client in clients))
    assert all(bytes(server.received) == PAYLOAD for server in servers)
    assert hub.held == 0


def test_a_host_that_is_down_can_be_parted_and_still_is_when_it_comes_back() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    world.settle()
    b.crash()
    world.partition(a, b)
    b.restart()
    b.listen(80, Endpoint)
    end = a.connect(b, 80, Endpoint(b"x"))
    world.rest(SECOND)
    assert end.events == []
    b.crash()
    world.heal(a, b)
    b.restart()
    b.listen(80, Endpoint)
    world.rest(10 * SECOND)
    assert end.events[0] == "connected"
