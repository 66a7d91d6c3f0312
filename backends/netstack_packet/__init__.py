"""A network card of this machine, by a packet socket: the stack is a host of its own on the card's Ethernet.

    netstack.open("packet:eth0", ip="192.0.2.7/24")

The kernel and its other programs go on as they were. Mind that

- **the address must not be the kernel's.** A kernel that has it answers too, and resets connections that it does not know. Give the
  stack an address of its own, or take the kernel's away (`ip addr flush dev eth0`): then all of the card is the stack's;
- the kernel of this very machine is not on the other side of its own card, so it can't be reached this way, nor reach us: a tap
  is for that;
- the stack has the card's link address unless it is given another one (`mac=…`). With another one the card must listen for it,
  which not every virtual network lets through;
- a packet socket needs the capability CAP_NET_RAW.

Checksums and segments are left to the card, or to what the kernel does in its place, both ways (`offload=no`: not on the way out).

**Two ways to read.** `ring=no`, the default: a frame for each call, at once. `ring=yes`: the kernel writes frames into memory that
is shared with us (TPACKET_V3), block by block, and tells of a block when it is full or a millisecond old. That is cheaper for
many small frames, and holds more of them while nobody reads; a lone frame waits for its millisecond.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .card import CardUnavailable as CardUnavailable
from .card import NotAllowed as NotAllowed
from .factory import open_packet as open_packet
from .netif import Packet as Packet

__all__ = ["CardUnavailable", "NotAllowed", "Packet", "open_packet"]
