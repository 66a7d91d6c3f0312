"""Names on a net that has servers to ask: getaddrinfo as glibc has it, and all that takes a host."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "dns"))
from dns_world import MS, RUNTIMES, Both, Says, record, response, world

import netstack
from netstack.dns import name
from netstack.dns.client.resolver import Resolver
from netstack.dns.numbers import Rcode, Type
from netstack.errors import Unreachable, UsageError
from netstack.runtime.names import Names

SOA = record("example.", "SOA", "ns.example. admin.example. 1 3600 600 86400 60", 900)
ZONE = [
    record("web.example.", "CNAME", "real.example."),
    record("real.example.", "A", "10.0.0.2"),
    record("real.example.", "AAAA", "2001:db8::2"),
    record("many.example.", "A", "198.51.100.1"),
    record("many.example.", "A", "10.0.0.2"),
    record("six.example.", "AAAA", "2001:db8::6"),
    record("mail.corp.example.", "A", "10.0.0.2"),
    record("a.b.corp.example.", "A", "10.0.0.3"),
    record("text.example.", "TXT", "hello"),
    record("2.0.0.10.in-addr.arpa.", "PTR", "real.example."),
]


def zone(q, over_stream):
    asked = q.question[0]
    owner, answer = asked.name.lower(), []
    if name.text(owner).startswith("broken"):
        return response(q, rcode=Rcode.SERVFAIL)
    while True:
        found = [r for r in ZONE if r.name == owner and r.type in (asked.type, Type.CNAME)]
        answer += found
        if not found or found[0].type == asked.type:
            break
        owner = found[0].rdata
    exists = any(r.name == owner for r in ZONE)
    return response(q, *answer, rcode=0 if exists else Rcode.NXDOMAIN, authority=() if found else (SOA,))


class Place:
    def __init__(self, dns=("10.0.0.2",)):
        self.dns = dns

    async def __aenter__(self):
        self.world = world("client", "server", delay=5 * MS)
        self.net, self.server = await self.world.__aenter__()
        self.says = await Says(zone).start(self.server)
        self.net.dns = list(self.dns)
        return self

    async def __aexit__(self, *how):
        await self.says.aclose()
        await self.world.__aexit__(*how)


def on_asyncio(test):
    async def main(on):
        async with Place() as place:
            await test(place)

    Both("asyncio").run(main)


def addresses(infos):
    return [info[4][0] for info in infos]


STREAM = {"type": socket.SOCK_STREAM}


def test_getaddrinfo_asks_both_families_and_puts_first_what_can_be_reached():
    async def test(place):
        net = place.net
        infos = await net.getaddrinfo("web.example", 80, flags=socket.AI_CANONNAME, **STREAM)
        assert infos == [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "real.example", ("10.0.0.2", 80)),
            (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("2001:db8::2", 80, 0, 0)),
        ]
        assert [type for _, type, _ in place.says.asked] == [Type.A, Type.AAAA]
        assert addresses(await net.getaddrinfo("many.example", None, **STREAM)) == ["10.0.0.2", "198.51.100.1"]

    async def test2(place):
        place.says.asked.clear()
        assert addresses(await place.net.getaddrinfo("web.example", 80, flags=socket.AI_ADDRCONFIG, **STREAM)) == ["10.0.0.2"]
        assert addresses(await place.net.getaddrinfo("web.example", 80, family=socket.AF_INET, **STREAM)) == ["10.0.0.2"]
        assert [type for _, type, _ in place.says.asked] == [Type.A]

    on_asyncio(test)
    on_asyncio(test2)


def test_getaddrinfo_for_ipv6_may_map():
    async def test(place):
        ask = place.net.getaddrinfo
        six = {"family": socket.AF_INET6, **STREAM}
        assert addresses(await ask("web.example", 80, **six)) == ["2001:db8::2"]
        assert addresses(await ask("web.example", 80, flags=socket.AI_V4MAPPED, **six)) == ["2001:db8::2"]
        assert addresses(await ask("mail.corp.example", 80, flags=socket.AI_V4MAPPED, **six)) == ["::ffff:10.0.0.2"]
        both = await ask("web.example", 80, flags=socket.AI_V4MAPPED | socket.AI_ALL, **six)
        assert addresses(both) == ["::ffff:10.0.0.2", "2001:db8::2"]

    on_asyncio(test)


@pytest.mark.parametrize(
    ("host", "family", "flags", "code"),
    [
        ("nobody.example", 0, 0, socket.EAI_NONAME),
        ("text.example", 0, 0, socket.EAI_NODATA),
        ("six.example", socket.AF_INET, 0, socket.EAI_NODATA),
        ("broken.example", 0, 0, socket.EAI_AGAIN),
        ("web.example", 0, socket.AI_NUMERICHOST, socket.EAI_NONAME),
        ("web_.x" + "y" * 70, 0, 0, None),
    ],
)
def test_why_there_is_no_address_has_glibcs_codes(host, family, flags, code):
    async def test(place):
        if code is None:
            with pytest.raises(UnicodeError):
                await place.net.getaddrinfo(host, 80)
            return
        with pytest.raises(socket.gaierror) as caught:
            await place.net.getaddrinfo(host, 80, family=family, flags=flags)
        assert caught.value.errno == code

    on_asyncio(test)


def test_silence_is_a_matter_of_trying_again():
    async def test(place):
        place.says.answer = lambda q, over_stream: None
        with pytest.raises(socket.gaierror) as caught:
            await place.net.getaddrinfo("web.example", 80)
        assert caught.value.errno == socket.EAI_AGAIN

    on_asyncio(test)


def test_short_names_are_tried_in_the_domains_of_the_search_list():
    async def test(place):
        net = place.net
        net.dns = Resolver(net, net, ["10.0.0.2"], search=["lab.example", "corp.example"])

        async def asked(host, family=socket.AF_INET):
            place.says.asked.clear()
            try:
                found = addresses(await net.getaddrinfo(host, 80, family=family, **STREAM))
            except socket.gaierror as error:
                found = error.errno
            return found, [text for text, _, _ in place.says.asked]

        assert await asked("mail") == (["10.0.0.2"], ["mail.lab.example.", "mail.corp.example."])
        assert await asked("a.b") == (["10.0.0.3"], ["a.b.", "a.b.lab.example.", "a.b.corp.example."])
        assert await asked("x.") == (socket.EAI_NONAME, ["x."])
        assert await asked("broken") == (socket.EAI_AGAIN, ["broken.lab.example.", "broken.corp.example.", "broken."])
        assert (await asked("real.example"))[1] == ["real.example."]
        await net.dns.aclose()
        net.dns = Resolver(net, net, ["10.0.0.2"], search=["corp.example"], ndots=3)
        assert await asked("a.b") == (["10.0.0.3"], ["a.b.corp.example."])
        await net.dns.aclose()

    on_asyncio(test)


def test_hosts_come_first_and_literals_are_never_asked():
    async def test(place):
        net = place.net
        net.names = Names({"web.example": "10.0.0.9"})
        for host, found in {
            "web.example": "10.0.0.9",
            "localhost": "127.0.0.1",
            "10.1": "10.0.0.1",
            "10.0.0.7": "10.0.0.7",
        }.items():
            assert addresses(await net.getaddrinfo(host, 80, **STREAM)) == [found]
        assert addresses(await net.getaddrinfo(None, 80, **STREAM)) == ["127.0.0.1"]
        assert place.says.asked == []

    on_asyncio(test)


@pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
def test_all_that_takes_a_host_takes_a_name(on):
    async def greet(stream):
        await stream.send_all(b"hello")

    async def test(on):
        async with Place() as place:
            net = place.net
            await place.server.serve_streams(greet, 80)
            stream = await net.connect_stream("web.example", 80)
            assert await stream.receive() == b"hello" and stream.remote_address == ("10.0.0.2", 80)
            await stream.aclose()
            echo = await place.server.bind_datagrams(7)
            free = await net.bind_datagrams()
            connected = await net.bind_datagrams(remote=("web.example", 7))
            await free.send(b"one", ("web.example", 7))
            await connected.send(b"two")
            assert [(await echo.receive())[0] for _ in range(2)] == [b"one", b"two"]
            assert await net.ping("web.example") > 0
            for each in (echo, free, connected):
                await each.aclose()
            with pytest.raises(Unreachable, match=r"nobody\.example"):
                await net.connect_stream("nobody.example", 80)
            assert len(place.says.asked) == 2  # the rest was known
            answer = await net.resolve("text.example", "TXT")
            assert answer.texts == ['"hello"']

    on.run(test)


@pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
def test_without_servers_names_are_unknown_as_ever(on):
    async def test(on):
        async with world("client", "server") as (net, _):
            assert net.dns is None
            with pytest.raises(UsageError, match="dns="):
                await net.resolve("web.example")
            with pytest.raises(UsageError, match="dns="):
                await net.connect_stream("web.example", 80)
            for wrong in ("10.0.0.1", ["dns.example"], []):
                with pytest.raises(UsageError):
                    net.dns = wrong
            net.dns = ["10.0.0.2"]
            net.dns = None
            with pytest.raises(UsageError):
                await net.resolve("web.example")

    on.run(test)


def test_asyncios_verbs_take_names():
    async def test(place):
        net = place.net

        async def serve(reader, writer):
            writer.write(b"hi")
            writer.close()

        await place.server.start_server(serve, port=80)
        reader, writer = await net.open_connection("web.example", 80)
        assert await reader.read() == b"hi"
        writer.close()
        assert [type for _, type, _ in place.says.asked] == [Type.A]
        transport, _ = await net.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("web.example", 7))
        assert transport.get_extra_info("peername") == ("10.0.0.2", 7)
        transport.close()
        assert await net.getnameinfo(("10.0.0.2", 7), socket.NI_NUMERICSERV) == ("server", "7")  # the world's own name
        net.names = Names()
        assert await net.getnameinfo(("10.0.0.2", 7), socket.NI_NUMERICSERV) == ("real.example", "7")
        assert await net.getnameinfo(("10.0.0.3", 7), socket.NI_NUMERICSERV) == ("10.0.0.3", "7")
        with pytest.raises(socket.gaierror):
            await net.getnameinfo(("10.0.0.3", 7), socket.NI_NAMEREQD)

    on_asyncio(test)


def test_an_unchanged_program_on_the_loop_resolves_over_the_net():
    async def program():
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo("web.example", 80, type=socket.SOCK_STREAM)
        assert addresses(infos)[0] == "10.0.0.2"
        reader, writer = await asyncio.open_connection("web.example", 80)
        data = await reader.read()
        writer.close()
        return data

    async def test(place):
        async def serve(reader, writer):
            writer.write(b"hi")
            writer.close()

        await place.server.start_server(serve, port=80)
        assert await place.net.run(program()) == b"hi"

    on_asyncio(test)


def test_an_unchanged_trio_program_resolves_over_the_net():
    import trio

    async def greet(stream):
        await stream.send_all(b"hello")

    async def program():
        assert (await trio.socket.getaddrinfo("web.example", 80, type=socket.SOCK_STREAM))[0][4] == ("10.0.0.2", 80)
        stream = await trio.open_tcp_stream("web.example", 80)
        return await stream.receive_some(5)

    async def test(on):
        async with Place() as place:
            await place.server.serve_streams(greet, 80)
            assert await place.net.run(program()) == b"hello"

    Both("trio").run(test)


def test_threads_ask_too(tmp_path):
    """`socket.getaddrinfo`, patched, in a thread, over a wire in memory; also by TCP, and it is known the second time."""
    from netstack.testing.wire import Wire

    wire = Wire()

    def truncating(q, over_stream):
        return zone(q, True) if over_stream or q.question[0].type == Type.A else response(q, flags=0x0200)

    async def main():
        async with (
            netstack.open(wire.port("server"), addresses=["10.0.0.2/24"]) as server,
            netstack.open(wire.port("client"), addresses=["10.0.0.1/24"], dns=["10.0.0.2"]) as client,
        ):
            says = await Says(truncating).start(server)

            def ask():
                with netstack.patch(client):
                    first = socket.getaddrinfo("web.example", 80, type=socket.SOCK_STREAM)
                    again = socket.getaddrinfo("web.example", 80, type=socket.SOCK_STREAM)
                    assert first == again and addresses(first) == ["10.0.0.2", "2001:db8::2"]
                    assert socket.gethostbyname("mail.corp.example") == "10.0.0.2"
                    with pytest.raises(socket.gaierror) as caught:
                        socket.getaddrinfo("nobody.example", 80)
                    assert caught.value.errno == socket.EAI_NONAME
                return len(says.asked)

            assert await asyncio.to_thread(ask) == 2 + 1 + 1 + 1  # AAAA twice; that there is no such name holds for both types
            assert any(over_stream for _, _, over_stream in says.asked)
            await says.aclose()

    asyncio.run(main())


def test_threads_leave_servers_behind_tls_to_the_loop():
    sys.path.insert(0, str(Path(__file__).parents[1] / "tls"))
    from tls_world import client_context, server_context

    from netstack.testing.wire import Wire

    wire = Wire()

    async def main():
        async with (
            netstack.open(wire.port("server"), addresses=["10.0.0.2/24"]) as server,
            netstack.open(wire.port("client"), addresses=["10.0.0.1/24"]) as client,
        ):
            says = await Says(zone).start(server, 853, netstack.Tls(server, server=server_context()))
            client.dns = Resolver(client, client, ["tls://10.0.0.2"], tls=client_context())
            found = await asyncio.to_thread(client.blocking.getaddrinfo, "web.example", 80, socket.AF_INET, socket.SOCK_STREAM)
            assert addresses(found) == ["10.0.0.2"] and says.streams == 1
            with pytest.raises(UsageError, match="loop"):
                client.blocking.getaddrinfo("mail.corp.example", 80)  # in the loop's own thread nobody could answer
            await client.dns.aclose()
            await says.aclose()

    asyncio.run(main())


def test_open_takes_servers_and_files(tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.7 seven.example  # a comment\n")

    async def main():
        async with netstack.open("loopback:?dns=10.0.0.1&dns=tls://10.0.0.2#dns.example", hosts=str(hosts)) as net:
            servers = net.dns.finder.servers()
            assert [(each.address, each.port, each.tls) for each in servers] == [
                ("10.0.0.1", 53, None), ("10.0.0.2", 853, "dns.example"),
            ]  # fmt: skip
            assert addresses(await net.getaddrinfo("seven.example", 80, **STREAM)) == ["10.0.0.7"]
        with pytest.raises(UsageError, match="choose one"):
            await netstack.open("loopback:", dns=["10.0.0.1"], names="system").__aenter__()
        with pytest.raises(UsageError, match="list of servers"):
            await netstack.open("loopback:", dns="10.0.0.1").__aenter__()

    asyncio.run(main())
