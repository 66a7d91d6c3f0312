"""What a hostile guest tries of the services and of the world: DHCP, names, targets, what it says first, and floods."""

import asyncio
import contextlib
import socket

import pytest
from hostile_world import (
    DNS,
    EVERYBODY,
    EVIL_MAC,
    FAR,
    FAR_IP,
    GATEWAY,
    GOOD_MAC,
    LOCALHOST,
    PINGS,
    Arena,
    NameServer,
    Site,
    arena,
    in_arena,
    ip,
)
from policy_words import extension, hello, hello_body, message, names, records

from netstack.address import Ip4
from netstack.dhcp import message as dhcp
from netstack.dhcp.const import Kind, Option
from netstack.errors import Refused
from netstack.router.nat.config import NatConfig
from netstack.router.policy.config import PolicyConfig
from netstack.router.services.dns import SHARE
from tests.net.attacker import icmp, tcp, udp


def said(kind: Kind, chaddr: int, xid: int = 7, op: int = 1, options: dict[int, bytes] | None = None, **fields: Ip4) -> bytes:
    data, _ = dhcp.build(
        dhcp.DhcpMessage(op, xid, chaddr.to_bytes(6, "big"), {Option.KIND: bytes((kind,)), **(options or {})}, **fields)
    )
    return data


@in_arena()
async def test_dhcp_is_not_to_be_starved_nor_spoken_for_nor_lied_in(there: Arena):
    g, e = there.good_ip, there.evil_ip
    everybody = ip("255.255.255.255")

    def ask(data: bytes, src: int = 0, mac: int = EVIL_MAC) -> bytes:
        return there.packet(udp(src, everybody, 68, 67, data), dst=EVERYBODY, src=mac)

    leases = there.router.house.services.dhcp.core.leases
    mine = leases.by_address[g]
    # many clients behind one card: as many as a guest may have, and the pool has room for others
    many = [ask(said(Kind.DISCOVER, 0x02BAD0000000 + n)) for n in range(300)]
    await there.attack(many, "Dhcp.InSpoofed")
    named = [ask(said(Kind.DISCOVER, EVIL_MAC, n, options={Option.CLIENT_ID: b"\0%d" % n})) for n in range(300)]
    await there.attack(named, "Dhcp.InDiscovers")
    wanted = [
        ask(said(Kind.REQUEST, EVIL_MAC, n, options={Option.CLIENT_ID: b"\0%d" % n, Option.REQUESTED: bytes([10, 0, 2, n])}))
        for n in range(102, 255)
    ]
    moved = await there.attack(wanted, "Dhcp.InRequests")
    assert moved["Dhcp.LimitReached"] >= 80 and leases.held("evil") <= 64 and leases.free_address(None) is not None
    # the other's address, by his card and by his identifier: ended, declined, renewed, asked for
    for kind, field in ((Kind.RELEASE, "ciaddr"), (Kind.DECLINE, ""), (Kind.REQUEST, "")):
        options = {Option.SERVER: GATEWAY.to_bytes(4, "big"), Option.REQUESTED: g.to_bytes(4, "big")}
        fields = {field: Ip4(g)} if field else {}
        await there.attack([ask(said(kind, GOOD_MAC, options=options, **fields), e)], "Dhcp.InSpoofed")
        await there.attack([ask(said(kind, GOOD_MAC, options=options, **fields), 0, GOOD_MAC)], "Guest evil.InSpoofedMac")
        copied = options | {Option.CLIENT_ID: mine.client}
        counter = "Dhcp.OutNaks" if kind is Kind.REQUEST else "Dhcp.InUnknown"
        await there.attack([ask(said(kind, EVIL_MAC, options=copied, **fields), e)], counter)
    assert leases.by_address[g] is mine and mine.state.value == "bound" and there.router.house.nat.guest_of(g) == "good"
    # a server of its own
    offer = said(Kind.OFFER, GOOD_MAC, op=2, yiaddr=Ip4(e), options={Option.SERVER: e.to_bytes(4, "big")})
    rogue = [
        there.packet(udp(e, g, 67, 68, offer), dst=GOOD_MAC),
        there.packet(udp(e, everybody, 67, 68, offer), dst=EVERYBODY),
        there.packet(udp(e, everybody, 67, 9999, offer), dst=EVERYBODY),
    ]
    await there.attack(rogue, "Guest evil.InRogueDhcp")
    await there.attack([there.packet(udp(GATEWAY, g, 67, 68, offer), dst=GOOD_MAC)], "Guest evil.InSpoofedIp")
    await there.attack([ask(said(Kind.ACK, EVIL_MAC, op=2), e)], "Dhcp.InOther")
    await there.attack([ask(said(Kind.DISCOVER, EVIL_MAC, giaddr=Ip4(FAR_IP)), e)], "Dhcp.InRelayed")
    await there.attack([ask(said(Kind.DISCOVER, EVIL_MAC)[: 40 + n], e) for n in range(0, 200, 7)], "Dhcp.InErrors")


def own_address() -> str:
    """An address of this host that is not its loopback; none where it is on no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        return str(sock.getsockname()[0])


@in_arena()
async def test_what_is_not_simply_in_the_world_is_not_reached(there: Arena):
    e = there.evil_ip
    with contextlib.closing(socket.create_server((LOCALHOST, 0))) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        guarded = ["169.254.169.254", "169.254.1.1", "168.63.129.16", "100.100.100.200", "10.0.2.3", "10.0.2.100", "10.0.2.77"]
        targets = [(each, "Policy.DeniedGuarded") for each in (*guarded, "10.0.2.2", own_address() or "10.0.2.1")]
        targets += [(each, "Ip.InMartians") for each in ("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "240.0.0.1", "10.0.2.101")]
        targets += [(each, "Ip.InOtherGroup") for each in ("224.0.0.251", "239.255.255.250")]
        for n, (target, counter) in enumerate(targets):
            dst = ip(target)
            own = dst in (GATEWAY, DNS)
            packets = [tcp(e, dst, 5000 + n, port, "S")]
            packets += [] if own else [udp(e, dst, 5000 + n, port, b"hostile"), icmp(e, dst, 8, 0, n << 16)]
            moved = await there.attack([there.packet(each) for each in packets], counter)
            assert "Nat.TcpFlows" not in moved and "Nat.UdpOut" not in moved and "Nat.EchoOut" not in moved, (target, moved)
        for target in ("255.255.255.255", "10.0.2.255"):
            dst = ip(target)
            packets = [tcp(e, dst, 5000, port, "S"), udp(e, dst, 5000, port, b"hostile"), icmp(e, dst, 8, 0, 1)]
            moved = await there.attack([there.packet(each) for each in packets], "Ip.InBcastPkts")
            assert not {"Nat.TcpFlows", "Nat.UdpFlows", "Nat.EchoFlows", "Icmp.OutMsgs"} & set(moved)
        with pytest.raises(BlockingIOError):
            listener.accept()
    # what listens at the router's addresses for guests: names, and nothing else
    there.answers()
    for base in (GATEWAY, DNS):
        there.send(there.packet(tcp(e, base, 6000, port, "S")) for port in range(1, 600))
        await there.settled()
        opened = {frame[35] | frame[34] << 8 for frame in there.answers() if frame[23] == 6 and frame[47] & 0x12 == 0x12}
        assert opened == {53}


@contextlib.asynccontextmanager
async def named(**options):
    """An arena with names: `good.example` may be reached, and what is below `cdn.example`, which belongs to the guest's friend."""
    server = NameServer()
    port = await server.start()
    server.zone |= {"good.example": (["203.0.113.10"], 60), "www.cdn.example": (["203.0.113.20"], 1)}
    async with arena("deny", dns=[f"127.0.0.1:{port}"], **options) as there:
        there.closers.append(server.transport.close)
        site = await Site().start(there, 80, 443)
        there.router.allow("good.example:80,443")
        there.router.allow("*.cdn.example:80,443")
        yield there, server, site


async def tries(there: Arena, data: bytes, port: int = 443, host: str = "203.0.113.10", step: int = 0) -> bytes:
    """What comes back for it, or nothing."""
    reader, writer = await there.evil.open_connection(host, port)
    try:
        for at in range(0, len(data), step or len(data)):
            writer.write(data[at : at + (step or len(data))])
            if step:
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return await reader.read(100)
    except OSError:
        return b""
    finally:
        writer.close()


def test_who_says_another_name_than_he_asked_for_is_cut_before_a_byte_has_left():
    hosts = (b"127.0.0.1", b"[::ffff:127.0.0.1]", b"[::ffff:7f00:1]", b"203.0.113.10")
    ech = extension(0xFE0D, b"\0" + bytes(60))
    requests = {
        "Mismatch": [b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
        "Nameless": [b"GET / HTTP/1.0\r\n\r\n", *(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host for host in hosts)],
        "Malformed": [
            b"EHLO evil.example\r\n",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: good.example\r\nHost: evil.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"CONNECT evil.example:443 HTTP/1.1\r\nHost: good.example\r\n\r\n",
        ],
    }  # fmt: skip
    hellos = {
        "Mismatch": [
            hello("evil.example"), hello("evil.example", size=7), hello("evil.example", ech), hello("good.example.evil.example"),
            hello("2130706433.example"),
        ],
        "Nameless": [hello(None), hello(None, ech), b"SSH-2.0-hostile\r\n", b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
        "Malformed": [
            records(message(hello_body(names(b"good.example", b"evil.example")))),
            records(message(hello_body(names(b"good.example\0.evil")))),
            hello("127.0.0.1"), hello("::ffff:127.0.0.1"),
        ],
    }  # fmt: skip

    async def main() -> None:
        async with named() as (there, _, site):
            assert (await there.evil.resolve("good.example")).addresses == ["203.0.113.10"]
            for port, kinds in ((80, requests), (443, hellos)):
                for why, first in kinds.items():
                    for data in first:
                        for step in (0, 11):
                            before = there.counters()
                            assert (await tries(there, data, port, step=step))[:10] in (b"", b"HTTP/1.1 4", b"HTTP/1.1 5")
                            moved = {name: n - before[name] for name, n in there.counters().items() if n != before[name]}
                            assert moved.get(f"Policy.Denied{why}") == 1, (data, step, moved)
            assert site.heard == []
            # and the name itself passes, in one piece and in many; but not another one on the same connection
            assert await tries(there, hello("good.example", ech), step=5)
            assert await tries(there, b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n", 80, step=3)
            site.heard.clear()
            reader, writer = await there.evil.open_connection("203.0.113.10", 80)
            writer.write(b"GET /1 HTTP/1.1\r\nHost: good.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            with contextlib.suppress(OSError):
                while await reader.read(100):
                    pass
            writer.close()
            assert b"/2" not in b"".join(site.heard)

    asyncio.run(main())


def test_names_lead_nowhere_that_they_may_not_and_no_guest_has_anothers():
    async def main() -> None:
        async with named() as (there, server, site):
            evil, good = there.evil, there.good.net
            # 1. names that nothing allows are not asked for: no question carries anything out
            for name in ("evil.example", "c2VjcmV0.evil.example", "cdn.example.evil.example", "[::ffff:127.0.0.1].example"):
                with pytest.raises(OSError, match=r"example"):
                    await evil.resolve(name)
            assert there.counters()["Policy.DeniedQuestion"] >= 4 and server.asked == []
            # 2. answers that were forged on the way, by somebody who guesses; and records nobody asked for
            server.lies = [b"\0\0", b"\x12\x34", b"\xff\xff"]
            bank = b"\x04bank\x03cdn\x07example\0" + b"\0\x01\0\x01\0\0\x0e\x10\0\x04" + ip("203.0.113.66").to_bytes(4, "big")
            server.extra, server.extras = bank, 1
            assert (await evil.resolve("good.example")).addresses == ["203.0.113.10"]
            server.lies, server.extra, server.extras = [], b"", 0
            for _ in range(2):
                before = there.counters()["Policy.DeniedDefault"]
                with pytest.raises(Refused):
                    await evil.open_connection("203.0.113.66", 443)
                assert there.counters()["Policy.DeniedDefault"] == before + 1
            # 3. what one guest has learnt is not the other's
            with pytest.raises(Refused):
                await good.open_connection("203.0.113.10", 443)
            assert await tries(there, hello("good.example"))
            # 4. answers of its own: to the router's resolver, and to the other guest in the resolver's name
            answer = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x04good\x07example\0\0\x01\0\x01"
            answer += b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x7f\0\0\x01"
            e = there.evil_ip
            unasked = [there.packet(udp(e, at, port, 53, answer)) for at, port in ((DNS, 53), (GATEWAY, 99))]
            await there.attack(unasked, "DnsDoor.InSilence")
            await there.attack([there.packet(udp(DNS, there.good_ip, 53, 40000, answer), dst=GOOD_MAC)], "Guest evil.InSpoofedIp")
            assert (await good.resolve("good.example")).addresses == ["203.0.113.10"]
            # 5. rebinding: the owner of a name says that it is the host, its neighbours, the metadata, the other guest
            assert (await evil.resolve("www.cdn.example")).addresses == ["203.0.113.20"]
            assert await tries(there, hello("www.cdn.example"), host="203.0.113.20")
            inner = ("10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "10.0.2.2", "10.0.2.3")
            server.zone["www.cdn.example"] = (list(inner), 1)
            for n, address in enumerate(inner):
                server.zone[f"r{n}.cdn.example"] = ([address], 1)
                assert (await evil.resolve(f"r{n}.cdn.example")).addresses == [address]
                before = there.counters()["Policy.DeniedRebinding"]
                with pytest.raises(Refused):
                    await evil.open_connection(address, 443)
                assert there.counters()["Policy.DeniedRebinding"] == before + 1, address
            server.zone["n.cdn.example"] = (["10.0.2.100"], 1)
            await evil.resolve("n.cdn.example")
            await there.attack([there.packet(tcp(e, there.good_ip, 999, 443, "S"))], "Policy.DeniedRebinding")
            # within the TTL too: the address of before stays the name's, and the new ones open nothing
            await asyncio.sleep(1.1)  # for what the cache keeps
            assert sorted((await evil.resolve("www.cdn.example")).addresses) == sorted(inner)
            assert await tries(there, hello("www.cdn.example"), host="203.0.113.20")
            for address in inner:
                with pytest.raises(Refused):
                    await evil.open_connection(address, 443)
            # and loopback does not even leave it
            server.zone["l.cdn.example"] = (["127.0.0.1", "0.0.0.0"], 1)
            await evil.resolve("l.cdn.example")
            await there.attack([there.packet(tcp(e, at, 999, 443, "S")) for at in (ip("127.0.0.1"), 0)], "Ip.InMartians")
            assert [data for data in site.heard if b"www.cdn" not in data and b"good" not in data] == []

    asyncio.run(main())


FULL = NatConfig(max_tcp=96, tcp_per_guest=48, max_udp=64, max_sockets=32, max_echo=8)


@in_arena(nat=FULL)
async def test_a_guest_that_floods_takes_from_itself(there: Arena):
    sources = [ip("10.0.2.150") + n for n in range(15)]  # as many as a switch gives to one guest, with its own
    with contextlib.closing(socket.create_server((LOCALHOST, 0), backlog=256)) as silent:  # accepts nobody
        port = silent.getsockname()[1]
        syns = [there.packet(tcp(src, FAR_IP, 2000 + n, port, "S")) for n in range(20) for src in sources]
        moved = await there.attack(syns, "TcpExt.SynHeld")
        assert moved["Nat.TcpGuestFull"] == len(syns) - 48, moved
        assert there.router.nat.tcp.guests == {"evil": 48, "good": 2}
        fresh = [await there.good.net.open_connection(FAR, there.world) for _ in range(10)]
        for _, writer in fresh:
            writer.close()
    with contextlib.closing(await there.good.net.udp(remote=(FAR, there.world))) as sock:
        await sock.send(b"mine")
        await there.settled()
        (mine,) = (flow for flow in there.router.flows() if flow.proto == "udp")
        shots = [there.packet(udp(src, FAR_IP, 3000 + n, there.world, b"flood")) for n in range(20) for src in sources]
        moved = await there.attack(shots, "Nat.UdpFlows")
        assert moved["Nat.UdpEvicted"] == len(shots) - 31
        assert mine in there.router.flows() and len(there.router.nat.udp.mappings) == 32
        echoes = [there.packet(icmp(src, FAR_IP, 8, 0, n << 16)) for n in range(10) for src in sources]
        if PINGS:
            moved = await there.attack(echoes, "Nat.EchoFlows")
            assert moved["Nat.EchoEvicted"] == len(echoes) - 8
        else:
            await there.attack(echoes, "Nat.EchoUnavailable")
        assert mine in there.router.flows()


@in_arena(config=PolicyConfig(flows=20, new_flows=5, new_flows_burst=20))
async def test_flows_beyond_what_a_guest_may_have_are_denied(there: Arena):
    shots = [there.packet(udp(there.evil_ip, FAR_IP, 3000 + n, there.world, b"flood")) for n in range(100)]
    await there.attack(shots, "Policy.DeniedFlood", 80)
    _, writer = await there.good.net.open_connection(FAR, there.world)
    writer.close()


def test_questions_that_nobody_answers_keep_nobody_else_waiting():
    async def main() -> None:
        async with named() as (there, _, _):
            share = there.router.house.services.dns.desk.config.pending // SHARE
            for n in range(share + 20):  # names below a domain that is silent
                name = b"\x05x%04d\x03cdn\x07example\0" % n
                question = n.to_bytes(2, "big") + b"\x01\0\0\x01\0\0\0\0\0\0" + name + b"\0\x01\0\x01"
                there.send([there.packet(udp(there.evil_ip, DNS, 1024 + n, 53, question))])
            await there.settled()
            assert there.counters()["DnsServer.PendingRej"] == 20
            assert (await there.good.net.resolve("good.example")).addresses == ["203.0.113.10"]

    asyncio.run(main())
