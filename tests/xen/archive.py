"""Files for a kernel's first file system: cpio in the form "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).

Names are relative, and brought to where a merged /usr has them. Uncompressed: under QEMU's emulation it takes longer to inflate an
image than to read it.
"""

import stat
from pathlib import Path

MERGED = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}


def merged(name: str) -> str:
    """Where it is, on a system whose /bin, /sbin and /lib are links into /usr."""
    name = name.removeprefix("./").lstrip("/")
    top, slash, rest = name.partition("/")
    if slash and top in MERGED:
        return f"{MERGED[top]}/{rest}"
    return f"usr/bin/{name.removeprefix('usr/sbin/')}" if name.startswith("usr/sbin/") else name


class Archive:
    """What is added last under a name is what counts."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, bytes]] = {}

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def folder(self, name: str) -> None:
        self._add(name, stat.S_IFDIR | 0o755, b"")

    def copy(self, source: Path, name: str = "") -> None:
        """A file of this machine, by default to the same place."""
        self.file(name or str(source), source.read_bytes(), source.stat().st_mode & 0o777)

    def _add(self, name: str, mode: int, data: bytes) -> None:
        name = merged(name)
        above, slash, _ = name.rpartition("/")
        if slash and above not in self.entries:
            self.folder(above)
        if not (stat.S_ISDIR(mode) and name in self.entries):
            self.entries[name] = (mode, data)

    def pack(self) -> bytes:
        out = bytearray()
        for number, (name, (mode, data)) in enumerate([*self.entries.items(), ("TRAILER!!!", (0, b""))], 1):
            raw = name.encode() + b"\0"
            fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
            out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
            out += bytes(-len(out) % 4)
            out += data
            out += bytes(-len(out) % 4)
        return bytes(out + bytes(-len(out) % 512))
