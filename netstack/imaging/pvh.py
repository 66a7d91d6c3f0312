"""One file that a virtual machine starts by itself: no boot loader, no disk, no second file (docs/image.md says why this one).

The form is ELF with a note that says where to begin in 32-bit mode, which Xen's PVH guests began and which QEMU (`-kernel`),
Firecracker and Cloud Hypervisor understand as well (xen/docs/misc/pvh.pandoc). Linux is such a file, but one without an initramfs
and without a command line: those the loader has to bring. So here a small program comes first. It

    puts our command line in front of the loader's, with some words more where it finds QEMU's emulation,
    says where the initramfs lies, which is a segment of the same file (one that the loader brought is preferred),
    unpacks Linux to where it belongs, and jumps there.

Linux's own unpacking (vmlinuz) moves and relocates what it has unpacked; under emulation that takes half a second longer.

**Where things lie.** The blocks of LZ4 are those of the distribution, of the whole file `vmlinux`, with its headers. They come out
at a *base* so chosen that the segment which must move furthest up doesn't move at all. So each other one moves down, and moved in
the order of their addresses none is written onto one that is yet to be moved: that one belongs above, and lies no lower than where
it belongs. All of ours lies above them.
"""

from __future__ import annotations

import struct

from ..errors import UsageError
from . import elf
from .kernel import Kernel

CODE = bytes.fromhex(
    "fcbd111111118b65008b7d088b7504e8d300000053b8000000400fa281fb544347545b75088b7518e8ba0000008b550c"
    "8b731885f6740fb020aa39d77308ac84c07403aaebf431c0aa8b4508894318837b0c007512c7430c010000008b451089"
    "431031c089431453ff75148d5d1c8b3385f6744c8b6b0401f58b7b0883c30c31c0ac89c2c1e80489c13c0f7507ac01c1"
    "3cff74f9f3a439ee73d431c066ad83e20f89d15031c083f90f7507ac01c13cff74f983c1045a5689fe29d6f3a45eebc1"
    "83c3048b3385f674198b4b048b7b0883c30c89cac1e902f3a589d183e103f3a4ebe1585bffe0aaac84c075fac3"
)  # pvh.S
TABLE = bytes.fromhex("11111111")  # stands in the code where the address of the table belongs
XEN, PHYS32_ENTRY = b"Xen\0", 18
PAGE = 4096
MEGABYTE = 1 << 20
LONGEST = 2047  # a command line, with what the loader adds (Linux's COMMAND_LINE_SIZE)
STACK = 4096
HIGHEST = 3 << 30  # below what devices of a PC occupy
EM_X86_64 = 62


def make(kernel: Kernel, initramfs: bytes, command_line: str, packed: bool = True, emulated: str = "") -> bytes:
    """The file. `packed` leaves Linux as small as it came, where it came in LZ4; `emulated` are words for its command line where
    QEMU translates instructions. Raises UsageError."""
    linux = elf.read(kernel.vmlinux)
    loads = sorted((s for s in linux.segments if s.kind == elf.PT_LOAD and s.filled), key=lambda s: s.physical)
    entry = entry_of(kernel.vmlinux, linux)
    if linux.machine != EM_X86_64 or entry is None or not loads:
        raise UsageError(f"Linux {kernel.version} can't be started as a PVH guest: take one with CONFIG_PVH, as Debian's are")
    lines = command_line.encode(), (f" {emulated}" if emulated else "").encode()
    length = sum(map(len, lines))
    if length > LONGEST:
        raise UsageError(f"a command line of {length} bytes is too long for Linux, which reads {LONGEST}")
    blocks = kernel.blocks if packed else ()
    base = max(s.physical - s.offset for s in loads)
    over = base + len(kernel.vmlinux) if blocks else max(s.physical + s.size for s in loads)
    moves = _moves(loads, base) if blocks else []
    home = _up(over, 2 * MEGABYTE)
    body = _body(home, entry, lines, blocks, base, moves)
    below = _up(home + len(body), PAGE)
    body = _with_module(body, home, below, len(initramfs))
    if below + len(initramfs) > HIGHEST:
        raise UsageError(f"an image of {(below + len(initramfs)) >> 20} MiB does not fit below 3 GiB of memory")
    pieces: list[tuple[int, bytes]] = [(home, bytes(body)), (below, initramfs)]
    if not blocks:
        pieces = [(s.physical, kernel.vmlinux[s.offset : s.offset + s.filled]) for s in loads] + pieces
    return _file(pieces, home)


def memory_needed(image: bytes) -> int:
    """Bytes of memory below which nothing can work: where the image ends."""
    return max(s.physical + s.size for s in elf.read(image).segments)


def entry_of(vmlinux: bytes, linux: elf.Elf) -> int | None:
    """Where a PVH guest begins."""
    for segment in linux.segments:
        if segment.kind == elf.PT_NOTE:
            for owner, kind, said in elf.notes(vmlinux, segment):
                if owner == XEN.rstrip(b"\0") and kind == PHYS32_ENTRY:
                    return int.from_bytes(said, "little")
    return None


def _moves(loads: list[elf.Segment], base: int) -> list[tuple[int, int, int]]:
    """(from, length, to) of the segments that don't come out where they belong."""
    return [(base + s.offset, s.filled, s.physical) for s in loads if base + s.offset != s.physical]


def _body(
    home: int, entry: int, lines: tuple[bytes, bytes], blocks: tuple[bytes, ...], base: int, moves: list[tuple[int, int, int]]
) -> bytearray:
    """Code, table, what the table names, and the blocks; the list of modules is still empty."""
    table = _up(len(CODE), 16)
    entries = 28 + 12 * (len(blocks) + len(moves)) + 8
    modules = _up(table + entries, 16)
    ours = modules + 32
    more = ours + len(lines[0]) + 1
    both = more + len(lines[1]) + 1
    stack = _up(both + LONGEST + 2 + STACK, 16)
    body = bytearray(stack)
    body[: len(CODE)] = CODE.replace(TABLE, struct.pack("<I", home + table))
    body[ours : ours + len(lines[0])] = lines[0]
    body[more : more + len(lines[1])] = lines[1]
    rows: list[tuple[int, ...]] = []
    at, to = stack, base
    for block in blocks:
        rows.append((home + at, len(block), to))
        body += block
        at += len(block)
        to += 8 * MEGABYTE
    words = [home + stack, home + ours, home + both, home + both + LONGEST, home + modules, entry, home + more]
    words += [word for row in rows for word in row] + [0] + [word for move in moves for word in move] + [0]
    struct.pack_into(f"<{len(words)}I", body, table, *words)
    return body


def _with_module(body: bytearray, home: int, start: int, size: int) -> bytearray:
    """With a list of modules (struct hvm_modlist_entry) of one: what lies at `start`."""
    table = _up(len(CODE), 16)
    at = struct.unpack_from("<I", body, table + 16)[0] - home
    struct.pack_into("<QQQQ", body, at, start, size, 0, 0)
    return body


def _file(pieces: list[tuple[int, bytes]], entry: int) -> bytes:
    note = struct.pack("<III", len(XEN), 8, PHYS32_ENTRY) + XEN + struct.pack("<Q", entry)
    count = len(pieces) + 1
    head = 64 + 56 * count
    at = _up(head + len(note), PAGE)
    headers = struct.pack("<IIQQQQQQ", elf.PT_NOTE, 4, head, 0, 0, len(note), len(note), 4)
    out = []
    for address, data in pieces:
        headers += struct.pack("<IIQQQQQQ", elf.PT_LOAD, 7, at, address, address, len(data), len(data), PAGE)
        out.append(data + bytes(-len(data) % PAGE))
        at += len(out[-1])
    start = struct.pack("<16sHHIQQQIHHHHHH", elf.MAGIC, 2, EM_X86_64, 1, entry, 64, 0, 0, 64, 56, count, 0, 0, 0)
    front = start + headers + note
    return front + bytes(-len(front) % PAGE) + b"".join(out)


def _up(value: int, to: int) -> int:
    return -(-value // to) * to
