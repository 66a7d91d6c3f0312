"""The last frames that passed, while somebody looks: what the diagram is drawn of, and what can be downloaded.

It is bounded in bytes, since whoever may open the page could otherwise fill the memory by making traffic. While traffic is so
fast that LIMIT holds less than SECONDS of it, of each frame only the beginning is kept: who looks for a fault would rather see the
headers of five seconds than the whole of a moment.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ... import const
from ...cores import Frame, Out
from ...instant import SECOND
from ...pcap import INBOUND, OUTBOUND

LIMIT = 16 << 20  # bytes, what the objects take included: seconds of a fast link's headers, and little beside an interpreter
OBJECTS = 160  # bytes that a kept frame takes beside its own
SECONDS = 5 * SECOND
HEAD = 128  # Ethernet, IPv4 and TCP with all their options are 14 + 60 + 60 at the most, and 94 without options in IPv4


class Kept(NamedTuple):
    """`partial`: its checksum was left to the device, or never made. `gso`: 0, or the size of the segments that it holds."""

    time: int
    direction: int
    data: bytes
    length: int  # on the wire
    partial: bool
    gso: int


class Ring:
    """An `adapters.Observer`. Frames are numbered from 0; those up to `first` are forgotten."""

    def __init__(self, link: int, limit: int = LIMIT) -> None:
        """`link`: length of the link's header."""
        self.link = link
        self.limit = limit
        self.size = 0
        self.first = 0  # number of the oldest that is kept
        self.short = False  # only beginnings are kept
        self._frames: list[Kept | None] = []
        self._head = 0  # index in it of `first`

    @property
    def end(self) -> int:
        """Number of the next."""
        return self.first + len(self._frames) - self._head

    def on_input(self, f: Frame) -> None:
        start = f.off - self.link
        length = f.end - start
        stop = start + HEAD if self.short and length > HEAD else f.end
        self._keep(Kept(f.now, INBOUND, bytes(memoryview(f.buf)[start:stop]), length, f.csum != const.CSUM_UNKNOWN, f.gso))

    def on_flush(self, now: int) -> None: ...

    def on_send(self, p: Out, now: int) -> None:
        data = bytes(memoryview(p.hdr)[p.off :])
        length = p.length()
        if not self.short:
            data += p.payload()
        elif p.n and p.data is not None and len(data) < HEAD:
            data += bytes(memoryview(p.data)[p.o : p.o + min(p.n, HEAD - len(data))])
        self._keep(Kept(now, OUTBOUND, data, length, p.csum_off != 0, p.gso))

    def _keep(self, kept: Kept) -> None:
        self._frames.append(kept)
        self.size += len(kept.data) + OBJECTS
        while self.size > self.limit:
            old = self._frames[self._head]
            assert old is not None
            self._frames[self._head] = None
            self._head += 1
            self.first += 1
            self.size -= len(old.data) + OBJECTS
            self.short = kept.time - old.time < SECONDS
        if self._head > 1024 and self._head * 2 > len(self._frames):
            del self._frames[: self._head]
            self._head = 0

    def since(self, number: int, most: int) -> list[Kept]:
        """At most `most` frames from `number` on, or from the oldest that is kept."""
        start = self._head + max(0, number - self.first)
        return self._frames[start : start + most]  # type: ignore[return-value]  # None stands before the head only

    def all(self) -> Iterator[Kept]:
        """Those that are kept now: frames that pass meanwhile are not among them, and none is missed."""
        return iter(self.since(self.first, len(self._frames)))

    def clear(self) -> None:
        self.first = self.end
        self._frames.clear()
        self._head = self.size = 0
        self.short = False
