"""What a hostile guest tries on the link and in headers: each try is counted under its name, and the other guest works on."""

import contextlib
import struct

from hostile_world import (
    DNS,
    EVERYBODY,
    EVIL_MAC,
    FAR,
    FAR_IP,
    GATEWAY,
    GOOD_MAC,
    PINGS,
    ROUTER_MAC,
    Arena,
    in_arena,
    ip,
)

from netstack.checksum import checksum
from netstack.instant import SECOND
from netstack.router.guests.switch import FLOOD_BURST, FLOOD_RATE
from tests.net.attacker import MF, eth, icmp, ip4, tcp, udp

NOBODY = 0


def some(src: int, dst: int = FAR_IP) -> bytes:
    return udp(src, dst, 4000, 9, b"hostile")


@in_arena()
async def test_no_guest_speaks_as_another(there: Arena):
    g, e = there.good_ip, there.evil_ip
    spoofed = [there.packet(some(e), src=mac) for mac in (GOOD_MAC, ROUTER_MAC, EVERYBODY, 0x01005E000001, 0)]
    await there.attack(spoofed, "Guest evil.InSpoofedMac")
    others = (g, GATEWAY, DNS, ip("127.0.0.1"), ip("224.0.0.1"), ip("255.255.255.255"), ip("0.0.0.1"), ip("10.0.2.255"))
    await there.attack([there.packet(some(src)) for src in others], "Guest evil.InSpoofedIp")
    await there.attack([there.packet(some(ip("10.0.2.0")))], "Guest evil.InSpoofedIp")
    await there.attack([there.packet(some(ip(src))) for src in ("10.0.3.100", "8.8.8.8", "169.254.1.1")], "Guest evil.InForeignIp")
    await there.attack([there.packet(some(e, g), dst=GOOD_MAC, src=GOOD_MAC)], "Guest evil.InSpoofedMac")
    await there.attack([there.packet(some(NOBODY, g), dst=GOOD_MAC)], "Guest evil.InSpoofedIp")
    await there.attack([there.packet(some(NOBODY))], "Ip.InMartians")
    # what would cut the other's connections, if it could be said in its name
    port = next(flow.src_port for flow in there.router.flows() if int(flow.src) == g)
    cuts = [tcp(g, FAR_IP, port, there.world, flags) for flags in ("R", "RA", "S", "F")]
    await there.attack([there.packet(cut) for cut in cuts], "Guest evil.InSpoofedIp")
    await there.attack([there.packet(tcp(FAR_IP, g, there.world, port, "R"), dst=GOOD_MAC)], "Guest evil.InForeignIp")
    await there.attack([there.packet(tcp(e, FAR_IP, port, there.world, "R", seq=seq)) for seq in range(5)], "TcpExt.InStray")
    assert not [frame for frame in there.answers() if not frame[0] & 1]  # the router announces itself, whoever tries what
    assert there.counters()["Guest good.OutTooLong"] == 0


@in_arena()
async def test_arp_says_nothing_of_others_and_floods_nobody(there: Arena):
    g, e = there.good_ip, there.evil_ip
    lies = [
        there.arp(2, EVIL_MAC, g, ROUTER_MAC, GATEWAY, dst=ROUTER_MAC),  # I am your other guest
        there.arp(1, EVIL_MAC, g, 0, GATEWAY),
        there.arp(2, EVIL_MAC, GATEWAY, GOOD_MAC, g, dst=GOOD_MAC),  # I am your router
        there.arp(2, EVIL_MAC, GATEWAY, 0, GATEWAY),
        there.arp(2, EVIL_MAC, DNS, GOOD_MAC, g, dst=GOOD_MAC),
        there.arp(2, GOOD_MAC, e, ROUTER_MAC, GATEWAY, dst=ROUTER_MAC),  # the other guest has my address
        there.arp(1, ROUTER_MAC, GATEWAY, 0, g),
        there.arp(2, EVIL_MAC, ip("127.0.0.1"), ROUTER_MAC, GATEWAY, dst=ROUTER_MAC),
    ]
    await there.attack(lies, "Guest evil.InSpoofedArp")
    assert there.neighbours()[g] == GOOD_MAC
    began = there.now
    moved = await there.attack(
        [there.arp(1, EVIL_MAC, e, 0, ip("10.0.2.110") + n % 100) for n in range(1000)], "Guest evil.InFrames", heard=1000
    )
    took = there.now - began
    assert moved["Guest evil.InFlooded"] <= FLOOD_BURST + FLOOD_RATE * took / SECOND + 1, (moved, took)
    wandering = [there.arp(1, EVIL_MAC, ip("10.0.2.150") + n, 0, GATEWAY) for n in range(100)]
    moved = await there.attack(wandering, "Guest evil.InFrames", heard=100)
    assert moved["Guest evil.IpsForgotten"] >= 80 and len(there.neighbours()) < 120


@in_arena()
async def test_what_is_neither_ipv4_nor_arp_goes_nowhere(there: Arena):
    inner = some(there.evil_ip, there.good_ip)
    ends = bytes.fromhex("fe80" + "00" * 13 + "01" + "ff02" + "00" * 13 + "01")
    advert = bytes.fromhex("6000000000103aff") + ends + b"\x86\0" + bytes(14)
    frames = [
        eth(dst, EVIL_MAC, kind, payload)
        for dst in (ROUTER_MAC, GOOD_MAC, EVERYBODY)
        for kind, payload in (
            (0x8100, b"\0\x01\x08\0" + inner),  # a VLAN tag, and the packet behind it
            (0x88A8, b"\0\x01\x81\0\0\x02\x08\0" + inner),
            (0x86DD, advert),  # a router advertisement
            (0x8864, b"\x11\0\0\x01\0\x16\0\x21" + inner),  # PPPoE
            (0x8847, b"\0\0\x11\x40" + inner),  # MPLS
            (0x0026, b"\x42\x42\x03" + bytes(35)),  # a bridge's spanning tree
            (0x88CC, bytes(40)),
        )
    ]
    await there.attack(frames, "Guest evil.InOtherType")
    short = [b"", bytes(6), eth(ROUTER_MAC, EVIL_MAC, 0x0800, inner)[:33], eth(GOOD_MAC, EVIL_MAC, 0x0806, bytes(27))]
    await there.attack(short, "Guest evil.InTooShort")


@in_arena()
async def test_headers_that_lie_are_dropped_by_name(there: Arena):
    e, g = there.evil_ip, there.good_ip

    def bent(data: bytes, at: int, value: bytes, fix: bool = True) -> bytes:
        data = data[:at] + value + data[at + len(value) :]
        if fix:
            data = data[:10] + bytes(2) + data[12:]
            data = data[:10] + struct.pack("!H", checksum(data[: (data[0] & 15) * 4])) + data[12:]
        return there.packet(data)

    fine = some(e)
    syn = tcp(e, FAR_IP, 4000, 9, "S")
    ping = icmp(e, FAR_IP, 8, 0, 1)
    await there.attack([bent(fine, 10, b"\x12\x34", fix=False)], "Ip.InCsumErrors")
    await there.attack([bent(fine, 0, b"\x65"), bent(fine, 0, b"\x05")], "Ip.InBadVersion")
    await there.attack([bent(fine, 0, b"\x44"), bent(fine, 0, b"\x4f"), bent(fine, 2, b"\0\x13")], "Ip.InBadLength")
    await there.attack([bent(fine, 2, b"\xff\xff")], "Ip.InTruncatedPkts")
    await there.attack([there.packet(fine[:26] + b"\x12\x34" + fine[28:])], "Udp.InCsumErrors")
    await there.attack([there.packet(syn[:36] + b"\x12\x34" + syn[38:])], "Tcp.InCsumErrors")
    await there.attack([there.packet(ping[:22] + b"\x12\x34" + ping[24:])], "Icmp.InCsumErrors")
    for code in (131, 137):  # loose and strict source routes, by way of the other guest
        route = bytes([code, 7, 4]) + struct.pack("!I", g) + b"\0"
        await there.attack([there.packet(ip4(e, FAR_IP, 17, fine[20:], options=route))], "Ip.InSourceRoute")
    await there.attack([there.packet(ip4(e, FAR_IP, 17, fine[20:], options=b"\x07\x27\x04\0"))], "Ip.InBadOptions")
    await there.attack([there.packet(udp(e, e, 4000, 9, b""))], "Ip.InMartians")  # LAND
    await there.attack([there.packet(tcp(e, e, 4000, 4000, "S"))], "Ip.InMartians")
    for ttl in (0, 1):
        for proto, payload in ((17, fine[20:]), (6, syn[20:]), (1, ping[20:])):
            counter = "Nat.EchoUnavailable" if proto == 1 and not PINGS else "Nat.TtlExceeded"
            ident = struct.pack("!BBHI", 8, 0, 0, ttl + 5 << 16)
            payload = ident[:2] + struct.pack("!H", checksum(ident)) + ident[4:] if proto == 1 else payload
            moved = await there.attack([there.packet(ip4(e, FAR_IP, proto, payload, ttl=ttl))], counter)
            assert "Nat.UdpOut" not in moved and "Nat.TcpFlows" not in moved and "Nat.EchoOut" not in moved
    there.answers()
    strange = [there.packet(ip4(e, FAR_IP, proto, bytes(20))) for proto in (0, 4, 41, 47, 50, 89, 132, 255)]
    await there.attack(strange, "Ip.InUnknownProtos")
    await there.attack([there.packet(some(e), dst=EVERYBODY)], "Ip.InLinkCast", heard=1)
    large = ip4(e, g, 17, struct.pack("!HHHH", 4000, 9, 8 + 4000, 0) + bytes(4000))
    await there.attack([there.packet(large, dst=GOOD_MAC)], "Guest good.OutTooLong")


@in_arena()
async def test_icmp_of_a_stranger_is_about_nobody_else(there: Arena):
    """Redirects, and errors that quote what the router sends to the other guest: with the smallest MTU there is, with an end."""
    e, g = there.evil_ip, there.good_ip
    await there.attack(
        [there.packet(icmp(e, GATEWAY, 5, code, FAR_IP, some(GATEWAY)[:28])) for code in range(4)], "Icmp.InRedirects"
    )
    await there.attack([there.packet(icmp(e, GATEWAY, 4, 0, 0, some(GATEWAY, g)[:28]))], "Icmp.InSrcQuenchs")
    with contextlib.closing(await there.good.net.udp(remote=(FAR, there.world))) as sock:
        await sock.send(b"a session of the other guest's")
        await there.settled()
        flows = [flow for flow in there.router.flows() if int(flow.src) == g]
        assert sorted(flow.proto for flow in flows) == ["tcp", "tcp", "udp"]
        lies = []
        for flow in flows:
            quote = (udp if flow.proto == "udp" else tcp)(
                FAR_IP, g, flow.dst_port, flow.src_port, *((b"x" * 1400,) if flow.proto == "udp" else ("A",))
            )
            quote = quote[:2] + b"\x05\xdc" + quote[4:28]
            for source in (FAR_IP, GATEWAY):
                lies += [there.packet(icmp(e, source, kind, code, 576 if (kind, code) == (3, 4) else 0, quote))
                         for kind, code in ((3, 4), (3, 1), (3, 2), (3, 3), (11, 0), (12, 0))]  # fmt: skip
        await there.attack(lies, "Icmp.InForeignReports")
        assert there.router.net.stack.ip.mtu_for(g, there.now) == 1500
        assert [flow for flow in there.router.flows() if int(flow.src) == g] == flows
    answers = [there.packet(icmp(e, GATEWAY, kind, 0, 1, bytes(8))) for kind in (13, 14, 17, 18)]
    moved = await there.attack(answers, "Icmp.InMsgs")
    assert "Icmp.OutMsgs" not in moved


@in_arena()
async def test_fragments_are_put_together_or_given_up_and_never_somebody_elses(there: Arena):
    e = there.evil_ip
    body = some(e)[20:] + bytes(100)

    def piece(ident: int, at: int, data: bytes, more: bool = True, proto: int = 17) -> bytes:
        return there.packet(ip4(e, FAR_IP, proto, data, ident=ident, frag=at >> 3 | (MF if more else 0)))

    await there.attack([piece(1, 0, body[:64]), piece(1, 32, b"\xff" * 32)], "Ip.ReasmOverlaps", 1)
    await there.attack([piece(1, 64, body[64:], False)], "Ip.ReasmLate")
    await there.attack([piece(2, 8, tcp(e, FAR_IP, 1, 2, "S")[28:], False, 6)], "Ip.ReasmTiny")
    await there.attack([piece(3, 0, tcp(e, FAR_IP, 1, 2, "S")[20:28], True, 6)], "Ip.ReasmTiny")
    await there.attack([piece(4, 65528, bytes(1000), False)], "Ip.ReasmTooBig")
    await there.attack([piece(5, 0, bytes(63))], "Ip.ReasmInconsistent")
    await there.attack([piece(6, 64, bytes(8), False), piece(6, 128, bytes(8))], "Ip.ReasmInconsistent", 1)
    moved = await there.attack([piece(ident, 0, bytes(1400)) for ident in range(100, 1100)], "Ip.ReasmReqds")
    assert moved["Ip.ReasmLimit"] > 900  # never completed
    core = there.router.net.stack.ip.core
    assert core.reassembly.bytes <= (1 << 20) + 4096
    # and what the other one sends in pieces arrives meanwhile
    with contextlib.closing(await there.good.net.udp(remote=(FAR, there.world))) as sock:
        before = there.counters()
        await sock.send(bytes(4000))
        await there.settled()
        assert there.counters()["Ip.ReasmOKs"] == before["Ip.ReasmOKs"] + 1
        assert there.counters()["Nat.UdpOut"] == before["Nat.UdpOut"] + 1
