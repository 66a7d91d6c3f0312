"""Congestion control in whole networks: what is in flight, idle times, two flows on one link, wires that lose."""

from __future__ import annotations

import pytest

from netstack.instant import MILLISECOND, SECOND
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from netstack.testing.net import Endpoint, World

BOTH = pytest.mark.parametrize("name", ["cubic", "reno"])
MSS = 1448  # of an Ethernet, less twelve bytes of timestamps


def config(name: str) -> StackConfig:
    return StackConfig(tcp=TcpConfig(congestion=name, rcv_buf=1 << 20, snd_high=1 << 20))


def sender(world: World, name: str, payload: bytes, close: bool = True) -> tuple[Endpoint, Endpoint]:
    """Two hosts more, and a connection between them that sends; client and server."""
    n = len(world.hosts)
    a, b = world.host(f"a{n}", config=config(name)), world.host(f"b{n}", config=config(name))
    server = Endpoint(close=close)
    b.listen(80, lambda: server)
    return a.connect(b, 80, Endpoint(payload, close=close)), server


@BOTH
@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_new_data_never_leaves_beyond_the_window(name: str, loss: float) -> None:
    """Whenever SND.MAX moves, what is in flight lies within cwnd and what duplicate ACKs allow."""
    world = World(seed=11, loss=loss, delay=10 * MILLISECOND, rate=20_000_000, queue=50)
    payload = bytes(1_500_000)
    client, server = sender(world, name, payload)
    conn = client.conn
    assert conn is not None
    last = conn.snd_max
    moved = 0

    def look() -> bool:
        nonlocal last, moved
        if conn.cc is not None and conn.snd_max != last:
            last = conn.snd_max
            moved += 1
            fin = 1
            info = conn.info()
            assert info.recovering or info.pipe <= conn.cc.cwnd + MSS + fin, "a tail loss probe may lie beyond"
        return server.is_closed and client.is_closed

    world.run(until=look)
    assert bytes(server.received) == payload and moved > 200


@BOTH
def test_the_window_restarts_after_an_idle_time(name: str) -> None:
    """RFC 5681 4.1, RFC 6928: ten segments leave after a pause, whatever the window was before it."""
    world = World(seed=1, delay=50 * MILLISECOND)
    client, server = sender(world, name, bytes(600_000), close=False)
    conn = client.conn
    assert conn is not None
    world.run(until=lambda: len(server.received) == 600_000)
    world.rest(SECOND // 2)
    grown = conn.info().cwnd
    assert grown > 50 * MSS and conn.info().in_flight == 0
    world.rest(10 * SECOND)
    conn.write(bytes(600_000), world.now)
    info = conn.info()
    assert (info.cwnd, info.in_flight) == (10 * MSS, 10 * MSS)
    assert info.ssthresh >= grown * 3 // 4, "slow start goes back to what the path carried"
    world.run(until=lambda: len(server.received) == 1_200_000)


@BOTH
def test_a_pause_within_the_rto_keeps_the_window(name: str) -> None:
    world = World(seed=1, delay=50 * MILLISECOND)
    client, server = sender(world, name, bytes(600_000), close=False)
    conn = client.conn
    assert conn is not None
    world.run(until=lambda: len(server.received) == 600_000)
    world.rest(60 * MILLISECOND)
    before = conn.info()
    assert before.in_flight == 0
    conn.write(bytes(60_000), world.now)
    assert conn.info().cwnd == before.cwnd and conn.info().in_flight == 60_000 // MSS * MSS + 60_000 % MSS


@BOTH
def test_an_application_that_trickles_does_not_save_up_a_window(name: str) -> None:
    """RFC 7661, RFC 9438 5.8."""
    world = World(seed=1, delay=20 * MILLISECOND)
    client, server = sender(world, name, bytes(1000), close=False)
    conn = client.conn
    assert conn is not None
    for i in range(200):
        world.run(until=lambda i=i: len(server.received) == 1000 * (i + 1))
        world.rest(50 * MILLISECOND)
        conn.write(bytes(1000), world.now)
    assert conn.info().cwnd == 10 * MSS


@BOTH
def test_a_transfer_over_a_lossy_wire_completes(name: str, seed: int) -> None:
    world = World(seed=seed, loss=0.03, delay=10 * MILLISECOND)
    payload = bytes(range(256)) * 2000
    client, server = sender(world, name, payload)
    world.run(until=lambda: client.is_closed and server.is_closed, limit=3600 * SECOND)
    assert client.error is None and server.error is None
    assert bytes(server.received) == payload
    assert client.conn is not None and client.conn.info().congestion == name


@BOTH
def test_two_flows_share_a_host_and_its_link(name: str) -> None:
    """Two connections behind one transmitter of 10 Mbit/s with a short queue: Jain's index of what they have got after 60 s."""
    world = World(seed=5, delay=20 * MILLISECOND, rate=10_000_000, queue=40)
    a, b = world.host("a", config=config(name)), world.host("b", config=config(name))
    servers: list[Endpoint] = []

    def make() -> Endpoint:
        servers.append(Endpoint())
        return servers[-1]

    b.listen(80, make)
    payload = bytes(100_000_000)
    a.connect(b, 80, Endpoint(payload))
    world.rest(3 * SECOND)  # the second comes late, and finds the link full
    a.connect(b, 80, Endpoint(payload))
    world.rest(10 * SECOND)
    before = [len(server.received) for server in servers]
    world.rest(60 * SECOND)
    got = [len(server.received) - had for server, had in zip(servers, before, strict=True)]
    total = sum(got)
    print(name, got, total * 8 / 60)
    assert total**2 / (2 * sum(n * n for n in got)) > 0.85
    assert total * 8 / 60 > 0.8 * 10_000_000 * 1460 / 1514, "and the link is used"
