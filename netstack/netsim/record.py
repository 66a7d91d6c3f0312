"""What passed on all wires: a digest of it, always; and its last part in memory, for captures where a test fails.

Nothing is written while all is well. The digest covers every frame in the order in which they were sent, with its instant, its
direction and its fate, and so two runs that have the same one had the same network.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

from ..testing.capture import CaptureFile

KEPT = 64 << 20  # bytes of frames: the last minute of a fast link, or all of what a test sends. What is older is only in the digest
OVERHEAD = 200  # bytes that a frame costs beside its own: the tuple, its numbers, the object
_HEAD = Struct("<HHqI")


class Record:
    """`tap` is what a world wants as its recorder."""

    def __init__(self, kept: int = KEPT) -> None:
        self.frames = 0
        self.forgotten = 0  # the oldest ones, for which there was no room
        self.epoch = 0  # nanoseconds, added to the instants in captures
        self._kept = kept
        self._size = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._taps: list[Tap] = []
        self._passed: deque[tuple[Tap, int, int, bytes, int, str]] = deque()

    def tap(self, name: str) -> Tap:
        """Where a link, or the wire, tells what passes."""
        tap = Tap(self, name, len(self._taps))
        self._taps.append(tap)
        return tap

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def took(self, tap: Tap, interface: int, now: int, data: bytes, direction: int, fate: str) -> None:
        self.frames += 1
        head = _HEAD.pack(tap.number, interface, now, len(data))
        self._digest.update(head + data + fate.encode() if fate else head + data)
        self._passed.append((tap, interface, now, data, direction, fate))
        self._size += len(data) + OVERHEAD
        while self._size > self._kept:
            self._size -= len(self._passed.popleft()[3]) + OVERHEAD
            self.forgotten += 1

    def instants(self) -> Iterator[int]:
        """When something was sent, in nanoseconds; of what is not forgotten."""
        return (passed[2] for passed in self._passed)

    def write(self, directory: Path) -> list[Path]:
        """A pcapng file for each link on which something passed. Raises OSError."""
        files: dict[Tap, CaptureFile] = {}
        paths = []
        try:
            for tap, interface, now, data, direction, fate in self._passed:
                file = files.get(tap)
                if file is None:
                    directory.mkdir(parents=True, exist_ok=True)
                    paths.append(directory / f"{_plain(tap.name)}.pcapng")
                    file = files[tap] = CaptureFile(paths[-1], self.epoch)
                    for name, ethernet in tap.interfaces:
                        file.interface(name, ethernet)
                file.frame(interface, now, data, direction, fate)
        finally:
            for file in files.values():
                file.close()
        return paths


class Tap(CaptureFile):
    """Looks like the file that a link is captured into."""

    def __init__(self, record: Record, name: str, number: int) -> None:
        self.error = None
        self.frames = 0
        self.name = name
        self.number = number
        self.interfaces: list[tuple[str, bool]] = []
        self._record = record

    def interface(self, name: str, ethernet: bool) -> int:
        self.interfaces.append((name, ethernet))
        return len(self.interfaces) - 1

    def frame(self, interface: int, now: int, data: bytes, direction: int, comment: str = "") -> None:
        self.frames += 1
        self._record.took(self, interface, now, data, direction, comment)

    def close(self) -> None: ...


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):02x}" for c in name)
