"""netstack.Router as its users have it: guests on sockets in memory, servers on the host's loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from netstack_qemu import QemuStream

import netstack
from netstack.errors import ClosedError, Refused, UsageError


@asynccontextmanager
async def greeter() -> AsyncIterator[int]:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello " + await reader.read(100))
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def ask(net: netstack.Net, port: int) -> bytes:
    reader, writer = await net.open_connection("10.0.2.2", port)
    writer.write(b"you")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_two_guests_are_told_apart_by_rules_and_each_denial_is_an_event():
    async def main() -> None:
        near, far = socket.socketpair(), socket.socketpair()
        router = netstack.Router(
            {"good": QemuStream.from_socket(near[0]), "bad": QemuStream.from_socket(far[0])}, default="deny", dns=False
        )
        denials = []
        router.on_denied(denials.append)
        async with greeter() as port, router:
            router.allow(f"10.0.2.2:{port}@good")
            a = QemuStream.from_socket(near[1], mac=netstack.Mac.parse("02:00:00:00:00:0a"))
            b = QemuStream.from_socket(far[1], mac=netstack.Mac.parse("02:00:00:00:00:0b"))
            async with netstack.open(a, ip="dhcp") as good, netstack.open(b, ip="dhcp") as bad:
                assert await ask(good, port) == b"hello you"
                with pytest.raises(Refused):
                    await ask(bad, port)
        assert [(denial.guest, denial.dst_port) for denial in denials] == [("bad", port)]
        with pytest.raises(ClosedError, match="not at work"):
            router.flows()

    asyncio.run(main())


def test_a_coroutine_decides_and_a_forward_leads_back(tmp_path):
    async def main() -> None:
        near, far = socket.socketpair()
        router = netstack.Router(QemuStream.from_socket(near), dns=False)

        @router.on_flow
        async def decide(flow):
            await asyncio.sleep(0)
            return False if flow.dst_port == 9 else None

        async with greeter() as port, router:
            router.allow(f"10.0.2.2:{port}")
            async with netstack.open(QemuStream.from_socket(far, mac=netstack.Mac.parse("02:00:00:00:00:0a")), ip="dhcp") as guest:
                assert await ask(guest, port) == b"hello you"
                with pytest.raises(Refused):
                    await ask(guest, 9)
                async with await guest.start_server(lambda reader, writer: writer.close(), port=22):
                    number = await router.forwards.add_unix(str(tmp_path / "ssh"), "10.0.2.100", 22)
                    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "ssh"))
                    assert await reader.read() == b""
                    writer.close()
                    await router.forwards.remove(number)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("guests", "options", "said"),
    [
        ("tap0", {}, "does not say which guest"),
        ([], {}, "a router needs a guest"),
        ("tap:tap0", {"network": "10.0.2.0/31"}, "no room for a router and a guest"),
        ("tap:tap0", {"gateway": "10.0.3.1"}, "no host's address"),
        ("tap:tap0", {"default": "perhaps"}, "write allow or deny"),
        ("tap:tap0", {"dsn": "10.0.0.1"}, "no such option: 'dsn'"),
        ("tap:tap0", {"dns_address": "10.9.9.9"}, "is not in 10.0.2.0/24"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_opened(guests, options, said):
    with pytest.raises(UsageError, match=said):
        netstack.Router(guests, **options)


def test_names_of_the_house_are_known_where_nothing_else_may_be_asked():
    async def main() -> None:
        near, far = socket.socketpair()
        router = netstack.Router(
            QemuStream.from_socket(near), default="deny", dns=["192.0.2.1"], hosts={"db.home": "10.0.2.2"}
        )
        async with router:
            device = QemuStream.from_socket(far, mac=netstack.Mac.parse("02:00:00:00:00:0a"))
            async with netstack.open(device, ip="dhcp") as guest:
                assert (await guest.resolve("db.home")).addresses == ["10.0.2.2"]
                with pytest.raises(OSError, match="evil"):
                    await guest.resolve("evil.example")
        assert [denial.name for denial in router.policy.denials()] == ["evil.example"]

    asyncio.run(main())
