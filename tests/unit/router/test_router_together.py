"""Services and NAT on one stack that is every address: what needs both."""

import asyncio
import contextlib
import socket
import sys
import tempfile
from pathlib import Path

import netstack
from netstack.address import Cidr, Ip4
from netstack.ipv4.ipv4 import Ipv4Config
from netstack.router.gate import OpenGate
from netstack.router.nat.config import NatConfig
from netstack.router.nat.nat import Nat
from netstack.router.services.services import Services, ServicesConfig
from netstack.stack import StackConfig
from netstack.testing.wire import Wire

sys.path.insert(0, str(Path(__file__).parent.parent / "runtime"))
from forward_world import echo, free_port, unix_echo

NETWORK, GATEWAY = Cidr.parse("10.0.2.0/24"), Ip4.parse("10.0.2.2")


@contextlib.asynccontextmanager
async def a_router(**said):
    """A guest's net, the services, and the NAT."""
    wire = Wire()
    config = StackConfig(ip=Ipv4Config(any_ip=True))
    async with asyncio.timeout(20), netstack.open(wire.port("router"), addresses=["10.0.2.2/24"], config=config, seed=1) as net:
        services = Services(net, ServicesConfig.of(NETWORK, GATEWAY, **said))
        gate = OpenGate(GATEWAY)
        nat = Nat(net, services.gate(gate), NatConfig())
        nat.start()
        await services.start(nat)
        try:
            async with netstack.open(wire.port("guest"), ip="dhcp", seed=2) as guest:
                yield guest, services
        finally:
            await services.aclose()
            await nat.aclose()
            gate.close()


def test_a_guest_reaches_a_unix_socket_of_its_host_at_the_routers_address():
    async def main():
        with tempfile.TemporaryDirectory() as folder:
            server = await unix_echo(f"{folder}/pg")
            async with a_router(dns=False, outward=[f"5432:unix:{folder}/pg", f"5433:unix:{folder}/nobody"]) as (guest, services):
                stream = await guest.connect_stream("10.0.2.2", 5432)
                await stream.send_all(b"select 1")
                assert await stream.receive() == b"select 1"
                assert [flow.dst_port for flow in services.flows()] == [5432]
                await stream.aclose()
                for port in (5433, 5434):  # nobody there, and nothing forwarded: refused, before anything was accepted
                    with contextlib.suppress(netstack.Refused):
                        raise AssertionError(await guest.connect_stream("10.0.2.2", port))
            server.close()
            await server.wait_closed()

    asyncio.run(main())


def test_datagrams_of_a_guest_go_to_the_hosts_loopback_where_they_are_forwarded():
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            port = sock.getsockname()[1]
            async with a_router(dns=False, outward=[("udp", f"5300:{port}")]) as (guest, _):
                peer = await guest.udp(remote=("10.0.2.2", 5300))
                await peer.send(b"question")
                data, address = await asyncio.get_running_loop().sock_recvfrom(sock, 100)
                await asyncio.get_running_loop().sock_sendto(sock, data.upper(), address)
                assert (await peer.receive())[0] == b"QUESTION"

    asyncio.run(main())


def test_names_are_answered_on_both_addresses_though_the_stack_is_every_address():
    async def main():
        async with a_router(dns=["192.0.2.1"]) as (guest, services):
            for server in ("10.0.2.3", "10.0.2.2"):
                guest.dns = [server]
                assert (await guest.resolve("host.internal")).addresses == ["10.0.2.2"]
            assert services.dns.counters()["Door"]["Queries"] == 2

    asyncio.run(main())


def test_a_guest_sees_who_comes_by_a_forward_where_that_is_asked_for():
    async def main():
        seen = []

        async def serve(stream):
            seen.append(stream.remote_address)
            await echo(stream)

        port, packets = free_port(), free_port()
        async with a_router(dns=False, forwards=[f"{port}:22", ("udp", f"{packets}:53")], keep_source=True) as (guest, services):
            await guest.serve_streams(serve, 22)
            answers = await guest.udp(53)
            for forward in services.forwards._in.values():
                assert forward.source(("127.0.0.1", 5)) == forward.source("") == forward.source(("::1", 5, 0, 0)) == (0, 0)
                assert forward.source(("::ffff:192.0.2.9", 5, 0, 0)) == (int(Ip4.parse("192.0.2.9")), 5)
                forward.source = lambda peer: (int(Ip4.parse("192.0.2.9")), 4000)  # loopback is what a test has
            for _ in range(2):  # the second finds the port in use, and has another
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"hello")
                assert await reader.read(5) == b"hello"
                writer.close()
            assert [address for address, _ in seen] == ["192.0.2.9", "192.0.2.9"]
            assert seen[0][1] == 4000
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.connect(("127.0.0.1", packets))
                sock.send(b"question")
                data, peer = await answers.receive()
                assert (data, peer) == (b"question", ("192.0.2.9", 4000))
                (flow,) = (each for each in services.flows() if each.proto == "udp")
                assert flow.inbound and str(flow.src) == "127.0.0.1" and (flow.dst_port, flow.received) == (53, 8)
                assert flow.began <= flow.last <= guest.now() and flow in services.flows()
                await answers.send(b"answer", peer)
                assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"answer"

    asyncio.run(main())


def test_what_comes_by_a_forward_is_carried_by_the_nats_relay_with_its_ends():
    async def main():
        done = asyncio.Event()

        async def serve(stream):
            data = b""
            while piece := await stream.receive():
                data += piece
            await stream.send_all(data[::-1])  # after the client's end
            await done.wait()

        port, nobody, unix = free_port(), free_port(), tempfile.mkdtemp()
        forwards = [f"{port}:22", f"{nobody}:23", f"unix:{unix}/ssh:22"]
        async with a_router(dns=False, forwards=forwards) as (guest, services):
            await guest.serve_streams(serve, 22)
            for opening in (asyncio.open_connection("127.0.0.1", port), asyncio.open_unix_connection(f"{unix}/ssh")):
                reader, writer = await opening
                data = bytes(range(256)) * 2000
                writer.write(data)
                writer.write_eof()
                assert await reader.readexactly(len(data)) == data[::-1]
                (flow,) = services.flows()
                assert (flow.inbound, flow.state, flow.sent, flow.received) == (True, "open", len(data), len(data))
                done.set()
                assert await reader.read() == b""
                done.clear()
                writer.close()
                await writer.wait_closed()
            reader, writer = await asyncio.open_connection("127.0.0.1", nobody)
            with contextlib.suppress(ConnectionResetError):
                raise AssertionError(await reader.read())
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()
            while services.flows():
                await asyncio.sleep(0.01)
            rows = [(row.accepted, row.refused, row.open) for row in services.forwards.list()]
            assert rows == [(1, 0, 0), (1, 1, 0), (1, 0, 0)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            while not services.flows():
                await asyncio.sleep(0.01)
            await services.forwards.remove(1)  # resets what is open
            with contextlib.suppress(ConnectionResetError):
                raise AssertionError(await reader.read())
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()
            done.set()
        assert not Path(f"{unix}/ssh").exists()
        Path(unix).rmdir()

    asyncio.run(main())


def test_a_forward_whose_clients_are_many_lets_the_others_wait():
    async def main():
        port = free_port()
        async with a_router(dns=False) as (guest, services):
            await guest.serve_streams(echo, 22)
            services.forwards._limit = 2
            await services.forwards.add("tcp", "127.0.0.1", port, "", 22)
            ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            for _, writer in ends:
                writer.write(b"hi")
            assert [await reader.read(2) for reader, _ in ends[:2]] == [b"hi", b"hi"]
            assert len(services.flows()) == 2
            for reader, writer in ends:
                assert await reader.read(2) == b"hi" if (reader, writer) in ends[2:] else True
                writer.close()
                await writer.wait_closed()

    asyncio.run(main())
