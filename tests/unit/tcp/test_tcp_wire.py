"""The segment as a value, and the options of a SYN."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from netstack import const
from netstack.errors import WireError
from netstack.tcp import wire
from netstack.tcp.options import Options, put_syn, send_mss
from netstack.tcp.wire import Segment

SRC, DST = 0x0A4F0001, 0x0A4F0002
# captured from a Linux host: SYN to port 80 with MSS 1460, SACK permitted, timestamps, window scale 7
SYN = bytes.fromhex("d4310050 1c6a2f5b 00000000 a002faf0 00000000 020405b4 0402080a 6d2b1c0f 00000000 01030307".replace(" ", ""))


def test_a_syn_of_linux_field_by_field() -> None:
    segment = Segment.decode(SYN)
    assert (segment.sport, segment.dport, segment.seq, segment.ack) == (54321, 80, 0x1C6A2F5B, 0)
    assert (segment.flags, segment.window, segment.payload) == (const.SYN, 64240, b"")
    assert segment.option(2) == b"\x05\xb4" and segment.option(3) == b"\x07" and segment.option(4) == b""
    assert segment.option(8) == bytes.fromhex("6d2b1c0f00000000") and segment.option(5) is None
    assert segment.length == 1


def test_the_options_of_that_syn() -> None:
    options = Options()
    assert options.parse(bytearray(SYN), 20, 40)
    assert (options.mss, options.wscale, options.sack_permitted) == (1460, 7, True)
    assert (options.tsval, options.tsecr) == (0x6D2B1C0F, 0)


segments = st.builds(
    Segment,
    sport=st.integers(0, 65535),
    dport=st.integers(0, 65535),
    seq=st.integers(0, 2**32 - 1),
    ack=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 0x3F),
    window=st.integers(0, 65535),
    options=st.integers(0, 10).map(lambda n: b"\x01" * (4 * n)),
    payload=st.binary(max_size=100),
    urgent=st.integers(0, 65535),
)


@given(segments)
def test_scapy_agrees_and_it_comes_back(segment: Segment) -> None:
    data = segment.encode(SRC, DST)
    assert wire.checksum_ok(data, SRC, DST)
    assert Segment.decode(data) == segment
    theirs = TCP(data)
    assert (theirs.sport, theirs.dport, theirs.seq, theirs.ack) == (segment.sport, segment.dport, segment.seq, segment.ack)
    assert (int(theirs.flags), theirs.window, theirs.urgptr) == (segment.flags, segment.window, segment.urgent)
    packet = IP(bytes(IP(src="10.79.0.1", dst="10.79.0.2", proto=6) / data))
    check = packet[TCP].chksum
    del packet[TCP].chksum
    assert IP(bytes(packet))[TCP].chksum == check


@given(st.binary(max_size=80))
def test_decoding_is_total(data: bytes) -> None:
    try:
        segment = Segment.decode(data)
    except WireError:
        return
    with contextlib.suppress(WireError):
        segment.option(2)
    assert str(segment)


@given(st.binary(max_size=60))
def test_parsing_options_is_total(data: bytes) -> None:
    options = Options()
    options.parse(bytearray(data), 0, len(data))
    assert 0 <= options.mss <= 65535 and -1 <= options.wscale <= 14


@pytest.mark.parametrize(
    ("text", "lawful", "mss", "wscale"),
    [
        ("", True, 0, -1),
        ("00020405b4", True, 0, -1),  # nothing counts after the end
        ("01010101", True, 0, -1),
        ("020405b4", True, 1460, -1),
        ("020305", True, 0, -1),  # MSS with a wrong length: skipped
        ("0303ff", True, 0, 14),
        ("03040700", True, 0, -1),
        ("fe0400000303 05", True, 0, 5),  # an unknown one is skipped by its length
        ("020405b402", False, 1460, -1),  # a kind without its length
        ("020405b40200", False, 1460, -1),  # length zero: the classic endless loop
        ("020405b40201", False, 1460, -1),
        ("020405b4020605", False, 1460, -1),  # beyond the header
        ("02", False, 0, -1),
    ],
)
def test_options_good_and_malformed(text: str, lawful: bool, mss: int, wscale: int) -> None:
    data = bytes.fromhex(text.replace(" ", ""))
    options = Options()
    assert options.parse(bytearray(data), 0, len(data)) is lawful
    assert (options.mss, options.wscale) == (mss, wscale)


def test_the_options_that_we_send_byte_for_byte() -> None:
    header = bytearray(40)
    assert put_syn(header, 40, 1460, 7, False, False, 0, 0) == 8
    assert header[32:] == bytes.fromhex("020405b401030307")
    assert put_syn(header, 40, 536, -1, False, False, 0, 0) == 4
    assert header[36:] == bytes.fromhex("02040218")
    assert put_syn(header, 40, 1460, 7, False, True, 0xFEDCBA98, 0x01020304) == 20
    assert header[20:] == bytes.fromhex("020405b4 0101080a fedcba98 01020304 01030307")
    assert put_syn(header, 40, 1460, 7, True, True, 0xFEDCBA98, 0x01020304) == 20
    assert header[20:] == bytes.fromhex("020405b4 0402080a fedcba98 01020304 01030307")
    assert put_syn(header, 40, 1460, -1, True, False, 0, 0) == 8
    assert header[32:] == bytes.fromhex("020405b4 01010402")


@pytest.mark.parametrize(
    ("announced", "mtu", "mss"),
    [(1460, 1500, 1460), (9000, 1500, 1460), (0, 1500, 536), (1, 1500, 88), (1460, 100, 88), (0, 576, 536)],
)
def test_the_mss_that_is_sent(announced: int, mtu: int, mss: int) -> None:
    assert send_mss(announced, mtu) == mss


@pytest.mark.parametrize("length", range(8))
def test_a_quote_of_less_than_eight_bytes_names_nobody(length: int) -> None:
    with pytest.raises(WireError):
        wire.quoted(bytes(length))


def test_a_quote_of_eight_bytes_names_ports_and_sequence_number() -> None:
    assert wire.quoted(bytes.fromhex("00500051deadbeef")) == (80, 81, 0xDEADBEEF)


def test_flags_as_text() -> None:
    assert wire.flag_text(const.SYN | const.ACK) == "SA" and wire.flag_bits("SA") == const.SYN | const.ACK
    with pytest.raises(WireError):
        Segment(1, 2, 3, 4, 5, 6, options=b"\x01").encode(SRC, DST)
