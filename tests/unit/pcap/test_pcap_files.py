"""The captures in pcaps/: each has its page, and says what the page says."""

import re
from pathlib import Path

import pytest
from netstack_pcap import Pcap, read_packets

from netstack import captures, pcap
from netstack.address import Mac
from netstack.captures import Stream, streams
from netstack.pcap import Packet
from netstack.testing.clock import VirtualClock
from netstack.testing.dissect import describe
from netstack.testing.netifs import Probe

FOLDER = Path(__file__).resolve().parents[3] / "pcaps"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".pcap", ".pcapng"))


def read(name: str) -> list[Packet]:
    with (FOLDER / name).open("rb") as file:
        return list(read_packets(file))


def ones_sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[o : o + 2].ljust(2, b"\0"), "big") for o in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_capture_has_a_page_and_is_sound(path: Path) -> None:
    page = path.with_suffix(".md").read_text("utf-8")
    for heading in ("**Provenance.**", "**Licence.**", "**What it proves.**"):
        assert heading in page
    packets = read(path.name)
    assert packets
    assert all(packet.length == len(packet.data) for packet in packets) or "-cut" in path.name
    times = [packet.time for packet in packets]
    assert times == sorted(times)
    for packet in packets:
        if packet.interface.linktype == pcap.ETHERNET and packet.data[12:14] == b"\x08\x00":
            header = packet.data[14 : 14 + (packet.data[14] & 15) * 4]
            assert ones_sum(header) == 0xFFFF
            assert "192.0.2." in describe(packet.data)


def test_linux_says_in_tcp_what_its_page_says() -> None:
    packets = read("linux-tcp.pcapng")
    lines = [describe(packet.data) for packet in packets]
    assert lines[0].startswith("ARP who has 192.0.2.2?") and "is at" in lines[1]
    tcp = [line for line in lines if "Flags" in line]
    for syn, flags in ((tcp[0], "[S]"), (tcp[1], "[S.]")):
        assert f"Flags {flags}, " in syn
        assert re.search(r"options \[mss 1460, sackOK, TS val \d+ ecr \d+, wscale 10\]", syn)
    lengths = [int(line.rpartition("length ")[2]) for line in lines if line.startswith("IP 192.0.2.2.80 >")]
    assert sum(lengths) == 20_061
    assert max(lengths) == 1448
    assert ["Flags [F.]" in line for line in tcp[-5:]] == [True, True, False, False, False]
    assert "Flags [S]" in tcp[-2]
    assert re.fullmatch(r"IP 192.0.2.2.81 > .*: Flags \[R.\], seq 0, ack \d+, win 0, length 0", tcp[-1])
    for packet in packets:
        datagram = packet.data[14 : 14 + int.from_bytes(packet.data[16:18], "big")]
        if packet.data[12:14] == b"\x08\x00":
            assert ones_sum(datagram[12:20] + b"\0\6" + (len(datagram) - 20).to_bytes(2, "big") + datagram[20:]) == 0xFFFF


def test_linux_says_in_icmp_what_its_page_says() -> None:
    lines = [describe(packet.data) for packet in read("linux-icmp.pcapng")]
    fragments = [line for line in lines if "fragment" in line]
    assert [re.search(r"at \d+|more", line)[0] for line in fragments] == ["more", "at 1480", "at 2960"] * 2
    assert [re.search(r"length (\d+)", line)[1] for line in fragments] == ["1480", "1480", "1048"] * 2
    assert lines[-1] == "IP 192.0.2.2 > 192.0.2.1: ICMP unreachable, port, length 50"


def test_played_to_the_server_it_hears_the_client() -> None:
    packets = read("linux-tcp.pcapng")
    server = Mac(int.from_bytes(packets[1].data[6:12], "big"))
    device = Pcap((FOLDER / "linux-tcp.pcapng").open("rb"), mac=server, speed=None)
    probe, clock = Probe(device), VirtualClock()
    clock.add(probe)
    clock.run_due()
    heard = probe.take()
    assert heard == [packet.data for packet in packets if packet.data[6:12] != bytes(server)]
    assert len(heard) + device.mib.InOwn == len(packets)
    device.close()


def lines(name: str) -> "tuple[Stream, Stream]":
    (connection,) = streams(FOLDER / name)
    assert (connection.server, connection.opened, connection.closed) == (("192.0.2.2", 80), "handshake", "closed")
    return connection.to_server, connection.to_client


SAID = b"".join(b"line %04d\n" % i for i in range(3000))


@pytest.mark.parametrize("name", ["linux-loss.pcap", "linux-cooked.pcap"])
def test_what_was_lost_on_the_way_is_in_its_place(name: str) -> None:
    up, down = lines(name)
    assert up.data == SAID and down.data == b"got 30000 bytes\n"
    assert up.whole and down.whole and up.retransmitted == 1448
    assert up.out_of_order == (5 if "loss" in name else 0)  # the sender has seen them in order


def test_the_cooked_headers_are_what_their_pages_say() -> None:
    for name in ("linux-cooked.pcap", "linux-cooked2-cut.pcap"):
        items = [item for item in captures.read(FOLDER / name) if isinstance(item, captures.Datagram)]
        assert {item.direction for item in items if item.data[12:16] == bytes((192, 0, 2, 1))} == {pcap.OUTBOUND}
        assert {item.direction for item in items if item.data[12:16] == bytes((192, 0, 2, 2))} == {pcap.INBOUND}
        assert all(item.src_mac is not None and item.dst_mac is None for item in items)


def test_what_was_cut_off_is_missing_where_it_was() -> None:
    up, down = lines("linux-cooked2-cut.pcap")
    assert (up.length, len(up.gaps), up.missing) == (30_000, 21, 29_496) and down.whole
    assert all(SAID[offset : offset + len(chunk)] == chunk for offset, chunk in up.chunks())
