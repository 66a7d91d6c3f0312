"""The connections of a capture. A file is hostile: whatever is in it, they are so many at the most, and each takes so much."""

from __future__ import annotations

import ipaddress
from os import PathLike
from typing import BinaryIO

from ..address import ip4_text
from ..captures import Datagram, Other, read
from ..errors import WireError
from ..tracing.reading import ACK, SYN, Segment, in_tcp, segment
from .talk import End, Talk

TALKS = 5000  # connections that are looked at; a scan makes one with each packet
VIEWS = 64  # interfaces on which one is seen
IPV6 = 0x86DD
Key = tuple[End, End]


class Gathered:
    """What a file has in it. Times are ns from its first packet; `epoch` is that one's, since 1970."""

    def __init__(self, views: dict[Key, frozenset[str]] | None = None) -> None:
        """`views`: the interfaces on which connections are to be looked at, where they were captured on several."""
        self.views: dict[Key, dict[str, int]] = {}  # on which interfaces each was seen: 1 for one direction, 2 for the other
        self._chosen = views or {}
        self.talks: list[Talk] = []
        self.missed = 0  # segments of connections beyond the bound
        self.packets = 0
        self.others: dict[str, int] = {}  # what isn't TCP, counted
        self.epoch: int | None = None
        self.last = 0
        self.trouble = ""  # where the file can't be read any further
        self._open: dict[Key, Talk] = {}
        self._now = 0

    def add(self, item: Datagram | Other) -> None:
        self.packets = max(self.packets, item.number)
        if item.time is not None:
            if self.epoch is None:
                self.epoch = item.time
            self._now = self.last = max(self.last, item.time - self.epoch)  # a clock that is set back stands still here
        s = _segment(item)
        if s is None:
            kind = _kind(item)
            self.others[kind] = self.others.get(kind, 0) + 1
            return
        source, target = (s.src, s.sport), (s.dst, s.dport)
        key = (source, target) if source < target else (target, source)
        chosen = self._chosen.get(key)
        if chosen is not None and item.interface not in chosen:
            return
        talk = self._talk(key, s, 6 if isinstance(item, Other) else 4)
        if talk is not None and not self._chosen:
            seen = self.views.setdefault(key, {})
            if item.interface in seen or len(seen) < VIEWS:
                seen[item.interface] = seen.get(item.interface, 0) | (1 if key[0] == source else 2)
        if talk is None:
            self.missed += 1
        else:
            talk.segment(s, self._now, item.number, item.cut)

    def _talk(self, key: Key, s: Segment, version: int) -> Talk | None:
        source, target = (s.src, s.sport), (s.dst, s.dport)
        talk = self._open.get(key)
        if talk is not None and s.flags & SYN and not s.flags & ACK and (talk.fins or talk.resets) and s.seq != talk.out.base:
            talk = None  # the same ports again
        if talk is None:
            if len(self.talks) >= TALKS:
                return None
            begins = s.flags & SYN and not s.flags & ACK
            answers = s.flags & SYN and s.flags & ACK
            client = source if begins or (not answers and s.sport > s.dport) else target
            server = target if client == source else source
            talk = self._open[key] = Talk(len(self.talks) + 1, client, server, self._now, version)
            self.talks.append(talk)
        return talk

    def end(self) -> None:
        for talk in self.talks:
            talk.end(self.last)
        self._open.clear()


def gather(file: str | PathLike[str] | BinaryIO) -> Gathered:
    """Read a capture. What can't be read ends it, and `trouble` says where. Raises OSError; WireError when nothing can be read.

    Where it was captured in several places, a trace of both hosts for instance, a connection is looked at from one of them, or it
    would seem to send all things twice; so the file is read again then.
    """
    found = _gather(file, None)
    several = {key: _one(seen) for key, seen in found.views.items() if len(seen) > 1}
    if several:
        if not isinstance(file, (str, PathLike)):
            file.seek(0)
        found = _gather(file, several)
    return found


def _one(seen: dict[str, int]) -> frozenset[str]:
    """The first that shows both directions; where each direction has an interface of its own, the first for each."""
    for name, directions in seen.items():
        if directions == 3:
            return frozenset((name,))
    return frozenset(next((name for name, which in seen.items() if which & bit), "") for bit in (1, 2))


def _gather(file: str | PathLike[str] | BinaryIO, views: dict[Key, frozenset[str]] | None) -> Gathered:
    found = Gathered(views)
    try:
        for item in read(file):
            found.add(item)
    except WireError as error:
        if not found.packets:
            raise
        found.trouble = str(error)
    found.end()
    return found


def _segment(item: Datagram | Other) -> Segment | None:
    if isinstance(item, Datagram):
        return segment(item.data)
    b = item.data
    if item.ethertype != IPV6 or len(b) < 60 or b[6] != 6:  # with extension headers it is no segment for us
        return None
    total = (b[4] << 8 | b[5]) or len(b) - 40
    return in_tcp(b, 40, int.from_bytes(b[8:24], "big"), int.from_bytes(b[24:40], "big"), total)


def _kind(item: Datagram | Other) -> str:
    if isinstance(item, Datagram):
        return {1: "ICMP", 2: "IGMP", 6: "TCP that can't be read", 17: "UDP"}.get(item.data[9], f"IP protocol {item.data[9]}")
    return {0x0806: "ARP", IPV6: "IPv6 other than TCP"}.get(item.ethertype, "something else")


def address(value: int, version: int) -> str:
    return ip4_text(value) if version == 4 else str(ipaddress.IPv6Address(value))


def end_text(end: End, version: int) -> str:
    text = address(end[0], version)
    return f"{text}:{end[1]}" if version == 4 else f"[{text}]:{end[1]}"
