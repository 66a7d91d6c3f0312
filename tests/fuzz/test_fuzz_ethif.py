"""Decoders of the link are total, and agree with scapy; a host on the link survives whatever arrives."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack import const
from netstack.address import Mac
from netstack.errors import WireError
from netstack.ethif import arp_wire, wire
from netstack.ethif.arp import Arp
from netstack.ethif.ethif import Ethif
from netstack.netif import FrameNetif
from netstack.testing.ports import HopPort
from netstack.timers import Timers

scapy_l2 = pytest.importorskip("scapy.layers.l2", reason="scapy is the oracle: pip install scapy")

macs = st.integers(0, 2**48 - 1)
ips = st.integers(0, 2**32 - 1)
packets = st.builds(arp_wire.ArpPacket, st.sampled_from([1, 2]), macs, ips, macs, ips)


def quad(ip: int) -> str:
    return ".".join(str(octet) for octet in ip.to_bytes(4, "big"))


@given(st.binary(max_size=100))
def test_every_frame_is_a_value_or_a_wire_error(frame):
    try:
        parsed = wire.parse(frame)
    except WireError:
        return
    assert wire.build(parsed) == frame


@given(macs, macs, st.integers(0x0600, 0xFFFF), st.binary(max_size=60))
def test_frames_are_built_as_scapy_builds_them(dst, src, ethertype, payload):
    theirs = scapy_l2.Ether(dst=str(Mac(dst)), src=str(Mac(src)), type=ethertype) / payload
    assert wire.build(wire.EthernetFrame(Mac(dst), Mac(src), ethertype, payload)) == bytes(theirs)


@given(st.binary(max_size=60))
def test_every_arp_packet_is_a_value_or_a_wire_error(data):
    try:
        parsed = arp_wire.parse(data)
    except WireError:
        return
    assert arp_wire.build(parsed) == data[:28]


@given(packets, st.binary(max_size=4))
def test_what_was_built_parses(packet, padding):
    assert arp_wire.parse(arp_wire.build(packet) + padding) == packet


@given(packets)
def test_arp_packets_are_built_as_scapy_builds_them(p):
    theirs = scapy_l2.ARP(
        hwtype=1, ptype=0x0800, hwlen=6, plen=4, op=p.op,
        hwsrc=str(Mac(p.sha)), psrc=quad(p.spa), hwdst=str(Mac(p.tha)), pdst=quad(p.tpa),
    )  # fmt: skip
    assert arp_wire.build(p) == bytes(theirs)


@given(packets)
def test_arp_packets_that_scapy_built_mean_the_same(p):
    theirs = scapy_l2.ARP(arp_wire.build(p))
    assert (theirs.op, theirs.hwsrc, theirs.psrc, theirs.hwdst, theirs.pdst) == (
        p.op, str(Mac(p.sha)), quad(p.spa), str(Mac(p.tha)), quad(p.tpa),
    )  # fmt: skip


# -- a host on a hostile link -------------------------------------------------------------------------------------------------

OWN = 0x020000000001
# few values, so that packets meet entries; among them all that are not lawful
few_macs = st.sampled_from([OWN, 0x020000000002, 0x020000000003, 0, 0xFFFFFFFFFFFF, 0x01005E000001])
few_ips = st.sampled_from([0x0A000001, 0x0A000002, 0x0A000003, 0x0A000009, 0, 0xFFFFFFFF, 0xE0000001, 0x7F000001])
arp_frames = st.builds(
    lambda dst, src, op, sha, spa, tha, tpa, cut: (
        dst.to_bytes(6, "big") + src.to_bytes(6, "big") + b"\x08\x06" + arp_wire.build(arp_wire.ArpPacket(op, sha, spa, tha, tpa))
    )[:cut],
    few_macs, few_macs, st.sampled_from([1, 2]), few_macs, few_ips, few_macs, few_ips, st.sampled_from([42, 42, 42, 42, 41, 20]),
)  # fmt: skip
honest_frames = st.builds(
    lambda dst, src, op, spa, tpa: (
        dst.to_bytes(6, "big") + src.to_bytes(6, "big") + b"\x08\x06" + arp_wire.build(arp_wire.ArpPacket(op, src, spa, OWN, tpa))
    ),
    st.sampled_from([OWN, 0xFFFFFFFFFFFF]), st.sampled_from([0x020000000002, 0x020000000003]),
    st.sampled_from([1, 2]), few_ips, few_ips,
)  # fmt: skip
steps = st.one_of(
    st.tuples(st.just("frame"), st.one_of(arp_frames, honest_frames, st.binary(max_size=64))),
    st.tuples(st.just("send"), few_ips),
    st.tuples(st.just("progress"), few_ips),
    st.tuples(st.just("wait"), st.sampled_from([1, 1_000_000_000, 4_000_000_000, 40_000_000_000])),
    st.tuples(st.just("address"), few_ips),
    st.tuples(st.just("static"), st.sampled_from([0x0A000002, 0x0A000003])),
)


class Device(FrameNetif):
    def __init__(self) -> None:
        super().__init__("dev0", Mac(OWN), 1500)
        self.sent: list[bytes] = []

    def transmit(self, frame: bytes, now: int) -> None:
        self.sent.append(frame)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=40), st.integers(0, 2**16))
def test_whatever_arrives_the_table_stays_lawful(script, seed):
    device, timers, now = Device(), Timers(0), 0
    arp = Arp(Ethif(device), timers, random.Random(seed))
    arp.on_unreachable = lambda hop, packet, now: None
    port = HopPort(arp.core)
    arp.add_address(0x0A000001, 0)
    static: set[int] = set()
    for what, value in script:
        if what == "frame":
            device.receive(value, now)
        elif what == "send":
            port.send(b"packet", value, now, 0x0A000001)
        elif what == "progress":
            port.progress(value, now)
        elif what == "static":
            arp.add_static(value, 0x020000000007, now)
            static.add(value)
        elif what == "address":
            if value == 0x0A000009 and value not in arp.claims:
                arp.add_address(value, now, probe=True)
        else:
            now += value
            timers.run(now)
        assert len(device.sent) < 200
        for entry in arp.table():
            assert int(entry.ip) in (0x0A000001, 0x0A000002, 0x0A000003, 0x0A000009)
            assert int(entry.ip) not in arp.claims
            assert entry.mac is None or int(entry.mac) in (0x020000000002, 0x020000000003, 0x020000000007)
            assert (int(entry.mac or 0) == 0x020000000007) == (int(entry.ip) in static)
        cache = arp.cache
        shelved = {**cache.asked, **cache.heard_only, **cache.known}
        assert len(shelved) == len(cache.asked) + len(cache.heard_only) + len(cache.known) == len(cache.table) - len(static)
        for n in cache.table.values():
            waits = n.state in (const.NUD_INCOMPLETE, const.NUD_DELAY, const.NUD_PROBE, const.NUD_FAILED)
            assert n.armed() == waits
            assert not n.queue or n.state == const.NUD_INCOMPLETE
        for frame in device.sent:
            if frame[12:14] == b"\x08\x06":
                packet = arp_wire.parse(frame[14:])
                assert packet.sha == OWN
                assert packet.spa in (0x0A000001, 0x0A000009) or packet.is_probe
            else:
                assert int.from_bytes(frame[:6], "big") not in (0, OWN)
        device.sent.clear()
