"""What an ELF file says of itself: as much as is needed to carry it elsewhere (64 bits, little endian: x86-64 and arm64).

Only program headers are read: sections, symbols for debuggers and the like are no part of what runs, and `stripped` leaves them
out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import frozen

from ..errors import WireError

MAGIC = b"\x7fELF\2\1\1"
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 1, 5, 14, 15, 29
_HEAD = struct.Struct("<16xHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_PAIR = struct.Struct("<QQ")


@frozen
class Segment:
    """A program header."""

    kind: int
    flags: int
    offset: int
    virtual: int
    physical: int
    filled: int  # bytes in the file
    size: int  # bytes in memory
    align: int


@frozen
class Elf:
    """`needed` are names of libraries, `paths` where they are looked for first, `interpreter` is the dynamic loader."""

    machine: int
    entry: int
    segments: tuple[Segment, ...]
    needed: tuple[str, ...] = ()
    soname: str = ""
    paths: tuple[str, ...] = ()
    interpreter: str = ""


def is_elf(data: bytes) -> bool:
    return data[:7] == MAGIC


def read(data: bytes) -> Elf:
    """Raises WireError for what is no ELF file of 64 bits, or a broken one."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise WireError(f"a broken ELF file: {error}") from None


def _read(data: bytes) -> Elf:
    if not is_elf(data):
        raise WireError("no ELF file of 64 bits, little endian")
    _, machine, _, entry, start, _, _, _, size, count, *_ = _HEAD.unpack_from(data)
    if count and size != _SEGMENT.size:
        raise WireError(f"program headers of {size} bytes")
    segments = []
    for at in range(start, start + count * size, size):
        kind, flags, offset, virtual, physical, filled, whole, align = _SEGMENT.unpack_from(data, at)
        if filled and offset + filled > len(data):
            raise WireError("a segment beyond the end of the file")
        segments.append(Segment(kind, flags, offset, virtual, physical, filled, whole, align))
    dynamic = list(_dynamic(data, segments))
    table = next((_offset(segments, value) for tag, value in dynamic if tag == DT_STRTAB), 0)

    def said(*tags: int) -> list[str]:
        return [_text(data, table + value) for tag, value in dynamic if tag in tags]

    paths = said(DT_RUNPATH) or said(DT_RPATH)
    loader = next((_text(data, s.offset) for s in segments if s.kind == PT_INTERP), "")
    soname = next(iter(said(DT_SONAME)), "")
    return Elf(machine, entry, tuple(segments), tuple(said(DT_NEEDED)), soname, tuple(":".join(paths).split(":")), loader)


def stripped(data: bytes) -> bytes:
    """The same program or library without what only linkers and debuggers read."""
    found = read(data)
    end = max((s.offset + s.filled for s in found.segments), default=len(data))
    end = max(end, _HEAD.size, *(_HEAD.unpack_from(data)[4] + _SEGMENT.size * len(found.segments),))
    kept = bytearray(data[:end])
    struct.pack_into("<Q", kept, 40, 0)  # e_shoff
    struct.pack_into("<HH", kept, 60, 0, 0)  # e_shnum, e_shstrndx
    return bytes(kept)


def notes(data: bytes, segment: Segment) -> Iterator[tuple[bytes, int, bytes]]:
    """(owner, type, text) of each note in a segment."""
    at, end = segment.offset, segment.offset + segment.filled
    while at + 12 <= end:
        name, size, kind = struct.unpack_from("<III", data, at)
        at += 12
        owner = data[at : at + name].rstrip(b"\0")
        at += -(-name // 4) * 4
        yield owner, kind, data[at : at + size]
        at += -(-size // 4) * 4


def _dynamic(data: bytes, segments: list[Segment]) -> Iterator[tuple[int, int]]:
    for segment in segments:
        if segment.kind == PT_DYNAMIC:
            for at in range(segment.offset, segment.offset + segment.filled - 15, 16):
                tag, value = _PAIR.unpack_from(data, at)
                if tag == 0:
                    return
                yield tag, value


def _offset(segments: list[Segment], address: int) -> int:
    for s in segments:
        if s.kind == PT_LOAD and s.virtual <= address < s.virtual + s.filled:
            return address - s.virtual + s.offset
    raise WireError("a table that is in no segment")


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode() if b"\0" in data[at : at + 4096] else ""
