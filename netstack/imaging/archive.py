"""Writes the archive that a kernel unpacks into its first file system: cpio in the form "newc"
(Documentation/driver-api/early-userspace/buffer-format.rst). The same files give the same bytes: no times, no owners.
"""

from __future__ import annotations

import stat

from ..errors import UsageError

MAGIC = b"070701"
END = "TRAILER!!!"
LARGEST = 0xFFFFFFFF


class Archive:
    """Folders above a file are made by themselves. What is put in twice under one name is an error."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._names: set[str] = set()

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._folders(name)
        self._add(name, data, stat.S_IFREG | mode)

    def folder(self, name: str, mode: int = 0o755) -> None:
        if name not in self._names:
            self._folders(name)
            self._add(name, b"", stat.S_IFDIR | mode)

    def link(self, name: str, to: str) -> None:
        self._folders(name)
        self._add(name, to.encode(), stat.S_IFLNK | 0o777)

    def device(self, name: str, mode: int, major: int, minor: int) -> None:
        """A character device."""
        self._folders(name)
        self._add(name, b"", stat.S_IFCHR | mode, (major, minor))

    def close(self) -> bytes:
        """The archive."""
        self._add(END, b"", 0, links=1)
        return b"".join(self._pieces)

    def _folders(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.folder(parent)

    def _add(self, name: str, data: bytes, mode: int, device: tuple[int, int] = (0, 0), links: int = 1) -> None:
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise UsageError(f"{name!r} can't be the name of a file in an archive: write it relative to the root")
        if name in self._names:
            raise UsageError(f"{name} stands in the archive already")
        if len(data) > LARGEST:
            raise UsageError(f"{name} is larger than 4 GiB, which the form of the archive can't say")
        self._names.add(name)
        raw = name.encode() + b"\0"
        # inode, mode, user, group, links, time, size, two numbers for the device it lies on, two for the one it is, name, checksum
        fields = (len(self._names), mode, 0, 0, links, 0, len(data), 0, 0, *device, len(raw), 0)
        self._put(MAGIC + b"".join(b"%08X" % field for field in fields) + raw)
        self._put(data)

    def _put(self, piece: bytes) -> None:
        padded = piece + bytes(-len(piece) % 4)
        self._pieces.append(padded)
        self._size += len(padded)
