"""ARP packets for IPv4 over Ethernet (RFC 826). Addresses are ints: 48 bits of link address, 32 bits of internet address.

     0      2      4     5     6    8       14      18      24      28
    | hrd=1| pro  | hln | pln | op | sha   | spa   | tha   | tpa   | padding …
"""

import struct
from typing import NamedTuple

from ..address import Mac, ip4_text
from ..errors import WireError

SIZE = 28
REQUEST = 1
REPLY = 2

_PACKET = struct.Struct("!HHBBHHIIHII")  # a link address is 16 and 32 bits
_PREFIX = (1, 0x0800, 6, 4)


class ArpPacket(NamedTuple):
    """`sha`, `spa`: the sender's link and internet address. `tha`, `tpa`: the target's."""

    op: int
    sha: int
    spa: int
    tha: int
    tpa: int

    @property
    def is_probe(self) -> bool:
        """A request that speaks for no address: 'does anybody have tpa?' (RFC 5227 1.1)."""
        return self.op == REQUEST and self.spa == 0

    def __str__(self) -> str:
        if self.op == REPLY:
            return f"ARP {ip4_text(self.spa)} is at {Mac(self.sha)}"
        return f"ARP who has {ip4_text(self.tpa)}? tell {ip4_text(self.spa)} at {Mac(self.sha)}"


def parse(data: bytes) -> ArpPacket:
    """The first 28 bytes of `data`; what follows is padding. Raises WireError.

    The reserved link addresses are not judged here: a codec does not decide.
    """
    if len(data) < SIZE:
        raise WireError(f"an ARP packet has {SIZE} bytes, not {len(data)}")
    hrd, pro, hln, pln, op, sha_high, sha_low, spa, tha_high, tha_low, tpa = _PACKET.unpack_from(data)
    if (hrd, pro, hln, pln) != _PREFIX:
        raise WireError(f"hardware {hrd}, protocol {pro:#06x}, lengths {hln} and {pln} are not IPv4 over Ethernet")
    if op not in (REQUEST, REPLY):
        raise WireError(f"{op} is neither an ARP request nor a reply")
    return ArpPacket(op, sha_high << 32 | sha_low, spa, tha_high << 32 | tha_low, tpa)


def build(p: ArpPacket) -> bytes:
    """28 bytes."""
    return _PACKET.pack(
        *_PREFIX, p.op, p.sha >> 32, p.sha & 0xFFFFFFFF, p.spa, p.tha >> 32, p.tha & 0xFFFFFFFF, p.tpa
    )
