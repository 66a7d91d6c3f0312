"""A TCP segment out of the bytes of a datagram. Total: any bytes give a segment or None, and of one that is cut what is there."""

from struct import Struct
from typing import NamedTuple

from .. import const

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

_IP = Struct("!BxHxxHxB")  # version and length of the header, total length, flags and offset of the fragment, protocol
_ENDS = Struct("!II")
_TCP = Struct("!HHIIHH")
_BLOCK = Struct("!II")
_END, _NOP, _MSS, _WSCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8


class Segment(NamedTuple):
    """Addresses and numbers as they stand in the headers. `mss` 0, `wscale`, `tsval` and `tsecr` -1: the option is not there."""

    src: int
    sport: int
    dst: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int  # as in the header: not scaled
    n: int  # bytes of text, by the lengths in the headers
    text: int  # where they begin in the bytes that were read
    mss: int = 0
    wscale: int = -1
    sack_permitted: bool = False
    tsval: int = -1
    tsecr: int = -1
    sacks: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        """Sequence numbers that it takes."""
        return self.n + (self.flags >> 1 & 1) + (self.flags & 1)


def segment(b: bytes, o: int = 0) -> Segment | None:
    """The segment in the IPv4 datagram that begins at `o`; None for anything else, a later fragment too."""
    if len(b) < o + 40:
        return None
    version_length, total, fragment, protocol = _IP.unpack_from(b, o)
    tcp = o + ((version_length & 15) << 2)
    if version_length >> 4 != 4 or protocol != const.PROTO_TCP or fragment & 0x1FFF or tcp < o + 20 or len(b) < tcp + 20:
        return None
    src, dst = _ENDS.unpack_from(b, o + 12)
    return in_tcp(b, tcp, src, dst, (total or len(b) - o) - (tcp - o))  # 0: a super-segment that the device was to cut


def in_tcp(b: bytes, o: int, src: int, dst: int, total: int) -> Segment | None:
    """The segment whose header begins at `o`, of `total` bytes, between these addresses. None when its lengths don't fit."""
    if len(b) < o + 20:
        return None
    sport, dport, seq, ack, offset_flags, window = _TCP.unpack_from(b, o)
    header = offset_flags >> 12 << 2
    n = total - header
    if header < 20 or n < 0:
        return None
    plain = Segment(src, sport, dst, dport, seq, ack, offset_flags & 0x3F, window, n, o + header)
    return plain if header == 20 else _with_options(plain, b, o + 20, min(o + header, len(b)))


def _with_options(plain: Segment, b: bytes, o: int, end: int) -> Segment:
    """RFC 9293 3.2. Whatever doesn't fit ends the list."""
    mss, wscale, permitted, tsval, tsecr = 0, -1, False, -1, -1
    sacks: list[tuple[int, int]] = []
    while o < end and b[o] != _END:
        kind = b[o]
        if kind == _NOP:
            o += 1
            continue
        n = b[o + 1] if o + 1 < end else 0
        if n < 2 or o + n > end:
            break
        if kind == _MSS and n == 4:
            mss = b[o + 2] << 8 | b[o + 3]
        elif kind == _WSCALE and n == 3:
            wscale = min(b[o + 2], 14)  # RFC 7323 2.3
        elif kind == _SACK_PERMITTED:
            permitted = True
        elif kind == _SACK:
            sacks += [_BLOCK.unpack_from(b, at) for at in range(o + 2, o + n - 7, 8)]
        elif kind == _TIMESTAMPS and n == 10:
            tsval, tsecr = _BLOCK.unpack_from(b, o + 2)
        o += n
    return plain._replace(mss=mss, wscale=wscale, sack_permitted=permitted, tsval=tsval, tsecr=tsecr, sacks=tuple(sacks))


def between(a: int, b: int) -> int:
    """How far `b` is behind `a` on the circle of sequence numbers; negative when it is before."""
    ahead = (b - a) & const.M32
    return ahead - (ahead >> 31 << 32)


def flag_words(flags: int) -> str:
    """`"SYN,ACK"`; nothing for an ACK alone, which every segment but the first has."""
    shown = [word for bit, word in ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (URG, "URG")) if flags & bit]
    if flags & ACK and flags & (SYN | RST):
        shown.append("ACK")
    return ",".join(shown)
