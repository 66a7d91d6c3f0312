"""A whole router, its guests on sockets in this process: leases, names, flows and the switch know of each other."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from netstack_qemu import QemuStream, open_door

import netstack
from netstack.address import Cidr, Ip4, Mac
from netstack.errors import NetstackError
from netstack.router.guests.hub import Switch
from netstack.router.household import Household
from netstack.router.policy.policy import Policy
from netstack.router.services.services import ServicesConfig

NETWORK = Cidr.parse("10.0.2.0/24")
GATEWAY = Ip4.parse("10.0.2.2")


@asynccontextmanager
async def household(folder: Path, strict: bool) -> AsyncIterator[tuple[Household, Switch, QemuStream, QemuStream]]:
    pairs = [socket.socketpair() for _ in range(2)]
    switch = Switch({name: QemuStream.from_socket(pair[0]) for name, pair in zip("ab", pairs, strict=True)}, strict=strict)
    switch.open_door(open_door(str(folder / "door"), {"guests": "1"}))  # a switch that nobody can come to ends with its last guest
    ends = [
        QemuStream.from_socket(pair[1], name=name, mac=Mac.parse(f"02:00:00:00:00:0{name}"))
        for name, pair in zip("ab", pairs, strict=True)
    ]
    config = ServicesConfig(network=NETWORK, gateway=GATEWAY, dns=Ip4.parse("10.0.2.3"), hosts={"home.test": "10.0.2.2"})
    house = Household(switch, config, Policy(network=NETWORK, gateway=GATEWAY, loopback=True))
    async with house:
        yield house, switch, *ends


async def home() -> tuple[asyncio.Server, int]:
    """A server on the host's loopback."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_a_leased_address_is_its_guests_alone(tmp_path):
    async def main() -> None:
        server, port = await home()
        async with household(tmp_path, strict=True) as (house, switch, a, b), netstack.open(a, ip="dhcp") as guest:
            leased = Ip4.parse(guest.addresses[0].partition("/")[0])
            assert str(leased) == "10.0.2.100" and switch.guest_of(int(leased)) == "a"
            reader, writer = await guest.open_connection("10.0.2.2", port)
            assert {flow.guest for flow in house.flows()} == {"a"}
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hello"
            writer.close()
            # the other one has no lease, and takes that address by itself
            async with netstack.open(b, addresses=[f"{leased}/24"]) as thief:
                with pytest.raises((NetstackError, OSError, TimeoutError)):
                    async with asyncio.timeout(0.1):
                        await thief.open_connection("10.0.2.2", port)
                assert switch.port("b").mib.InSpoofedArp > 0
            assert switch.guest_of(int(leased)) == "a"
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_guests_reach_each_other_and_the_names_that_the_router_knows(tmp_path):
    async def main() -> None:
        async with (
            household(tmp_path, strict=False) as (house, switch, a, b),
            netstack.open(a, ip="dhcp") as one,
            netstack.open(b, ip="dhcp") as two,
        ):
            assert await one.ping(two.addresses[0].partition("/")[0]) is not None
            one.dns = ["10.0.2.3"]
            found = await one.getaddrinfo("home.test", 80)
            assert found[0][4][0] == "10.0.2.2"
            assert {port.name for port in switch.ports if port.mib.InForwarded} == {"a", "b"}
            assert house.counters()["Guest a"]["InForwarded"] >= 1

    asyncio.run(main())
