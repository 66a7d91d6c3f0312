"""What packets carry: links and their tags, fragments, what was cut, and what no capture should be."""

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import pcap
from netstack.captures import CapturesMib, Datagram, Other, read
from netstack.captures.files import FREE
from netstack.errors import WireError

# 10.0.0.1:1000 to 10.0.0.2:53, UDP, "hello"
UDP = bytes.fromhex("45000021 00010000 40110000 0a000001 0a000002 03e80035 000d0000 68656c6c6f")
MACS = bytes.fromhex("020000000002 020000000001")


def capture(linktype: int, *packets: bytes, lengths: "dict[int, int] | None" = None) -> io.BytesIO:
    file = io.BytesIO()
    writer = pcap.PcapWriter(file.write, linktype)
    for i, packet in enumerate(packets):
        writer.packet(i * 1000, packet, (lengths or {}).get(i, 0))
    return io.BytesIO(file.getvalue())


def only(file: io.BytesIO) -> Any:
    (item,) = read(file)
    return item


@pytest.mark.parametrize(
    ("linktype", "header", "vlan"),
    [
        (pcap.ETHERNET, MACS + b"\x08\x00", ()),
        (pcap.ETHERNET, MACS + bytes.fromhex("8100 2064 0800"), (100,)),
        (pcap.ETHERNET, MACS + bytes.fromhex("88a8 0007 8100 0064 0800"), (7, 100)),
        (pcap.ETHERNET, MACS + bytes.fromhex("9100 0001 9200 0002 8100 0003 0800"), (1, 2, 3)),
        (pcap.ETHERNET, MACS + bytes.fromhex("0029 aaaa03000000 0800"), ()),
        (pcap.ETHERNET, MACS + bytes.fromhex("8864 1100 0001 0023 0021"), ()),
        (pcap.ETHERNET, MACS + bytes.fromhex("8847 00010040 00011140"), ()),
        (pcap.LINUX_SLL, bytes.fromhex("0004 0001 0006 020000000001 0000 0800"), ()),
        (pcap.LINUX_SLL, bytes.fromhex("0000 0001 0006 020000000001 0000 8100 0064 0800"), (100,)),
        (pcap.LINUX_SLL2, bytes.fromhex("0800 0000 00000003 0001 04 06 020000000001 0000"), ()),
        (pcap.NULL, bytes.fromhex("02000000"), ()),
        (pcap.NULL, bytes.fromhex("00000002"), ()),
        (pcap.LOOP, bytes.fromhex("00000002"), ()),
        (pcap.RAW, b"", ()),
        (pcap.IPV4, b"", ()),
        (12, b"", ()),
        (9, bytes.fromhex("ff03 0021"), ()),
        (9, bytes.fromhex("21"), ()),
        (50, bytes.fromhex("ff03 0021"), ()),
        (51, bytes.fromhex("1100 0001 0023 0021"), ()),
        (104, bytes.fromhex("0f00 0800"), ()),
    ],
)  # fmt: skip
def test_a_datagram_is_found_behind_the_header_of_any_link(linktype: int, header: bytes, vlan: tuple[int, ...]) -> None:
    item = only(capture(linktype, header + UDP + bytes(13)))
    assert isinstance(item, Datagram)
    assert (item.number, item.numbers, item.time, item.cut) == (1, (1,), 0, False)
    assert item.data == UDP  # without what pads the frame
    assert item.vlan == vlan


def test_a_link_says_who_sent_a_packet_and_which_way_it_went() -> None:
    ethernet = only(capture(pcap.ETHERNET, MACS + b"\x08\x00" + UDP))
    assert (ethernet.dst_mac, ethernet.src_mac) == (MACS[:6], MACS[6:])
    cooked = only(capture(pcap.LINUX_SLL, bytes.fromhex("0004 0001 0006 020000000001 0000 0800") + UDP))
    assert (cooked.src_mac, cooked.dst_mac, cooked.direction) == (MACS[6:], None, pcap.OUTBOUND)
    cooked2 = only(capture(pcap.LINUX_SLL2, bytes.fromhex("0800 0000 00000003 0001 00 06 020000000001 0000") + UDP))
    assert (cooked2.src_mac, cooked2.direction) == (MACS[6:], pcap.INBOUND)


def test_what_is_not_ipv4_comes_as_other() -> None:
    arp = MACS + b"\x08\x06" + bytes(28)
    loopback6 = bytes.fromhex("1e000000") + b"\x60" + bytes(39)
    mib = CapturesMib()
    assert list(read(capture(pcap.ETHERNET, arp), mib)) == [Other(1, 0, 0x0806, bytes(28), "", MACS[6:], MACS[:6])]
    assert only(capture(pcap.NULL, loopback6)).ethertype == 0x86DD
    assert only(capture(147, UDP)).reason == "link type 147 is not read"
    assert only(capture(pcap.ETHERNET, b"short")).reason == "too short for the header of its link"
    assert mib.snapshot() == {**CapturesMib().snapshot(), "Packets": 1, "Others": 1}


@pytest.mark.parametrize("bad", ["55", "44", "4f", "45000013", "45"])
def test_a_header_that_is_not_lawful_is_no_datagram(bad: str) -> None:
    mib = CapturesMib()
    (item,) = read(capture(pcap.RAW, bytes.fromhex(bad) + UDP[len(bad) // 2 :][: 20 if bad == "4f" else 40]), mib)
    if bad == "55":
        assert isinstance(item, Other) and item.ethertype == 0
    elif bad == "45":
        assert isinstance(item, Datagram)
    else:
        assert isinstance(item, Other) and item.reason == "no lawful IPv4 header" and mib.BadHeader == 1


def test_interfaces_of_different_links_stand_in_one_file() -> None:
    file = io.BytesIO()
    writer = pcap.PcapngWriter(file.write)
    first, second = writer.interface("eth0"), writer.interface("lo", pcap.NULL)
    writer.packet(second, 5, bytes.fromhex("02000000") + UDP, pcap.INBOUND)
    writer.packet(first, 6, MACS + b"\x08\x00" + UDP, pcap.OUTBOUND)
    one, two = read(io.BytesIO(file.getvalue()))
    assert one.data == two.data == UDP
    assert [(i.number, i.time, i.interface, i.direction) for i in (one, two)] == [(1, 5, "lo", 1), (2, 6, "eth0", 2)]


def fragment(offset: int, more: bool, data: bytes, ident: int = 9) -> bytes:
    return (
        struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(data), ident, more << 13 | offset >> 3, 64, 17, 0, 0x0A000001, 0x0A000002)
        + data
    )


def test_fragments_come_as_the_datagram_that_they_were() -> None:
    text = bytes(range(40))
    pieces = [
        fragment(16, True, text[16:32]),
        UDP,
        fragment(0, True, text[:16]),
        fragment(0, True, text[:16]),
        fragment(32, False, text[32:]),
    ]
    mib = CapturesMib()
    found: list[Any] = list(read(capture(pcap.RAW, *pieces), mib))
    other, whole = found
    assert other.number == 2 and other.data == UDP
    assert whole.numbers == (1, 3, 4, 5) and whole.number == 5
    assert whole.data[20:] == text
    assert whole.data[:8] == bytes.fromhex("4500003c 0009 0000")
    assert (mib.Packets, mib.Datagrams, mib.Fragments, mib.Incomplete) == (5, 2, 4, 0)


def test_fragments_that_overlap_or_are_missing_make_no_datagram() -> None:
    text = bytes(range(40))
    mib = CapturesMib()
    overlap = [fragment(0, True, text[:24]), fragment(16, False, text[16:])]
    missing = [fragment(0, True, text[:24], 10)]
    reader = read(capture(pcap.RAW, *overlap, *missing), mib)
    assert list(reader) == []
    assert (mib.Incomplete, reader.ip.ReasmOverlaps) == (2, 1)


def test_fragments_of_which_only_the_beginning_was_captured_are_passed_over() -> None:
    mib = CapturesMib()
    (item,) = read(capture(pcap.RAW, fragment(0, True, bytes(24))[:30], lengths={0: 44}), mib)
    assert isinstance(item, Other) and item.reason == "a fragment that was cut" and mib.CutFragments == 1


def test_a_packet_that_was_cut_says_so() -> None:
    mib = CapturesMib()
    (item,) = read(capture(pcap.RAW, UDP[:29], lengths={0: len(UDP)}), mib)
    assert item.cut and item.data == UDP[:29] and mib.Cut == 1


def test_padding_that_was_cut_off_is_no_loss() -> None:
    item = only(capture(pcap.RAW, UDP, lengths={0: 60}))
    assert item.data == UDP and not item.cut


def test_a_length_left_to_the_device_is_the_captured_one() -> None:
    mib = CapturesMib()
    (item,) = read(capture(pcap.RAW, UDP[:2] + b"\0\0" + UDP[4:] + bytes(100_000)), mib)
    assert isinstance(item, Datagram) and len(item.data) == len(UDP) + 100_000 and mib.NoLength == 1


def test_gzip_around_it_makes_no_difference() -> None:
    plain = capture(pcap.RAW, *[UDP] * 3).getvalue()
    packed = gzip.compress(plain[:50]) + gzip.compress(plain[50:]) + bytes(20)
    assert list(read(io.BytesIO(packed))) == list(read(io.BytesIO(plain)))


def test_a_file_that_ends_early_gives_what_it_has() -> None:
    plain = capture(pcap.RAW, *[UDP] * 3).getvalue()
    for data in (plain[:-1], plain[:-40], gzip.compress(plain)[:-9], b""):
        mib = CapturesMib()
        assert len(list(read(io.BytesIO(data), mib))) <= 2 or data[:2] == b"\x1f\x8b"
        assert mib.CutFiles == 1


@pytest.mark.parametrize(
    ("broken", "number"), [(b"\xff" * 16, 3), (gzip.compress(b"no capture", mtime=0), 1), (b"\x1f\x8b\0\0\0\0", 1)]
)
def test_an_error_has_the_number_of_its_packet(broken: bytes, number: int) -> None:
    data = broken if number == 1 else capture(pcap.RAW, UDP, UDP).getvalue() + broken
    found = []
    with pytest.raises(WireError, match=f"^packet {number}: "):
        for item in read(io.BytesIO(data)):
            found.append(item)
    assert len(found) == number - 1


def test_a_bomb_is_refused() -> None:
    with pytest.raises(WireError, match="gunzip"):
        for _ in read(
            io.BytesIO(
                gzip.compress(
                    capture(pcap.RAW).getvalue() + b"\0\0\0\0\0\0\0\0\0\0\4\0\0\0\4\0".ljust(262_160, b"\0") * (FREE // 200_000)
                )
            )
        ):
            pass


def test_a_path_is_opened_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture(pcap.RAW, UDP, UDP).getvalue())
    items = read(path)
    assert next(items).number == 1
    del items  # an unclosed file would be a warning, and a warning is an error here
    with pytest.raises(FileNotFoundError):
        next(read(tmp_path / "b.pcap"))


@given(st.sampled_from([1, 9, 12, 50, 51, 101, 104, 108, 113, 0, 228, 276]), st.lists(st.binary(max_size=80), max_size=4))
def test_any_packets_are_read(linktype: int, packets: list[bytes]) -> None:
    mib = CapturesMib()
    items = list(read(capture(linktype, *packets), mib))
    assert mib.Packets == len(packets)
    assert len(items) <= len(packets)


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 7), st.booleans())
def test_a_mutated_capture_is_an_error_or_is_read(noise: bytes, at: int, kind: int, packed: bool) -> None:
    data = bytearray(capture(pcap.RAW, *[UDP, fragment(0, True, UDP[:24]), fragment(24, False, UDP)] * 2).getvalue())
    data[at : at + len(noise) % 9] = noise
    try:
        list(read(io.BytesIO(gzip.compress(data) if packed else bytes(data))))
    except WireError as error:
        assert str(error).startswith("packet ")


def test_a_time_that_no_clock_shows_is_none() -> None:
    file = io.BytesIO()
    writer = pcap.PcapngWriter(file.write)
    writer.interface("lo", pcap.RAW)
    writer.packet(0, (1 << 64) - 1, fragment(0, True, UDP[:24]))
    writer.packet(0, (1 << 64) - 1, fragment(24, False, UDP))
    mib = CapturesMib()
    (item,) = read(io.BytesIO(file.getvalue()), mib)
    assert item.time is None and mib.BadTimes == 2
