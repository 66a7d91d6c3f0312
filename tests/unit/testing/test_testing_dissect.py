"""One line for a frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from netstack.testing.dissect import describe

E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
I = IP(src="10.0.0.1", dst="10.0.0.2")  # noqa: E741  # as in the headers


@pytest.mark.parametrize(
    ("packet", "line"),
    [
        (E / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2"), "ARP who has 10.0.0.2? tell 10.0.0.1"),
        (E / ARP(op=1, psrc="0.0.0.0", pdst="10.0.0.2"), "ARP who has 10.0.0.2?"),
        (
            E / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.1", hwsrc="02:00:00:00:00:01"),
            "ARP announcement of 10.0.0.1 at 02:00:00:00:00:01",
        ),
        (E / ARP(op=2, psrc="10.0.0.1", hwsrc="02:00:00:00:00:01"), "ARP 10.0.0.1 is at 02:00:00:00:00:01"),
        (E / I / ICMP(id=7, seq=1) / b"1234", "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 12"),
        (E / I / ICMP(type=0, id=7, seq=1), "IP 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 7, seq 1, length 8"),
        (
            E / I / ICMP(type=3, code=4, nexthopmtu=1400),
            "IP 10.0.0.1 > 10.0.0.2: ICMP unreachable, need to frag, mtu 1400, length 8",
        ),
        (E / I / ICMP(type=11, code=0), "IP 10.0.0.1 > 10.0.0.2: ICMP time exceeded, code 0, length 8"),
        (E / I / UDP(sport=53, dport=1024) / b"abc", "IP 10.0.0.1.53 > 10.0.0.2.1024: UDP, length 3"),
        (
            E
            / I
            / TCP(
                sport=80, dport=1024, flags="SA", seq=1, ack=2, window=100, options=[("MSS", 1460), ("NOP", None), ("WScale", 7)]
            ),
            "IP 10.0.0.1.80 > 10.0.0.2.1024: Flags [S.], seq 1, ack 2, win 100, options [mss 1460, wscale 7], length 0",
        ),
        (
            E / I / TCP(sport=80, dport=1024, flags="PA", seq=0xFFFFFFFF, ack=2, window=100) / b"hello",
            "IP 10.0.0.1.80 > 10.0.0.2.1024: Flags [P.], seq 4294967295:4, ack 2, win 100, length 5",
        ),
        (
            E / I / TCP(flags="A", sport=1, dport=2, seq=3, ack=4, window=5, options=[("SAck", (10, 20)), ("Timestamp", (1, 2))]),
            "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], seq 3, ack 4, win 5, options [sack 10:20, TS val 1 ecr 2], length 0",
        ),
        (
            E / IP(src="10.0.0.1", dst="10.0.0.2", frag=185, id=9, proto=17) / b"x",
            "IP 10.0.0.1 > 10.0.0.2: fragment of id 9 at 1480, proto 17, length 1",
        ),
        (E / I / UDP(sport=1, dport=2), "IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 0"),
        (E / IPv6(src="fd00::1", dst="fd00::2", nh=59), "IP6 fd00:0:0:0:0:0:0:1 > fd00:0:0:0:0:0:0:2: next header 59, length 0"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_frame_in_one_line(packet: Packet, line: str) -> None:
    assert describe(bytes(packet)) == line
    if packet.haslayer(IP):
        assert describe(bytes(packet)[14:], ethernet=False) == line


@given(
    st.binary(max_size=120),
    st.booleans(),
    st.sampled_from([b"", bytes(12) + b"\x08\x00\x45", bytes(12) + b"\x08\x06\0\1\x08\0\6\4"]),
)
def test_any_bytes_give_one_line(data: bytes, ethernet: bool, start: bytes) -> None:
    line = describe(start + data, ethernet)
    assert line and "\n" not in line


def test_cut_off_options_are_said_to_be() -> None:
    packet = bytearray(bytes(E / I / TCP(options=[("MSS", 1460)])))
    packet[14 + 20 + 21] = 9
    assert "options [cut off]" in describe(bytes(packet))
