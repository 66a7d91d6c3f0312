"""The byte streams of the TCP connections in a capture, both directions of each, with what is known of when and how they came.

    for connection in streams("bug.pcapng"):
        print(connection.client, connection.server, connection.to_server.data[:80])

Put together by the stack's own receive queue (half.py says how, follow.py what belongs together). In whatever order the packets
stand: what is late or doubled changes nothing, and a capture that runs backwards is turned round first.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from itertools import chain, islice
from os import PathLike
from typing import BinaryIO, NamedTuple

import attrs

from .. import serial
from ..address import ip4_text
from ..errors import UsageError, WireError
from .follow import CONNECTIONS, MEMORY, Follower, Track
from .half import Half
from .mib import StreamsMib
from .reading import Datagram, Other, read
from .segments import ACK, RST, SYN, Segment, segment

LOOK = 2000  # packets at which it is decided which way a capture runs
BACKWARDS = 1 << 30  # bytes of packets that are held to turn a capture round


class Piece(NamedTuple):
    """Bytes that one packet was the first to bring. `time` in nanoseconds, None where the file has no times."""

    time: int | None
    offset: int
    length: int
    number: int


class Conflict(NamedTuple):
    """Packet `number` had other bytes for a place that had been filled: those that came first are in `data`."""

    number: int
    offset: int
    length: int


class Stream:
    """One direction. Offsets count from its first byte, those that are missing included."""

    def __init__(self, half: Half, timed: bool) -> None:
        self._half = half
        self._timed = timed

    def __repr__(self) -> str:
        return f"<Stream of {self.length} bytes{', ' + str(self.missing) + ' of them missing' if self.missing else ''}>"

    @property
    def data(self) -> bytes:
        """All bytes that the capture has, in order. Where some are missing (`gaps`) what follows them comes at once."""
        return b"".join(self._half.chunks)

    def chunks(self) -> "Iterator[tuple[int, bytes]]":
        """The same, in parts as they came, each with its offset."""
        origin = self._half.origin
        for start, chunk in zip(self._half.starts, self._half.chunks, strict=True):
            yield start - origin, chunk

    @property
    def pieces(self) -> "list[Piece]":
        """Which packet brought what, in the order in which they came."""
        log, origin, timed = self._half.log, self._half.origin, self._timed
        return [
            Piece(log[i] if timed else None, log[i + 1] - origin, log[i + 2], log[i + 3])
            for i in range(0, len(log), 4)
            if log[i + 1] >= origin
        ]

    @property
    def gaps(self) -> "list[tuple[int, int]]":
        """Offset and length of what the capture has not seen, or has cut, though it was sent."""
        gaps, origin = self._half.gaps, self._half.origin
        return [(gaps[i] - origin, gaps[i + 1]) for i in range(0, len(gaps), 2)]

    @property
    def length(self) -> int:
        """Bytes, up to the last that was seen or said to have been sent."""
        return self._half.at - self._half.origin

    @property
    def missing(self) -> int:
        return sum(length for _, length in self.gaps)

    @property
    def isn(self) -> "int | None":
        """The initial sequence number, None where the SYN is not in the capture: then offset 0 is the lowest byte that is."""
        return None if self._half.isn < 0 else self._half.isn

    @property
    def fin(self) -> bool:
        """Does the sender's FIN stand behind the last byte?"""
        return self._half.finished or (self._half.has_fin and self._half.fin_at == self._half.at)

    @property
    def whole(self) -> bool:
        """From the SYN to the FIN, without a gap."""
        return self._half.isn >= 0 and self.fin and not self._half.gaps

    @property
    def segments(self) -> int:
        """Segments of this direction, those without text included."""
        return self._half.segments

    @property
    def retransmitted(self) -> int:
        """Bytes that had been there before."""
        return self._half.retransmitted

    @property
    def out_of_order(self) -> int:
        """Segments with text that came before others that should have come before them."""
        return self._half.out_of_order

    @property
    def conflicts(self) -> int:
        """Places where bytes came again and were others."""
        return self._half.conflicts

    @property
    def conflicting(self) -> "list[Conflict]":
        """The first thousand of them."""
        return [Conflict(number, position - self._half.origin, n) for number, position, n in self._half.conflicting]

    @property
    def keepalives(self) -> int:
        """Probes with a byte that is no text."""
        return self._half.keepalives

    @property
    def out_of_window(self) -> int:
        """Bytes that no window had room for, and nobody acknowledged: not part of the stream."""
        return self._half.out_of_window

    @property
    def after_fin(self) -> int:
        """Bytes behind the FIN: not part of the stream."""
        return self._half.after_fin

    @property
    def late(self) -> int:
        """Bytes for gaps that had been given up, or from before the beginning: not part of the stream."""
        return self._half.late

    @property
    def urgent(self) -> int:
        """Segments with URG. Their bytes are in line (RFC 6093)."""
        return self._half.urgent


@attrs.frozen
class Connection:
    """A connection. The addresses are text, IPv4 or IPv6.

    opened    "handshake", "unanswered" (nothing but SYNs of one side), "in the middle" (before the capture)
    closed    "closed" by both sides, "reset by client", "reset by server", "refused", "half closed", "open" (the capture ends
              before, or another connection of the same ports begins), "given out" (too many were open, what follows comes anew)
    first last   numbers of its first and last packet; began, ended their times
    """

    client: tuple[str, int]
    server: tuple[str, int]
    opened: str
    closed: str
    first: int
    last: int
    began: int | None
    ended: int | None
    packets: int
    to_server: Stream
    to_client: Stream

    def __str__(self) -> str:
        return f"{_name(self.client)} -> {_name(self.server)}"


def streams(
    file: "str | PathLike[str] | BinaryIO",
    *,
    checksums: bool = False,
    mib: "StreamsMib | None" = None,
    connections: int = CONNECTIONS,
    memory: int = MEMORY,
) -> "Iterator[Connection]":
    """The TCP connections of a capture, as they end; those that don't at the end of the file, by their first packet.

    `checksums` passes over segments whose checksum is wrong. It is off because in a capture on the sending host most are, where the
    device completes them. At most `connections` are followed at once and `memory` bytes held: beyond, the one that has been silent
    longest is given out as it is. Raises WireError, with the number of the packet that can't be read, after what came before it
    has been given.
    """
    if connections < 1 or memory < 1:
        raise UsageError(f"connections={connections} and memory={memory} must be 1 at least")
    counters = mib if mib is not None else StreamsMib()
    return _streams(file, checksums, counters, Follower(counters, connections, memory))


def _streams(
    file: "str | PathLike[str] | BinaryIO", checksums: bool, mib: StreamsMib, follower: Follower
) -> "Iterator[Connection]":
    now = 0
    timed = True
    errors: list[WireError] = []
    for item in _forwards(_before_error(read(file, mib), errors)):
        s = segment(item, checksums)
        if s is None:
            continue
        if not isinstance(s, Segment):
            mib.BadSegments += 1
            continue
        if not s.good:
            mib.BadChecksums += 1
            continue
        if item.time is None:
            timed = False
        else:
            now = item.time
        follower.feed(now, item.number, s)
        if follower.out:
            for track in follower.out:
                yield _connection(track, timed)
            follower.out.clear()
    follower.finish()
    for track in follower.out:
        yield _connection(track, timed)
    if errors:
        raise errors[0]


def _before_error(items: "Iterator[Datagram | Other]", errors: "list[WireError]") -> "Iterator[Datagram | Other]":
    """What could be read; what could not ends it, and is kept for when all that came before has been given."""
    try:
        yield from items
    except WireError as error:
        errors.append(error)


def _forwards(items: "Iterator[Datagram | Other]") -> "Iterator[Datagram | Other]":
    """In the order in which they were sent. Which way a capture runs is told by the first packets: acknowledgements grow, and a
    SYN-ACK comes after its SYN."""
    head = list(islice(items, LOOK))
    if _runs_backwards(head):
        held = sum(len(item.data) for item in head)
        for item in items:
            head.append(item)
            held += len(item.data)
            if held > BACKWARDS:
                raise UsageError("the capture runs backwards and is too large to be turned round here: reordercap puts it in order")
        return reversed(head)
    return chain(head, items)


def _runs_backwards(items: "Iterable[Datagram | Other]") -> bool:
    asked: dict[tuple[bytes, bytes], int] = {}  # what would acknowledge the SYN of each direction
    acked: dict[tuple[bytes, bytes], int] = {}
    forwards = backwards = 0
    for item in items:
        s = segment(item)
        if not isinstance(s, Segment) or s.flags & RST:
            continue
        theirs = s.ends[1], s.ends[0]
        if not s.flags & ACK:
            asked[s.ends] = serial.add(s.seq, 1)
            backwards += acked.get(theirs) == asked[s.ends]
        elif s.flags & SYN:
            forwards += asked.get(theirs) == s.ack
            acked[s.ends] = s.ack
        else:
            before = acked.get(s.ends, s.ack)
            forwards += before != s.ack and serial.lt(before, s.ack)
            backwards += before != s.ack and serial.lt(s.ack, before)
            acked[s.ends] = s.ack
    return backwards > forwards


def _connection(track: Track, timed: bool) -> Connection:
    c = track.opener
    if c < 0:
        # no SYN: who has the port of a service answers; else who spoke first has called
        mine, theirs = (int.from_bytes(end[-2:], "big") for end in track.ends)
        c = 1 if mine < theirs and mine < 1024 else 0
    up, down = Stream(track.halves[c], timed), Stream(track.halves[1 - c], timed)
    if up.isn is not None and down.isn is not None:
        opened = "handshake"
    else:
        opened = "in the middle" if up.isn is None or track.halves[1 - c].seen else "unanswered"
    if track.given_out:
        closed = "given out"
    elif up.fin and down.fin:
        closed = "closed"
    elif track.reset_by >= 0:
        closed = "reset by client" if track.reset_by == c else "reset by server" if down.isn is not None else "refused"
    else:
        closed = "half closed" if up.fin or down.fin else "open"
    return Connection(
        client=_end(track.ends[c]),
        server=_end(track.ends[1 - c]),
        opened=opened,
        closed=closed,
        first=track.first,
        last=track.last,
        began=track.began if timed else None,
        ended=track.ended if timed else None,
        packets=track.packets,
        to_server=up,
        to_client=down,
    )


def _end(end: bytes) -> tuple[str, int]:
    address, port = end[:-2], int.from_bytes(end[-2:], "big")
    if len(address) == 4:
        return ip4_text(int.from_bytes(address, "big")), port
    return str(IPv6Address(address)), port


def _name(end: tuple[str, int]) -> str:
    return f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"
