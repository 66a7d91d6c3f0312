"""A stream put together from captured segments, that knows in which packet each byte came. Of what came twice the first counts."""

from __future__ import annotations

import bisect


class Expected:
    """Pieces that do not overlap, by offset. What lies before offset 0 is nobody's: probes of keep-alives. `conflict` is the first
    place of which there are two versions, `(offset, packet)`: who looks at another order of segments may see the other one."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[tuple[bytes, int]] = []  # the bytes, and their packet
        self.conflict: tuple[int, int] | None = None

    def add(self, start: int, data: bytes, number: int) -> None:
        if start < 0:
            start, data = 0, data[-start:]
        while data:
            i = bisect.bisect_right(self._starts, start)
            if i:
                known = self._starts[i - 1] + len(self._pieces[i - 1][0])
                if known > start:
                    self._compare(i - 1, start, data, number)
                    data = data[known - start :]
                    start = known
                    if not data:
                        return
            room = self._starts[i] - start if i < len(self._starts) else len(data)
            if room > 0:
                self._starts.insert(i, start)
                self._pieces.insert(i, (data[:room], number))
            start, data = start + room, data[room:]

    def _compare(self, i: int, start: int, data: bytes, number: int) -> None:
        at = start - self._starts[i]
        there = self._pieces[i][0][at : at + len(data)]
        if self.conflict is None and there != data[: len(there)]:
            self.conflict = start + next(o for o, byte in enumerate(there) if byte != data[o]), number

    @property
    def data(self) -> bytes:
        """From offset 0 to the first hole."""
        parts, at = [], 0
        for start, (data, _) in zip(self._starts, self._pieces, strict=True):
            if start != at:
                break
            parts.append(data)
            at += len(data)
        return b"".join(parts)

    def filled(self, most: int) -> bytes:
        """All of it, with zeros where it has holes, up to the one that makes them more than `most`."""
        parts, at = [], 0
        for start, (data, _) in zip(self._starts, self._pieces, strict=True):
            most -= start - at
            if most < 0:
                break
            parts += [bytes(start - at), data]
            at = start + len(data)
        return b"".join(parts)

    @property
    def end(self) -> int:
        """Behind the last byte that is known."""
        return self._starts[-1] + len(self._pieces[-1][0]) if self._starts else 0

    def holes(self, end: int) -> list[tuple[int, int]]:
        """`(offset, length)` of what is not known before `end`."""
        found, at = [], 0
        for start, (data, _) in zip(self._starts, self._pieces, strict=True):
            if start > at:
                found.append((at, start - at))
            at = start + len(data)
        if at < end:
            found.append((at, end - at))
        return found

    def packet(self, offset: int) -> int | None:
        """Of the byte at `offset`; of the last one before it where there is none."""
        i = bisect.bisect_right(self._starts, offset)
        return self._pieces[i - 1][1] if i else None

    def truncate(self, end: int) -> None:
        """Forget what lies at and behind `end`."""
        while self._starts and self._starts[-1] >= end:
            self._starts.pop()
            self._pieces.pop()
        if self._starts:
            data, number = self._pieces[-1]
            self._pieces[-1] = data[: end - self._starts[-1]], number
