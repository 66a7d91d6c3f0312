"""Anything inside UDP; and ours against scapy's."""

import random
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.udp import DatagramQueue, Udp
from tests.unit.ipv4.ipworld import Host, datagram

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import IP, UDP
    from scapy.packet import Raw


def world() -> tuple[Host, Udp, DatagramQueue]:  # type: ignore[type-arg]  # over whatever ip the host has
    host = Host()
    udp = Udp(host.ip, random.Random(2))
    queue = DatagramQueue(udp.mib)
    udp.bind(0, 53, queue)
    return host, udp, queue


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_delivered_or_counted(data: bytes, ours: bool) -> None:
    host, udp, queue = world()
    if ours:  # to the port that is bound, without a checksum: so that more than the first checks are met
        data = data[:2] + b"\0\x35" + data[4:6] + b"\0\0" + data[8:]
    host.receive(datagram(data))
    m = udp.mib
    assert m.InDatagrams + m.NoPorts + m.InErrors == 1
    assert len(queue) == m.InDatagrams
    assert m.InErrors == m.InCsumErrors + m.InBadLength + m.InTooShort


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1400), st.integers(0, 65535))
def test_what_scapy_builds_is_received_and_what_is_changed_is_not(data: bytes, sport: int) -> None:
    host, udp, queue = world()
    packet = bytes(IP(src="10.79.0.2", dst="10.79.0.1") / UDP(sport=sport, dport=53) / Raw(data))
    host.receive(packet)
    assert queue.get() == (data, 0x0A4F0002, sport)
    at = 20 + sport % (len(packet) - 20)
    host.receive(packet[:at] + bytes([packet[at] ^ 0x10]) + packet[at + 1 :])
    assert len(queue) == 0 and udp.mib.InErrors + udp.mib.NoPorts == 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1472), st.integers(1, 65535))
def test_what_we_send_scapy_reads(data: bytes, dport: int) -> None:
    host, udp, _ = world()
    udp.bind(0, 4000, DatagramQueue(udp.mib)).send(data, 0x0A4F0002, dport, host.now)
    (sent,) = host.take()
    read = IP(sent)
    assert (read[UDP].sport, read[UDP].dport, read[UDP].len, bytes(read[UDP].payload)) == (4000, dport, 8 + len(data), data)
    again = IP(src="10.79.0.1", dst="10.79.0.2", id=read.id) / UDP(sport=4000, dport=dport) / Raw(data)
    assert bytes(again)[20:] == sent[20:]
