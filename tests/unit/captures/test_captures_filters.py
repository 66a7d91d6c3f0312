"""Filters in tcpdump's words."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import pcap
from netstack.captures.filters import facts, parse
from netstack.errors import UsageError
from netstack.pcap import Interface, Packet


def made(data: bytes, linktype: int = pcap.RAW) -> Packet:
    return Packet(0, data, len(data), Interface(linktype))


def ip(proto: int, src: int, dst: int, sport: int = 0, dport: int = 0, fragment: int = 0) -> Packet:
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 28, 0, fragment, 64, proto, 0, 0x0A000000 + src, 0x0A000000 + dst)
    return made(head + struct.pack("!HHI", sport, dport, 0))


HTTP, DNS, PING, LATER = ip(6, 1, 2, 40000, 80), ip(17, 1, 3, 5353, 53), ip(1, 2, 1), ip(17, 1, 3, 5353, 53, fragment=100)
ARP = made(bytes(12) + b"\x08\x06" + bytes(28), pcap.ETHERNET)
PACKETS = {"http": HTTP, "dns": DNS, "ping": PING, "later": LATER, "arp": ARP}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "http dns ping later arp"),
        ("tcp", "http"),
        ("udp", "dns later"),
        ("icmp or arp", "ping arp"),
        ("ip", "http dns ping later"),
        ("not ip", "arp"),
        ("port 53", "dns"),
        ("src port 80", ""),
        ("dst port 80", "http"),
        ("host 10.0.0.2", "http ping"),
        ("src host 10.0.0.2", "ping"),
        ("net 10.0.0.2/31", "http dns ping later"),
        ("dst net 10.0.0.2/31", "http dns later"),
        ("tcp port 80", "http"),
        ("udp and not port 53", "later"),
        ("not (tcp or udp)", "ping arp"),
        ("tcp or udp and port 9", "http"),
        ("(tcp or udp) and port 9", ""),
    ],
)
def test_a_filter_means_what_tcpdump_means_by_it(text: str, meant: str) -> None:
    chosen = parse(text.split())
    assert [name for name, packet in PACKETS.items() if chosen(facts(packet))] == meant.split()


MISTAKES = "tpc|port|port x|port 70000|host|host 1.2.3|net 10.0.0.0/99|(tcp|tcp )|not|tcp or|src tcp"


@pytest.mark.parametrize("text", [*MISTAKES.split("|"), "not " * 99 + "tcp"])
def test_a_mistake_is_one_sentence(text: str) -> None:
    with pytest.raises(UsageError):
        parse([text])


@given(st.binary(max_size=60), st.sampled_from([0, 1, 9, 101, 113, 276, 999]))
def test_any_packet_has_facts(data: bytes, linktype: int) -> None:
    facts(made(data, linktype))
