"""Ethernet headers as values, pinned by literal bytes."""

import pytest

from netstack.address import Mac
from netstack.errors import UsageError, WireError
from netstack.ethif import wire

FRAME = bytes.fromhex("ffffffffffff 020000000002 0806 0001")


def test_a_frame_has_destination_source_type_and_payload():
    parsed = wire.parse(FRAME)
    assert parsed == (Mac(0xFFFFFFFFFFFF), Mac(0x020000000002), 0x0806, b"\x00\x01")
    assert parsed.dst == wire.BROADCAST
    assert wire.build(parsed) == FRAME


def test_padding_fills_up_to_sixty_bytes():
    padded = wire.build(wire.parse(FRAME), pad=True)
    assert padded == FRAME + bytes(44)
    assert len(padded) == 60


def test_a_header_cut_short_is_a_wire_error():
    for n in range(14):
        with pytest.raises(WireError, match=f"14 bytes, not {n}"):
            wire.parse(FRAME[:n])
    assert wire.parse(FRAME[:14]).payload == b""


def test_a_length_in_place_of_the_type_is_a_wire_error():
    with pytest.raises(WireError, match=r"1535 .* IEEE 802\.3"):
        wire.parse(FRAME[:12] + b"\x05\xff")
    assert wire.parse(FRAME[:12] + b"\x06\x00").ethertype == 0x0600


@pytest.mark.parametrize("ethertype", [0, 1500, 0x05FF, 0x10000, -1])
def test_only_ethertypes_are_built(ethertype):
    with pytest.raises(UsageError, match="0x0600 to 0xffff"):
        wire.build(wire.EthernetFrame(Mac(1), Mac(2), ethertype, b""))
