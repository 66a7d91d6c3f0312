"""Slots of the rings of a network interface (xen/io/netif.h), and their numbers. A twin, never compiled: slots.pxd is its C.

    tx request    12   u32 gref, u16 offset, u16 flags, u16 id, u16 size
    tx response        u16 id, s16 status
    rx request     8   u16 id, u16 unused, u32 gref
    rx response    8   u16 id, u16 offset, u16 flags, s16 status
    extra          8   u8 type, u8 flags, 6 bytes by type: in a slot of either ring

Getters look at a slot once, and give a copy. Byte order is the machine's. `m` and `o` as in shm.py.
"""

import struct

from . import shm

REQ_PROD = 0  # offsets in a ring's page
REQ_EVENT = 4
RSP_PROD = 8
RSP_EVENT = 12
FIRST = 64  # the slots

TX = 12  # bytes of a slot
RX = 8
CTRL = 16
ENTRIES = 256  # of a tx or rx ring of one page
CTRL_ENTRIES = 128

LEAST = 18  # slots that every backend takes for one packet (XEN_NETIF_NR_SLOTS_MIN)
LONGEST = 65535  # bytes of a packet: the first slot says them in 16 bits

# flags of tx; those of rx are numbered otherwise
TX_CSUM_BLANK = 1  # the transport checksum holds the sum of the pseudo-header
TX_DATA_VALIDATED = 2
TX_MORE_DATA = 4
TX_EXTRA_INFO = 8

RX_DATA_VALIDATED = 1
RX_CSUM_BLANK = 2
RX_MORE_DATA = 4
RX_EXTRA_INFO = 8
RX_GSO_PREFIX = 16  # of old backends, to who asked for it

OKAY = 0
ERROR = -1
DROPPED = -2
NULL = 1  # the answer to an extra

EXTRA_GSO = 1
EXTRA_MCAST_ADD = 2
EXTRA_MCAST_DEL = 3
EXTRA_HASH = 4
EXTRA_MORE = 1  # flag: another extra follows

GSO_TCPV4 = 1
GSO_TCPV6 = 2

# what comes of looking for a frame
LIE = -1  # nothing more can be had from these rings
NOTHING = 0
LOST = 1  # a frame, which was counted and not taken
TAKEN = 2

# what is wrong with a frame that came
GOOD = 0
ERRED = 1
BAD_ID = 2
BAD_SIZE = 3
BAD_EXTRA = 4
BAD_GSO = 5
TOO_LONG = 6
TOO_SHORT = 7
UNFINISHED = 8

_TX = struct.Struct("=IHHHH")
_TX_RESPONSE = struct.Struct("=Hh")
_RX = struct.Struct("=HHI")
_RX_RESPONSE = struct.Struct("=HHHh")


def _check(m: memoryview, o: int, n: int) -> None:
    if o < 0 or o + n > m.nbytes:
        raise IndexError("past the end")


def get_tx(m: memoryview, o: int) -> tuple[int, int, int, int, int]:
    """Grant, offset, flags, id, size."""
    _check(m, o, 12)
    t: tuple[int, int, int, int, int] = _TX.unpack_from(m, o)
    return t


def put_tx(m: memoryview, o: int, gref: int, offset: int, flags: int, id: int, size: int) -> None:
    _check(m, o, 12)
    _TX.pack_into(m, o, gref & 0xFFFFFFFF, offset & 0xFFFF, flags & 0xFFFF, id & 0xFFFF, size & 0xFFFF)


def get_tx_response(m: memoryview, o: int) -> tuple[int, int]:
    """Id, status."""
    _check(m, o, 4)
    t: tuple[int, int] = _TX_RESPONSE.unpack_from(m, o)
    return t


def put_tx_response(m: memoryview, o: int, id: int, status: int) -> None:
    _check(m, o, 4)
    _TX_RESPONSE.pack_into(m, o, id & 0xFFFF, status)


def get_rx(m: memoryview, o: int) -> tuple[int, int]:
    """Id, grant."""
    _check(m, o, 8)
    id, _, gref = _RX.unpack_from(m, o)
    return id, gref


def put_rx(m: memoryview, o: int, id: int, gref: int) -> None:
    _check(m, o, 8)
    _RX.pack_into(m, o, id & 0xFFFF, 0, gref & 0xFFFFFFFF)


def get_rx_response(m: memoryview, o: int) -> tuple[int, int, int, int]:
    """Id, offset, flags, status."""
    _check(m, o, 8)
    t: tuple[int, int, int, int] = _RX_RESPONSE.unpack_from(m, o)
    return t


def put_rx_response(m: memoryview, o: int, id: int, offset: int, flags: int, status: int) -> None:
    _check(m, o, 8)
    _RX_RESPONSE.pack_into(m, o, id & 0xFFFF, offset & 0xFFFF, flags & 0xFFFF, status)


def get_extra(m: memoryview, o: int) -> tuple[int, int, int]:
    """Type, flags, and the six bytes by type as a number, the first byte the lowest."""
    _check(m, o, 8)
    b = shm.take(m, o, 8)
    return b[0], b[1], int.from_bytes(b[2:], "little")


def put_extra(m: memoryview, o: int, type: int, flags: int, rest: int) -> None:
    _check(m, o, 8)
    m[o : o + 8] = bytes((type & 0xFF, flags & 0xFF)) + (rest & 0xFFFFFFFFFFFF).to_bytes(6, "little")


def gso(size: int, kind: int) -> int:
    """The six bytes of a GSO extra: `size` is the MSS, `kind` one of GSO_*."""
    return (size & 0xFFFF) | (kind & 0xFF) << 16


def gso_size(rest: int) -> int:
    return rest & 0xFFFF


def gso_kind(rest: int) -> int:
    return rest >> 16 & 0xFF


def gso_features(rest: int) -> int:
    """None is defined: what isn't 0 says something that nobody here understands."""
    return rest >> 32 & 0xFFFF
