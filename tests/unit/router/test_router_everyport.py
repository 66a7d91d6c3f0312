"""Every port of the host that nobody has: `-t all`."""

import asyncio
import contextlib
import socket

import pytest
from nat_world import LOCALHOST, World, from_udp, on_loop

from netstack.address import Ip4
from netstack.errors import UsageError
from netstack.router.services import everyport
from netstack.router.services.everyport import EveryPort, candidates, reserve
from netstack.router.services.forwards import Forwards


def free(kind: socket.SocketKind, n: int) -> list[int]:
    """Ports on which nobody is."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(n)]
        for sock in socks:
            sock.bind((LOCALHOST, 0))
        return [sock.getsockname()[1] for sock in socks]


def forwards_of(world: World) -> Forwards:
    return Forwards(
        world.router.net, gateway=world.router.gateway, default_guest=lambda: Ip4.parse("10.0.2.100"), nat=world.nat
    )


@on_loop()
async def test_who_comes_first_makes_a_forward_of_a_port_and_what_is_taken_stays_taken(world: World):
    taken = world.listener().getsockname()[1]
    one, other, spared = free(socket.SOCK_STREAM, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everyport, "candidates", lambda: [taken, one, other, spared])
        forwards = forwards_of(world)
        every = EveryPort(forwards, "tcp", [range(spared, spared + 1)])
        every.open()
    assert every.ports == {one, other} and forwards.list() == []
    server = await world.guest.start_server(lambda reader, writer: writer.close(), port=one)
    for _ in range(2):
        reader, writer = await asyncio.open_connection(LOCALHOST, one)
        assert await reader.read() == b""
        writer.close()
    (row,) = forwards.list()
    assert (row.host_port, row.guest_port, row.accepted) == (one, one, 2) and every.ports == {other}
    await forwards.add("tcp", LOCALHOST, other, "", 22)  # who names a port has it
    assert every.ports == set()
    server.close()
    await forwards.aclose()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOCALHOST, one)


@on_loop()
async def test_datagrams_come_by_ports_that_nobody_has_named(world: World):
    (port,) = free(socket.SOCK_DGRAM, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everyport, "candidates", lambda: [port])
        forwards = forwards_of(world)
        EveryPort(forwards, "udp").open()
    inside = await world.guest.udp(port)
    sock = world.udp()
    sock.sendto(b"question", (LOCALHOST, port))
    data, peer = await inside.receive()
    assert data == b"question"
    await inside.send(b"answer", peer)
    assert await from_udp(sock) == (b"answer", (LOCALHOST, port))
    inside.close()
    await forwards.aclose()


@on_loop()
async def test_not_one_free_port_is_an_error_and_leaves_nothing_open(world: World):
    taken = world.listener().getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everyport, "candidates", lambda: [taken])
        forwards = forwards_of(world)
        with pytest.raises(UsageError, match="not one tcp port of the host is free"):
            EveryPort(forwards, "tcp").open()
    assert forwards.spare == {}


def test_ports_that_connections_leave_from_are_no_candidates_and_descriptors_are_left_for_flows():
    with socket.create_server((LOCALHOST, 0)) as server:
        assert server.getsockname()[1] not in candidates()
    assert 22 in candidates() and reserve(1024) == 256 and reserve(1 << 20) == len(candidates())
