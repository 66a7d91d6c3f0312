"""The formats, pinned with literal bytes and with two other implementations."""

import io
import json
import struct
import subprocess
from pathlib import Path

import pytest
from netstack_pcap import read_packets

from netstack import pcap
from netstack.errors import UsageError, WireError
from netstack.pcap import CutOff, Decoder, Packet, PcapngWriter, PcapWriter

FRAME = bytes(range(60))


def decode(data: bytes, step: int = 0) -> list[Packet]:
    """All at once, or in pieces of `step` bytes."""
    decoder = Decoder()
    packets = []
    for at in range(0, len(data), step or len(data) or 1):
        packets += decoder.feed(data[at : at + (step or len(data))])
    decoder.finish()
    return packets


def block(order: str, kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return struct.pack(f"{order}II", kind, total) + body + struct.pack(f"{order}I", total)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) & 3)


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", linktype: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", linktype, 0, snaplen) + options)


def enhanced(
    order: str = "<", number: int = 0, ticks: int = 0, data: bytes = FRAME, options: bytes = b"", length: int = 0
) -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length or len(data))
    return block(order, 6, head + data + bytes(-len(data) & 3) + options)


# the smallest of each, from a hex editor
CLASSIC_LITTLE = bytes.fromhex(
    "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000"  # microseconds, 2.4, snaplen 262144, Ethernet
    "01000000 02000000 04000000 3c000000 aabbccdd"  # 1.000002 s, 4 of 60 bytes
)
CLASSIC_BIG_NANO = bytes.fromhex(
    "a1b23c4d 0002 0004 00000000 00000000 00040000 00000065"  # nanoseconds, raw IP
    "00000001 00000002 00000002 00000002 4500"
)
NG_LITTLE = bytes.fromhex(
    "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
    "01000000 14000000 0100 0000 00000400 14000000"
    "06000000 30000000 00000000 00000000 40420f00 03000000 05000000 aabbcc00"  # 1,000,000 us, 3 of 5 bytes
    "0200 0400 02000000 0000 0000 30000000"  # outbound
)
NG_BIG = bytes.fromhex(
    "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"
    "00000001 00000014 0001 0000 00040000 00000014"
    "00000006 00000030 00000000 00000000 000f4240 00000003 00000005 aabbcc00"
    "0002 0004 00000002 0000 0000 00000030"
)


@pytest.mark.parametrize("step", [0, 1, 3, 7])
def test_the_classic_format_in_both_byte_orders_and_resolutions(step: int) -> None:
    (packet,) = decode(CLASSIC_LITTLE, step)
    assert packet[:3] == (1_000_002_000, bytes.fromhex("aabbccdd"), 60)
    assert (packet.interface.linktype, packet.interface.snaplen) == (pcap.ETHERNET, 262_144)
    (packet,) = decode(CLASSIC_BIG_NANO, step)
    assert packet[:3] == (1_000_000_002, b"\x45\x00", 2)
    assert packet.interface.linktype == pcap.RAW


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize("data", [NG_LITTLE, NG_BIG], ids=["little", "big"])
def test_pcapng_in_both_byte_orders(data: bytes, step: int) -> None:
    (packet,) = decode(data, step)
    assert packet[:3] == (1_000_000_000, bytes.fromhex("aabbcc"), 5)
    assert packet.direction == pcap.OUTBOUND
    assert packet.interface == pcap.Interface(snaplen=262_144)


@pytest.mark.parametrize(
    ("resolution", "ticks", "time"),
    [
        (6, 1_500_000, 1_500_000_000),
        (9, 1_500_000_001, 1_500_000_001),
        (3, 1500, 1_500_000_000),
        (0, 2, 2_000_000_000),
        (12, 1_500_000_000_999, 1_500_000_000),
        (0x80 | 10, 1536, 1_500_000_000),  # 1/1024 s
        (0x80 | 32, 3 << 31, 1_500_000_000),
        (0x80, 2, 2_000_000_000),
        (127, 2**64 - 1, 0),
        (255, 2**64 - 1, 0),
    ],
)
def test_timestamps_in_any_resolution(resolution: int, ticks: int, time: int) -> None:
    data = section() + interface(options=option("<", 9, bytes([resolution]))) + enhanced(ticks=ticks)
    assert decode(data)[0].time == time


def test_an_offset_of_seconds_is_added_and_may_be_negative() -> None:
    for offset in (1_700_000_000, -5):
        options = option("<", 14, struct.pack("<q", offset))
        assert decode(section() + interface(options=options) + enhanced(ticks=7))[0].time == offset * 10**9 + 7000


def test_simple_packets_have_no_time_and_are_cut_at_the_snaplen() -> None:
    simple = block("<", 3, struct.pack("<I", 60) + FRAME[:32])
    (packet,) = decode(section() + interface(snaplen=30) + simple)
    assert packet[:3] == (None, FRAME[:30], 60)
    (packet,) = decode(section() + interface() + block("<", 3, struct.pack("<I", 60) + FRAME))
    assert packet[:3] == (None, FRAME, 60)


def test_the_obsolete_packet_block() -> None:
    head = struct.pack(">HHIIII", 1, 77, 0, 5, 4, 4)
    data = section(">") + interface(">", 101) + interface(">", 1) + block(">", 2, head + b"abcd")
    (packet,) = decode(data)
    assert packet[:3] == (5000, b"abcd", 4)
    assert packet.interface.linktype == 1


def test_sections_may_differ_in_byte_order_and_number_their_interfaces_anew() -> None:
    data = (
        section("<")
        + interface("<", options=option("<", 2, b"first"))
        + enhanced("<")
        + section(">")
        + interface(">", 101, options=option(">", 2, b"second\0and no more"))
        + enhanced(">", data=b"\x45")
    )
    for step in (0, 1):
        assert [(packet.interface.name, len(packet.data)) for packet in decode(data, step)] == [("first", 60), ("second", 1)]


def test_comments_and_unknown_options_and_a_missing_end() -> None:
    options = option("<", 1, "Grüße".encode()) + option("<", 999, b"?") + option("<", 1, b"and more")
    for end in (b"", bytes(4), bytes(4) + b"after the end"[:12]):
        (packet,) = decode(section() + interface() + enhanced(options=options + end))
        assert packet.comment == "Grüße\nand more"
        assert packet.direction == pcap.UNKNOWN


@pytest.mark.parametrize("step", [0, 1, 100])
def test_blocks_of_other_types_are_skipped_however_long(step: int) -> None:
    huge = block("<", 0x0000000A, bytes(3 << 20 if step != 1 else 300))
    data = section() + huge + interface() + block("<", 5, bytes(4)) + enhanced() + block("<", 0x80000001, b"")
    decoder = Decoder()
    packets = []
    for at in range(0, len(data), step or 65536):
        packets += decoder.feed(data[at : at + (step or 65536)])
        assert len(decoder._buffer) <= 65536 + 12
    decoder.finish()
    assert [packet.data for packet in packets] == [FRAME]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"GIF89a..", "neither pcapng nor pcap"),
        (bytes.fromhex("34cdb2a1") + bytes(20), "neither pcapng nor pcap"),
        (CLASSIC_LITTLE[:4] + b"\x03\x00" + CLASSIC_LITTLE[6:], "version 3.4"),
        (CLASSIC_LITTLE[:32] + struct.pack("<II", 262_145, 262_145), "a packet of 262145 bytes"),
        (CLASSIC_LITTLE[:32] + b"\xff\xff\xff\xff" * 2, "a packet of 4294967295 bytes"),
        (bytes.fromhex("0a0d0d0a 1c000000 00000000"), "without a byte order"),
        (section().replace(b"\x01\x00\x00\x00\xff", b"\x02\x00\x00\x00\xff"), "version 2.0"),
        (block("<", 0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D)), "a section header of 4 bytes"),
        (section() + struct.pack("<III", 1, 8, 8), "a block of 8 bytes"),
        (section() + struct.pack("<III", 1, 21, 0), "a multiple of 4"),
        (section() + struct.pack("<III", 6, 0xFFFFFFFC, 0), "a block of 4294967292 bytes, where 1048576"),
        (section() + interface()[:-4] + b"\x18\0\0\0", "begins with a length of 20 and ends with one of 24"),
        (section() + block("<", 5, bytes(8))[:-4] + bytes(4), "ends with one of 0"),
        (section() + block("<", 1, bytes(4)), "an interface description of 4 bytes"),
        (section() + enhanced(), "a packet of interface 0, where 0 were described"),
        (section() + block("<", 3, struct.pack("<I", 1) + b"a\0\0\0"), "a packet of interface 0"),
        (section() + interface() + block("<", 3, b""), "a simple packet block of 0 bytes"),
        (section() + interface() + block("<", 3, struct.pack("<I", 100) + b"abcd"), "a packet of 100 bytes in a block that has 4"),
        (section() + interface() + block("<", 6, bytes(16)), "a packet block of 16 bytes"),
        (section() + interface() + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + bytes(8)), "9 bytes in a block that has 8"),
        (section() + interface() + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 262_145, 9)), "a packet of 262145 bytes"),
        (section() + interface() + enhanced(options=struct.pack("<HH", 1, 5) + b"abcd"), "an option of 5 bytes"),
        (section() + interface(options=option("<", 9, b"12")), "if_tsresol of 2 bytes"),
        (section() + interface(options=option("<", 14, b"1234")), "if_tsoffset of 4 bytes"),
        (section() + interface() * 4097, "more than 4096 interfaces"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_lawful_is_a_wire_error_that_says_why(data: bytes, sentence: str) -> None:
    with pytest.raises(WireError, match=sentence):
        decode(data)
    with pytest.raises(WireError, match=sentence):
        decode(data, 1)


def test_packets_before_the_bad_place_come_first_and_the_error_stays() -> None:
    decoder = Decoder()
    assert len(decoder.feed(section() + interface() + enhanced() + enhanced(number=7))) == 1
    for _ in range(2):
        with pytest.raises(WireError, match="interface 7"):
            decoder.feed(enhanced())
    with pytest.raises(WireError, match="interface 7"):
        decoder.finish()


@pytest.mark.parametrize("data", [CLASSIC_LITTLE, NG_BIG, section() + block("<", 5, bytes(400))], ids=["pcap", "pcapng", "skipped"])
def test_a_capture_that_is_cut_off_says_so_wherever_it_is_cut(data: bytes) -> None:
    whole = {0, len(data)} | ({24} if data is CLASSIC_LITTLE else {28, 48} if data is NG_BIG else {28})
    for end in range(len(data)):
        decoder = Decoder()
        decoder.feed(data[:end])
        if end in whole and end:
            decoder.finish()
        else:
            with pytest.raises(CutOff):
                decoder.finish()


# -- writing ---------------------------------------------------------------------------------------------------------------


def ng_file() -> bytes:
    out = io.BytesIO()
    writer = PcapngWriter(out.write, application="a test", epoch=10**18)
    first, second = writer.interface("tap0"), writer.interface("tün0", pcap.RAW, 100)
    writer.packet(first, 1, FRAME, pcap.INBOUND)
    writer.packet(second, 2, FRAME[:33], pcap.OUTBOUND, "dropped: lost on the way", length=60)
    writer.packet(first, 3, b"", comment="x" * 100_000)
    return out.getvalue()


def test_what_is_written_is_read_back() -> None:
    one, two, three = decode(ng_file(), 11)
    assert one[:3] == (10**18 + 1, FRAME, 60)
    assert (one.direction, one.comment, one.interface.name) == (pcap.INBOUND, "", "tap0")
    assert two[:3] == (10**18 + 2, FRAME[:33], 60)
    assert (two.direction, two.comment) == (pcap.OUTBOUND, "dropped: lost on the way")
    assert two.interface == pcap.Interface(pcap.RAW, 100, "tün0", 10**9)
    assert (three.data, three.comment) == (b"", "x" * 65535)


def test_the_first_block_is_pinned() -> None:
    out: list[bytes] = []
    PcapngWriter(out.append, application="abc")
    assert out == [
        bytes.fromhex("0a0d0d0a 28000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0300 61626300 0000 0000 28000000"),
    ]


def test_the_classic_writer_is_pinned_and_read_back() -> None:
    out = io.BytesIO()
    PcapWriter(out.write).packet(1_000_000_002, b"\xaa\xbb", length=60)
    assert out.getvalue() == bytes.fromhex(
        "4d3cb2a1 0200 0400 00000000 00000000 00000400 01000000 01000000 02000000 02000000 3c000000 aabb"
    )
    assert decode(out.getvalue())[0][:3] == (1_000_000_002, b"\xaa\xbb", 60)


def test_misuse_of_the_writers_is_refused() -> None:
    writer = PcapngWriter(lambda block: None)
    with pytest.raises(UsageError, match="interface 0 was not described"):
        writer.packet(0, 0, b"")
    writer.interface("x")
    with pytest.raises(UsageError, match="give an epoch"):
        writer.packet(0, -1, b"")
    with pytest.raises(UsageError, match="give an epoch"):
        PcapWriter(lambda block: None).packet(2**32 * 10**9, b"")


def test_scapy_reads_what_we_write(tmp_path: Path) -> None:
    from scapy.utils import PcapNgReader, RawPcapReader

    path = tmp_path / "ours.pcap"
    with path.open("wb") as file:
        writer = PcapWriter(file.write)
        for n in range(5):
            writer.packet(10**9 * n + 7, FRAME[: 20 + n])
    with RawPcapReader(str(path)) as reader:
        packets = list(reader)
    assert [data for data, _ in packets] == [FRAME[: 20 + n] for n in range(5)]
    assert [(meta.sec, meta.usec) for _, meta in packets] == [(n, 7) for n in range(5)]
    ours = tmp_path / "ours.pcapng"
    ours.write_bytes(ng_file())
    with PcapNgReader(str(ours)) as reader:
        frames = list(reader)
    assert [bytes(frame.original) for frame in frames] == [FRAME, FRAME[:33], b""]
    assert frames[1].comment in (b"dropped: lost on the way", "dropped: lost on the way")


def test_we_read_what_scapy_writes(tmp_path: Path) -> None:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap, wrpcapng

    frames = [Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP() / UDP() / bytes(n) for n in range(4)]
    for n, frame in enumerate(frames):
        frame.time = 1000 + n
    for name, write in (("theirs.pcap", wrpcap), ("theirs.pcapng", wrpcapng)):
        write(str(tmp_path / name), frames)
        with (tmp_path / name).open("rb") as file:
            packets = list(read_packets(file))
        assert [packet.data for packet in packets] == [bytes(frame) for frame in frames]
        assert [packet.time for packet in packets] == [(1000 + n) * 10**9 for n in range(4)]
    for endianness in "<>":
        wrpcap(str(tmp_path / "theirs.pcap"), frames, endianness=endianness, nano=True)
        with (tmp_path / "theirs.pcap").open("rb") as file:
            assert [packet.data for packet in read_packets(file)] == [bytes(frame) for frame in frames]


@pytest.mark.needs("tshark")
def test_wireshark_reads_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / "ours.pcapng"
    path.write_bytes(ng_file())
    done = subprocess.run(
        ["tshark", "-r", str(path), "-T", "json", "-J", "frame pkt_comment"], capture_output=True, text=True, check=True, timeout=60
    )
    frames = [packet["_source"]["layers"]["frame"] for packet in json.loads(done.stdout)]
    assert [(frame["frame.cap_len"], frame["frame.len"]) for frame in frames] == [("60", "60"), ("33", "60"), ("0", "0")]
    assert frames[0]["frame.interface_id_tree"]["frame.interface_name"] == "tap0"
    assert frames[1]["frame.interface_id_tree"]["frame.interface_name"] == "tün0"
    assert str(frames[0]["frame.packet_flags_tree"]["frame.packet_flags_direction"]) in ("1", "0x00000001")
    assert str(frames[1]["frame.packet_flags_tree"]["frame.packet_flags_direction"]) in ("2", "0x00000002")
    assert float(frames[1]["frame.time_epoch"]) == pytest.approx(1e9)
    assert "dropped: lost on the way" in done.stdout
