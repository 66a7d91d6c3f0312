"""Ethernet II frames as values: for tests, tools and traces. The packet path reads the same header with `raw.get_eth`.

    0        6        12          14
    | dst    | src    | EtherType | payload …

The frame check sequence is the hardware's business and is never seen here; neither is padding, which only the internet
header can tell from payload.
"""

from typing import NamedTuple

from ..address import Mac
from ..errors import UsageError, WireError

HEADER = 14
MIN_TYPE = 0x0600  # below, the field is the length of an IEEE 802.3 frame (RFC 894, IEEE 802.3 3.2.6)
MIN_FRAME = 60  # without the check sequence; shorter frames are padded by whoever puts them on a real wire

BROADCAST = Mac(0xFFFFFFFFFFFF)


class EthernetFrame(NamedTuple):
    """An Ethernet II frame."""

    dst: Mac
    src: Mac
    ethertype: int
    payload: bytes


def parse(frame: bytes) -> EthernetFrame:
    """The parts of `frame`, padding left at the end of the payload. Raises WireError on short and on IEEE 802.3 frames."""
    if len(frame) < HEADER:
        raise WireError(f"an Ethernet header has {HEADER} bytes, not {len(frame)}")
    ethertype = frame[12] << 8 | frame[13]
    if ethertype < MIN_TYPE:
        raise WireError(f"{ethertype} in place of the EtherType is the length of an IEEE 802.3 frame")
    return EthernetFrame(
        Mac(int.from_bytes(frame[:6], "big")), Mac(int.from_bytes(frame[6:12], "big")), ethertype, bytes(frame[HEADER:])
    )


def build(frame: EthernetFrame, pad: bool = False) -> bytes:
    """The bytes of `frame`; with `pad`, zeros up to the 60 bytes that a real wire asks for. Raises UsageError."""
    if not MIN_TYPE <= frame.ethertype <= 0xFFFF:
        raise UsageError(f"{frame.ethertype:#x} is not an EtherType: give one from 0x0600 to 0xffff")
    whole = bytes(frame.dst) + bytes(frame.src) + frame.ethertype.to_bytes(2, "big") + frame.payload
    return whole.ljust(MIN_FRAME, b"\0") if pad else whole
