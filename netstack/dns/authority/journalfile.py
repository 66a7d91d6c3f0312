"""Updates of a zone in a file beside its zone file, so that they outlive the server (RFC 2136 3.5): who was told that his update
was done finds it there after a crash. The zone file itself is never written: it belongs to whoever writes it by hand.

The file is a line that says what it is, and then frames: length and CRC-32 of what follows, four octets each, then a change as
`Zone.apply` takes it, the number of records removed, those, and those added, all in wire form. A frame is on the disk
(`fdatasync`) before the update is answered, which takes as long as the disk does. A last frame that is cut short or mangled was
never answered, and is dropped; a mangled one before the last is an error, unless it is its length that
was mangled: then it looks like the last one.

It can't grow without end: beyond LARGE, and twice what it had then, all changes are made one, in a new file that takes the place
of the old one; that has no more than what the zone file lost and the zone has gained.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...errors import UsageError, WireError
from .. import name as names
from ..message import Record
from ..numbers import Type
from ..reader import Reader
from .transfer import serial_of
from .zone import Zone

HEAD = b"netstack journal 1\n"
LARGE = 4 << 20  # octets

_FRAME = struct.Struct("!II")
_RECORD = struct.Struct("!HHIH")

Parts = tuple[list[Record], list[Record]]


class JournalFile:
    """The file at `path`, made when the first update comes. It is this process's alone until `close`. Raises OSError,
    UsageError."""

    def __init__(self, path: str | os.PathLike[str], *, large: int = LARGE) -> None:
        self.path = Path(path)
        self._large = large
        self._fd = -1
        self._size = 0
        self._merge_at = large

    def replay(self, zone: Zone) -> int:
        """Apply to `zone`, as its file has it, what has changed since: how many changes. Nothing has where there is no file.

        Raises UsageError for a journal that doesn't begin at the zone's serial: the zone file was edited meanwhile.
        """
        if not self.path.exists():
            return 0
        self._open()
        changes = [*self._read()]
        if not changes:
            return 0
        serials = [_serial(removed) for removed, _ in changes] + [_serial(changes[-1][1])]
        if zone.serial not in serials:
            raise UsageError(
                f"{self.path} has the updates since serial {serials[0]} of {names.text(zone.name)}, and the zone file was changed "
                f"to {zone.serial}: go back to the file of then, or remove the journal and lose the updates"
            )
        at = serials.index(zone.serial)
        if at == len(changes):  # somebody has put all of them into the file
            self._cut(len(HEAD))
            return 0
        for removed, added in changes[at:]:
            zone.apply(removed, added)
        return len(changes) - at

    def keep(self, removed: Iterable[Record], added: Iterable[Record]) -> None:
        """Write a change; it is on the disk when this returns. Nothing has changed where it raises OSError."""
        self._open()
        frame = _frame(list(removed), list(added))
        try:
            _write(self._fd, frame)
            os.fdatasync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                self._cut(self._size)
            raise
        self._size += len(frame)
        if self._size > self._merge_at:
            with contextlib.suppress(OSError):  # then it stays as long as it is
                self._merge()
            self._merge_at = max(self._large, 2 * self._size)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- the file -------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._fd >= 0:
            return
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            self._lock(fd)
            self._size = os.fstat(fd).st_size
            if self._size < len(HEAD):
                os.ftruncate(fd, 0)
                _write(fd, HEAD)
                os.fdatasync(fd)
                _sync_folder(self.path)
                self._size = len(HEAD)
            elif os.pread(fd, len(HEAD), 0) != HEAD:
                raise UsageError(f"{self.path} is not a journal of netstack: move it away")
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{self.path} is another server's, which is running: give each its own zone file") from None

    def _cut(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        os.fdatasync(self._fd)
        self._size = size

    def _read(self) -> Iterator[Parts]:
        """The changes. What was cut short at the end is dropped."""
        at, end = len(HEAD), self._size
        while at < end:
            head = os.pread(self._fd, _FRAME.size, at)
            size, crc = _FRAME.unpack(head) if len(head) == _FRAME.size else (end, 0)
            after = at + _FRAME.size + size
            body = os.pread(self._fd, size, at + _FRAME.size) if after <= end else b""
            if after > end or (zlib.crc32(body) != crc and after == end):
                self._cut(at)
                return
            try:
                if zlib.crc32(body) != crc:
                    raise WireError("its sum is wrong")
                yield _parts(body)
            except WireError as error:
                raise UsageError(f"{self.path} is damaged at octet {at}: {error}") from None
            at = after

    def _merge(self) -> None:
        """Make all changes one."""
        gone: dict[tuple[bytes, int, int, bytes], Record] = {}
        come: dict[tuple[bytes, int, int, bytes], Record] = {}
        for removed, added in self._read():
            for first, second, records in ((come, gone, removed), (gone, come, added)):
                for r in records:
                    key = r.name, r.type, r.ttl, r.rdata
                    if first.pop(key, None) is None:
                        second[key] = r
        frame = _frame(list(gone.values()), list(come.values()))
        new = self.path.with_name(self.path.name + ".new")
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            self._lock(fd)
            _write(fd, HEAD + frame)
            os.fsync(fd)
            os.replace(new, self.path)
        except BaseException:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._size = fd, len(HEAD) + len(frame)
        _sync_folder(self.path)


def write_whole(path: Path, lines: Iterable[str]) -> Iterator[None]:
    """Write a text file that is either the old or the new one, whatever happens meanwhile: some lines at each step. Raises
    OSError."""
    new = path.with_name(path.name + ".new")
    try:
        with open(new, "w", encoding="ascii") as file:
            for i, line in enumerate(lines):
                file.write(line + "\n")
                if i % 1000 == 999:
                    yield
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        _sync_folder(path)
    finally:
        new.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """So that the file is found under its name."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _serial(records: list[Record]) -> int:
    found = next((r for r in records if r.type == Type.SOA), None)
    if found is None:
        raise WireError("a change without a serial")
    return serial_of(found.rdata)


def _frame(removed: list[Record], added: list[Record]) -> bytes:
    body = bytearray(len(removed).to_bytes(4, "big"))
    for r in (*removed, *added):
        body += r.name + _RECORD.pack(r.type, r.rclass, r.ttl, len(r.rdata)) + r.rdata
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _parts(body: bytes) -> Parts:
    """Raises WireError."""
    r = Reader(body)
    count = r.u32()
    records: list[Record] = []
    while r.left():
        records.append(Record(r.plain_name(), r.u16(), r.u16(), r.u32(), r.take(r.u16())))
    if count > len(records):
        raise WireError("a change is cut short")
    parts = records[:count], records[count:]
    for part in parts:
        _serial(part)
    return parts
