"""Floods as fast as a wire carries them, in virtual time: who gets through, and what is left of them afterwards."""

from __future__ import annotations

import random

import pytest

from netstack.instant import MILLISECOND, SECOND
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from netstack.testing.net import Endpoint, Host, World
from tests.net.attacker import tcp
from tests.net.test_net_attacks import GHOSTS, HOST, PAGE, Stage

SYN = b"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x03\x07"


def handshakes_in_a_flood(policy: str, count: int) -> tuple[Stage, list[Endpoint]]:
    """A hundred thousand SYNs a second from many neighbours, and every other millisecond somebody who means it, 5 ms away."""
    stage = Stage(TcpConfig(syn_cookies=policy), delay=5 * MILLISECOND)
    stage.attacker.answers = range(GHOSTS, GHOSTS + 100)
    host = stage.add("clients", 100)
    first = host.connect(stage.host, 80, Endpoint(b"hello", close=False))
    stage.world.run(until=lambda: first.received == PAGE)
    rng = random.Random(3)
    ends: list[Endpoint] = []

    def blow(n: int) -> None:
        for _ in range(100):
            port = rng.randrange(1024, 65536)
            stage.attacker.send(tcp(GHOSTS + rng.randrange(100), HOST, port, 80, "S", rng.getrandbits(32), options=SYN))
        if n >= 40 and n % 2 == 0 and len(ends) < count:
            ends.append(host.connect(stage.host, 80, Endpoint(b"hello", close=False)))
        stage.attacker.probe.take()

    stage.attack_while(lambda: len(ends) == count and len(ends[-1].events) > 0, blow)
    assert first.error is None and first.conn is not None
    first.conn.write(b" still here", stage.world.now)
    stage.world.rest(100 * MILLISECOND)
    assert stage.served[0].received == b"hello still here"
    return stage, ends


def test_every_handshake_survives_a_flood_of_a_hundred_thousand_syns_a_second() -> None:
    stage, ends = handshakes_in_a_flood("auto", 40)
    stage.world.run(until=lambda: all(end.received == PAGE for end in ends), limit=20 * SECOND)
    ext = stage.stack.tcp.ext
    assert ext.SyncookiesRecv == 40 and ext.SyncookiesFailed == ext.TCPReqQFullDrop == 0
    conn = ends[-1].conn
    assert conn is not None and conn.snd_wscale > 0 and conn.sack_on and conn.ts_on
    stage.world.rest(70 * SECOND)
    assert not stage.stack.tcp.hub.half and stage.stack.tcp.hub.count == 41


def test_without_cookies_it_is_one_in_three() -> None:
    """(1 - 1/1024)**1000 = 37 %: what TcpConfig says of `never`."""
    stage, ends = handshakes_in_a_flood("never", 100)
    stage.world.run(until=lambda: all(end.received == PAGE or end.error for end in ends), limit=20 * SECOND)
    lived = sum(end.received == PAGE for end in ends)
    assert stage.stack.tcp.ext.SyncookiesSent == 0
    assert 25 <= lived <= 55, lived


def meet(server: Host, clients: list[Host]) -> None:
    """Neighbours already: a request for an address is repeated twice, and all three are lost too often for a test to hold still."""
    for client in clients:
        for host, other in ((client, server), (server, client)):
            assert host.stack.arp is not None and other.stack.netif.mac is not None
            host.stack.arp.add_static(int(other.address.address), other.stack.netif.mac)


@pytest.mark.parametrize("timestamps", [True, False])
def test_by_cookies_alone_every_client_that_speaks_first_is_served_on_a_path_that_loses(timestamps: bool, seed: int) -> None:
    """One segment in twenty, those of the handshake among them, and some out of order: what stands for a lost ACK makes the
    connection, and what comes before its turn resets none. (At one in ten, a client in a hundred thousand gives up rightly: all of
    its seven SYNs are lost.)"""
    world = World(seed=seed, loss=0.05, reorder=0.1, delay=10 * MILLISECOND)
    server = world.host("server", config=StackConfig(tcp=TcpConfig(syn_cookies="always", timestamps=timestamps)))
    served: list[Endpoint] = []

    def serve() -> Endpoint:
        served.append(Endpoint(PAGE[:20_000]))
        return served[-1]

    server.listen(80, serve, backlog=1000)
    clients = [world.host(f"client {i}") for i in range(5)]
    meet(server, clients)
    question = bytes(5000)
    ends = [client.connect(server, 80, Endpoint(question)) for client in clients for _ in range(20)]
    world.run(until=lambda: all(end.is_closed for end in ends), limit=600 * SECOND)
    assert all(end.error is None and end.received == PAGE[:20_000] for end in ends)
    assert all(endpoint.received == question for endpoint in served)
    ext = server.stack.tcp.ext
    assert ext.SyncookiesRecv == len(served) and ext.SyncookiesSent >= 100
