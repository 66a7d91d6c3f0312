"""Which TCP segment is this? For lines that drop the seventh segment of a flow, or its first retransmission, or pure ACKs.

A list of segments to drop is written as people say it: `5`, `5-8` (a burst), `5+6+9r1` (the fifth, the sixth, and the first
retransmission of the ninth). Segments that carry data are numbered from 1 in each flow and direction, in the order of their
first transmission; a retransmission belongs to the segment whose first byte it carries, however it is cut this time.
"""

import re
import struct
from collections.abc import Iterable

from .. import const, serial
from ..errors import UsageError

# A flow that is watched costs some 500 bytes; a test that opens more connections than this over a picky line did not mean them all.
FLOWS = 65_536

_ITEM = re.compile(r"(\d+)(?:-(\d+))?(?:r(\d+))?", re.ASCII)
_SEQ = struct.Struct("!I")

Pick = tuple[int, int]
Picks = tuple[Pick, ...]


def read_picks(value: "str | int | Iterable[int | Pick]") -> Picks:
    """`"5-7+9r1"`, `5`, `(5, 6)`, `((9, 1),)` as pairs: a segment, and which of its retransmissions, 0 for the original."""
    if isinstance(value, int):
        value = (value,)
    pairs: list[Pick] = []
    if isinstance(value, str):
        for item in filter(None, value.split("+")):
            match = _ITEM.fullmatch(item.strip())
            if match is None:
                raise UsageError(f"{item!r} names no segment: write a number from 1, like 5, 5-8, or 5r1 for its retransmission")
            first, last, again = int(match[1]), int(match[2] or match[1]), int(match[3] or 0)
            pairs += [(n, again) for n in range(first, last + 1)]
    else:
        pairs = [(item, 0) if isinstance(item, int) else item for item in value]
    for n, again in pairs:
        if n < 1 or again < 0:
            raise UsageError(f"segment {n}, retransmission {again}: the first segment of a flow is 1, its original 0")
    return tuple(sorted(set(pairs)))


def show_picks(picks: Picks) -> str:
    """In the form that `read_picks` reads."""
    return "+".join(f"{n}r{again}" if again else str(n) for n, again in picks)


class TcpLook:
    """What a look at a frame finds, for whoever needs no more: valid until the next look."""

    __slots__ = ("at", "flags", "flow", "header", "length", "seq")

    def __init__(self, header: int) -> None:
        self.header = header  # of the link, in bytes
        self.at = 0
        self.flow = b""
        self.seq = 0
        self.length = 0
        self.flags = 0

    def see(self, frame: bytes) -> bool:
        """Is it a whole TCP segment over IPv4, or the first fragment of one?"""
        at = self.header
        size = len(frame) - at
        if size < 40 or frame[at] >> 4 != 4 or frame[at + 9] != const.PROTO_TCP:
            return False
        if at >= 14 and (frame[at - 2] != 0x08 or frame[at - 1] != 0):
            return False
        if (frame[at + 6] << 8 | frame[at + 7]) & const.IP_OFFSET:
            return False
        ihl = (frame[at] & 15) << 2
        total = frame[at + 2] << 8 | frame[at + 3]
        tcp = at + ihl
        if ihl < 20 or total > size or total < ihl + 20:
            return False
        self.length = total - ihl - (frame[tcp + 12] >> 4 << 2)
        if self.length < 0:
            return False
        self.at = at
        self.flow = frame[at + 12 : at + 20] + frame[tcp : tcp + 4]
        self.seq = _SEQ.unpack_from(frame, tcp + 4)[0]
        self.flags = frame[tcp + 13]
        return True

    def is_pure_ack(self) -> bool:
        """An acknowledgement and nothing else."""
        return not self.length and self.flags & (const.SYN | const.FIN | const.RST | const.ACK) == const.ACK


class Flow:
    """What a picky line remembers of one direction of a connection."""

    __slots__ = ("count", "high", "watched")

    def __init__(self, high: int) -> None:
        self.high = high  # the sequence number after the last byte seen
        self.count = 0
        self.watched: dict[int, list[int]] = {}  # segment: its first sequence number, how often it was sent again


class Picker:
    """Says of each segment whether it stands on the list."""

    __slots__ = ("flows", "last", "wanted")

    def __init__(self, picks: Picks) -> None:
        self.wanted = frozenset(picks)
        self.last = {n for n, _ in picks}
        self.flows: dict[bytes, Flow] = {}

    def picks(self, look: TcpLook) -> str:
        """Which segment it is, in words, when it is on the list; else an empty string."""
        if look.flags & const.SYN:
            self.flows.pop(look.flow, None)
        if not look.length:
            return ""
        flow = self.flows.get(look.flow)
        if flow is None:
            if len(self.flows) >= FLOWS:
                return ""
            flow = self.flows[look.flow] = Flow(look.seq)
        end = serial.add(look.seq, look.length)
        found = ""
        if serial.le(flow.high, look.seq):
            flow.count += 1
            if flow.count in self.last:
                flow.watched[flow.count] = [look.seq, 0]
                if (flow.count, 0) in self.wanted:
                    found = f"segment {flow.count}"
        else:
            for n, place in flow.watched.items():
                if serial.between(look.seq, place[0], end):
                    place[1] += 1
                    if (n, place[1]) in self.wanted:
                        found = f"retransmission {place[1]} of segment {n}"
        if serial.lt(flow.high, end):
            flow.high = end
        return found
