"""What a time-sequence diagram is drawn of: the segments of one connection, read off the frames that passed.

The two directions are drawn apart. `out` is our data: segments that we sent, and, from the other side, up to where it acknowledged
them, the end of the window that it offered, and what it SACKed. `into` is the peer's data with our acknowledgements.

Numbers are counted from the initial sequence number on, and go on past 2**32. Segments that follow each other within GRAIN become
one when there are more than FEW of them in a batch: the picture stays the same, and a fast connection doesn't drown who looks.
"""

from struct import Struct
from typing import Any

from ... import const
from ...pcap import OUTBOUND
from .ring import Kept

GRAIN = 2_000_000  # ns: a tenth of a pixel where ten seconds are a thousand pixels wide
FEW = 64  # segments of a batch that are told one by one
MOST = 1500  # things told in one batch: beyond, they are counted and not told

SENT, AGAIN, LATE = 0, 1, 2
_IPV4 = b"\x08\x00"
_IP = Struct("!BxHxxHxB")  # version and length of the header, total length, flags and offset of the fragment, protocol
_TCP = Struct("!xxxxIIHH")  # sequence, acknowledgement, offset and flags, window
_BLOCK = Struct("!II")


class Way:
    """One direction."""

    def __init__(self, ours: bool) -> None:
        self.ours = ours
        self.at = -1  # the highest number seen
        self.end = -1  # of the data seen
        self.acked = self.edge = -1
        self.data: list[list[int]] = []  # t0, seq0, t1, seq1, kind
        self.acks: list[list[int]] = []  # t, number, window's end
        self.sacks: list[list[int]] = []  # t, from, to
        self.skipped = 0

    def near(self, offset: int) -> int:
        """The number that is `offset` modulo 2**32 and nearest to the highest that was seen."""
        at = self.at
        if at < 0:
            return offset
        ahead = (offset - at) & const.M32
        return max(0, at + ahead - (ahead >> 31 << 32))

    def number(self, offset: int) -> int:
        """The same, and it has been seen now."""
        number = self.near(offset)
        self.at = max(self.at, number)
        return number

    def take(self) -> dict[str, Any]:
        told = {"data": self.data, "acks": self.acks, "sacks": self.sacks, "skipped": self.skipped}
        self.data, self.acks, self.sacks, self.skipped = [], [], [], 0
        return told

    def segment(self, t: int, offset: int, n: int) -> None:
        start = self.number(offset)
        stop = start + n
        kind = SENT
        if start < self.end:
            kind = AGAIN if self.ours else LATE
        self.end = max(self.end, stop)
        data = self.data
        if len(data) >= FEW and (last := data[-1])[4] == kind and last[3] == start and t - last[0] < GRAIN // 1000:
            last[2], last[3] = t, stop
        elif len(data) < MOST:
            data.append([t, start, t, stop, kind])
        else:
            self.skipped += 1

    def acknowledged(self, t: int, offset: int, window: int) -> None:
        number = self.number(offset)
        edge = number + window
        if (number, edge) == (self.acked, self.edge):
            return
        self.acked, self.edge = number, edge
        acks = self.acks
        if len(acks) >= 2 * FEW and t - acks[-2][0] < GRAIN // 1000:
            acks[-1] = [t, number, edge]
        elif len(acks) < MOST:
            acks.append([t, number, edge])
        else:
            self.skipped += 1

    def sacked(self, t: int, start: int, stop: int) -> None:
        if len(self.sacks) < MOST:
            first = self.number(start)
            self.sacks.append([t, first, first + ((stop - start) & const.M32)])
        else:
            self.skipped += 1


class Trace:
    """Of the connection between `here` and `there`, whose frames have `link` bytes before their IPv4 header.

    `scales` are the shifts of windows that we send, and of those that come. Times are microseconds after `epoch` nanoseconds.
    """

    def __init__(
        self, here: tuple[int, int], there: tuple[int, int], iss: int, irs: int, scales: tuple[int, int], link: int, epoch: int
    ) -> None:
        self._out_key = _key(here, there)
        self._in_key = _key(there, here)
        self._iss = iss
        self._irs = irs
        self._scales = scales
        self._link = link
        self._epoch = epoch
        self.out = Way(True)
        self.into = Way(False)
        self.segments = 0

    def know(self, irs: int, scales: tuple[int, int]) -> None:
        """What the peer's SYN has said, for who began before it came."""
        self._irs = irs
        self._scales = scales

    def frame(self, kept: Kept) -> None:
        """Look at one; whatever it is, nothing is raised."""
        b = kept.data
        ip = self._link
        if len(b) < ip + 40 or (ip and b[ip - 2 : ip] != _IPV4):
            return
        version_length, total, fragment, protocol = _IP.unpack_from(b, ip)
        tcp = ip + ((version_length & 15) << 2)
        if version_length >> 4 != 4 or protocol != const.PROTO_TCP or fragment & 0x3FFF or tcp < ip + 20 or len(b) < tcp + 20:
            return
        sent = kept.direction == OUTBOUND
        if b[ip + 12 : ip + 20] + b[tcp : tcp + 4] != (self._out_key if sent else self._in_key):
            return
        seq, ack, offset_flags, window = _TCP.unpack_from(b, tcp)
        header = offset_flags >> 12 << 2
        text = total - (tcp - ip) - header
        if header < 20 or text < 0:
            return
        self.segments += 1
        t = (kept.time - self._epoch) // 1000
        way, back = (self.out, self.into) if sent else (self.into, self.out)
        mine, theirs = (self._iss, self._irs) if sent else (self._irs, self._iss)
        n = text + bool(offset_flags & const.FIN) + bool(offset_flags & const.SYN)
        if n:
            way.segment(t, (seq - mine) & const.M32, n)
        if offset_flags & const.ACK and not offset_flags & const.RST:
            shift = 0 if offset_flags & const.SYN else self._scales[0 if sent else 1]  # RFC 7323 2.2: of a SYN it is not scaled
            back.acknowledged(t, (ack - theirs) & const.M32, window << shift)
            self._sack(b, tcp + 20, min(tcp + header, len(b)), t, back, theirs)

    def _sack(self, b: bytes, o: int, end: int, t: int, back: Way, base: int) -> None:
        """RFC 2018 3: option 5."""
        while o + 1 < end:
            kind = b[o]
            if kind == 0:
                return
            if kind == 1:
                o += 1
                continue
            n = b[o + 1]
            if n < 2 or o + n > end:
                return
            if kind == 5:
                for i in range(o + 2, o + n - 7, 8):
                    start, stop = _BLOCK.unpack_from(b, i)
                    back.sacked(t, (start - base) & const.M32, (stop - base) & const.M32)
            o += n

    def take(self) -> dict[str, Any]:
        """What has happened since the last time."""
        return {"out": self.out.take(), "in": self.into.take()}


def _key(a: tuple[int, int], b: tuple[int, int]) -> bytes:
    return a[0].to_bytes(4, "big") + b[0].to_bytes(4, "big") + a[1].to_bytes(2, "big") + b[1].to_bytes(2, "big")
