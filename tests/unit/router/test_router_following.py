"""Forwards that follow who listens, and flows that leave from an address of one's choice."""

import asyncio
import contextlib
import os
import socket

import pytest
from nat_world import FAR, LOCALHOST, World, from_udp, on_loop, until

from netstack.address import Ip4
from netstack.cli.tapping.forwarding import automatic, every, split
from netstack.errors import UsageError
from netstack.router.flow import Flow
from netstack.router.guests.listening import listeners, listening_of
from netstack.router.nat.config import NatConfig
from netstack.router.nat.hostaddresses import outbound_address
from netstack.router.services.following import Following
from netstack.router.services.forwards import Forwards

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 6402000A:1F9A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: 6402000A:8000 0202000A:0050 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0017 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:0018 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: 0000000000000000FFFF00006402000A:0019 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_who_listens_is_read_as_the_kernel_writes_it():
    assert listeners(TCP, "0A") == {8088, 8090}  # not on loopback, not connected
    assert listeners(TCP6, "0A") == {22, 25}
    assert listeners("", "0A") == listeners("noise\n1 2\n", "0A") == set()


def test_the_sockets_of_a_process_s_own_namespace_are_seen():
    seen = listening_of(os.getpid())
    with contextlib.closing(seen), socket.create_server(("", 0)) as server, socket.create_server((LOCALHOST, 0)) as inner:
        assert server.getsockname()[1] in seen.ports("tcp")
        assert inner.getsockname()[1] not in seen.ports("tcp")
        seen.ports("udp")


@pytest.mark.parametrize(
    ("text", "excluded"),
    [
        ("auto", []),
        ("auto,~22", [range(22, 23)]),
        ("auto,~8000-8010,~22", [range(8000, 8011), range(22, 23)]),
        ("22", None),
        ("~22", None),
        ("none", None),
    ],
)
def test_what_is_automatic(text, excluded):
    assert automatic(text) == excluded
    if excluded is not None:
        assert split(text) == []


def test_all_is_every_port_and_exclusions_alone_leave_all_others():
    assert every("all") == [] and every("all,~22,~80-90") == [range(22, 23), range(80, 91)] and every("~22") == [range(22, 23)]
    assert every("22,~22") is every("auto") is every("none") is None
    assert split("all") == split("~22") == []
    with pytest.raises(UsageError, match="excludes nothing"):
        every("all,22")


@on_loop()
async def test_forwards_come_and_go_with_listeners_and_leave_alone_what_is_taken(world: World):
    guest = Ip4.parse("10.0.2.100")
    forwards = Forwards(world.router.net, gateway=world.router.gateway, default_guest=lambda: guest, nat=world.nat)
    taken = world.listener().getsockname()[1]
    with socket.create_server((LOCALHOST, 0)) as place:
        port = place.getsockname()[1]
    there = {port, taken, 22}
    follower = Following(forwards, "tcp", lambda: there, excluded=[range(20, 30)])
    await follower.look()
    assert [(row.host_addr, row.host_port, row.guest_port) for row in forwards.list()] == [(LOCALHOST, port, port)]
    server = await world.guest.start_server(lambda reader, writer: writer.close(), port=port)
    reader, writer = await asyncio.open_connection(LOCALHOST, port)
    assert await reader.read() == b""
    writer.close()
    server.close()
    there.discard(port)
    await follower.look()
    assert forwards.list() == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOCALHOST, port)
    await forwards.aclose()


@on_loop()
async def test_any_port_of_the_router_may_lead_home_but_for_those_excluded(world: World):
    forwards = Forwards(world.router.net, gateway=Ip4.parse("10.0.2.2"), nat=world.nat)
    forwards.open_out("tcp", [range(25, 26)])

    def to(port: int, proto: str = "tcp") -> object:
        flow = Flow(proto, Ip4.parse("10.0.2.100"), 1, Ip4.parse("10.0.2.2"), port, world.router.net.now())
        return said.to if (said := forwards.decide(flow)) is not None else None

    assert [to(80), to(25), to(80, "udp")] == [(LOCALHOST, 80), None, None]


@on_loop(outbound=Ip4.parse("127.0.0.5"))
async def test_flows_leave_from_the_address_that_was_chosen(world: World):
    sock = world.udp()
    peer = await world.guest.udp(remote=(FAR, sock.getsockname()[1]))
    await peer.send(b"question")
    data, (address, _) = await from_udp(sock)
    assert (data, address) == (b"question", "127.0.0.5")
    peer.close()
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        writer.close()

    world.gate.say = lambda flow: None
    world.nat.outbound = int(Ip4.parse("127.0.0.6"))
    port = await world.serve(serve)
    _, writer = await world.guest.open_connection(FAR, port)
    await until(lambda: seen)
    assert seen == [LOCALHOST]  # its loopback is reached from its loopback, whatever was chosen
    writer.close()


def test_an_address_or_an_interface_names_where_flows_leave():
    assert str(outbound_address("127.0.0.1")) == str(outbound_address("lo")) == "127.0.0.1"
    with pytest.raises(UsageError, match="no interface that has one"):
        outbound_address("eth77")
    with pytest.raises(UsageError, match="nothing can leave from"):
        outbound_address("192.0.2.77")
    assert NatConfig(outbound=Ip4.parse("127.0.0.1")).outbound is not None
