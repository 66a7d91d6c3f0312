"""ARP packets, pinned by literal bytes (the layout of RFC 826)."""

import pytest

from netstack.errors import WireError
from netstack.ethif.arp_wire import REPLY, REQUEST, ArpPacket, build, parse

REQUEST_BYTES = bytes.fromhex("0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")
REPLY_BYTES = bytes.fromhex("0001 0800 06 04 0002 020000000002 0a000002 020000000001 0a000001")


def test_a_request_reads_and_writes():
    p = ArpPacket(REQUEST, 0x020000000001, 0x0A000001, 0, 0x0A000002)
    assert parse(REQUEST_BYTES) == p
    assert build(p) == REQUEST_BYTES
    assert str(p) == "ARP who has 10.0.0.2? tell 10.0.0.1 at 02:00:00:00:00:01"
    assert not p.is_probe


def test_a_reply_reads_and_writes():
    p = ArpPacket(REPLY, 0x020000000002, 0x0A000002, 0x020000000001, 0x0A000001)
    assert parse(REPLY_BYTES) == p
    assert build(p) == REPLY_BYTES
    assert str(p) == "ARP 10.0.0.2 is at 02:00:00:00:00:02"


def test_a_request_without_a_sender_address_is_a_probe():
    assert ArpPacket(REQUEST, 1, 0, 0, 0x0A000001).is_probe
    assert not ArpPacket(REPLY, 1, 0, 0, 0x0A000001).is_probe


def test_padding_is_not_looked_at():
    assert parse(REPLY_BYTES + b"\xee" * 18) == parse(REPLY_BYTES)


def test_a_packet_cut_short_is_a_wire_error():
    for n in range(28):
        with pytest.raises(WireError, match=f"28 bytes, not {n}"):
            parse(REPLY_BYTES[:n])


@pytest.mark.parametrize(
    ("at", "value"), [(1, 6), (2, 0x86), (3, 1), (4, 8), (5, 16), (7, 0), (7, 3), (6, 1)],
    ids=["token ring", "protocol", "protocol low", "hln", "pln", "op 0", "op 3", "op 257"],
)  # fmt: skip
def test_anything_but_ipv4_over_ethernet_is_a_wire_error(at, value):
    spoiled = bytearray(REPLY_BYTES)
    spoiled[at] = value
    with pytest.raises(WireError):
        parse(bytes(spoiled))
