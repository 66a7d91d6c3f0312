"""What is in a distribution's kernel: the file that is loaded in the end (`vmlinux`, ELF), and drivers as modules.

`vmlinuz` is a small program around it (Documentation/x86/boot.rst): real-mode code, a header at 0x1F1, and what is packed somewhere
behind. Unpacking it at every start costs a second under emulation, so it is done when the image is built, or left to the smaller
program of pvh.py.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from ..errors import UsageError, WireError
from . import elf, lz4

HEADER = 0x202  # where "HdrS" stands
SIGNATURE = b"~Module signature appended~\n"
PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
    b"(\xb5/\xfd": "zstd",
    lz4.MAGIC: "lz4",
    b"\x7fELF": "elf",
}


@frozen
class Kernel:
    """`image` is vmlinuz as it came, `vmlinux` what is in it, `blocks` the same in LZ4 where it was packed so; `modules` the folder
    of its modules, `version` as `uname -r` says."""

    version: str
    image: bytes
    vmlinux: bytes
    blocks: tuple[bytes, ...]
    modules: Path


def load(image: Path, modules: Path) -> Kernel:
    """Raises UsageError for a file that is no kernel for x86 machines."""
    data = image.read_bytes()
    try:
        version, vmlinux, blocks = _open(data)
    except (WireError, struct.error, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise UsageError(f"{image} is no kernel that can be taken apart ({error}): give a vmlinuz of an x86-64 Linux") from None
    return Kernel(version, data, vmlinux, blocks, modules)


def _open(data: bytes) -> tuple[str, bytes, tuple[bytes, ...]]:
    if data[HEADER : HEADER + 4] != b"HdrS":
        raise WireError("no header of a Linux kernel")
    setup = (data[0x1F1] or 4) + 1
    at = struct.unpack_from("<H", data, 0x20E)[0] + 0x200  # kernel_version
    words = data[at : data.index(b"\0", at)].decode("ascii", "replace").split()
    start, size = struct.unpack_from("<II", data, 0x248)  # payload_offset, payload_length
    start += setup * 512
    packed = data[start : start + size]
    kind = next((kind for magic, kind in PACKED.items() if packed.startswith(magic)), "")
    blocks: tuple[bytes, ...] = ()
    if kind == "lz4":
        whole, found = lz4.unpack_frame(packed)
        blocks, plain = tuple(found), bytes(whole)
    elif kind == "gzip":
        plain = zlib.decompressobj(31).decompress(packed)
    elif kind in ("xz", "lzma"):
        plain = lzma.LZMADecompressor().decompress(packed)
    elif kind == "bzip2":
        plain = bz2.BZ2Decompressor().decompress(packed)
    elif kind == "zstd":
        plain = _by_tool("zstd", packed)
    else:
        plain = packed
    if not elf.is_elf(plain):
        raise WireError("nothing executable is packed in it")
    return words[0] if words else "", plain, blocks


def _by_tool(tool: str, packed: bytes) -> bytes:
    if shutil.which(tool) is None:
        raise WireError(f"it is packed with {tool}, which is not installed here")
    done = subprocess.run([tool, "-dcq"], input=packed[:-4], capture_output=True)  # its size stands behind
    return done.stdout


# -- modules --------------------------------------------------------------------------------------------------------------------


def select(modules: Path, wanted: Iterable[str]) -> list[tuple[str, bytes]]:
    """Name and content of these modules and of those that they depend on, in the order in which they can be loaded. A name that is
    in no file is built in, or this kernel doesn't have it."""
    found = {path.name.partition(".")[0].replace("-", "_"): path for path in sorted(modules.rglob("*.ko*"))}
    order: dict[str, bytes] = {}

    def take(name: str, above: tuple[str, ...]) -> None:
        name = name.replace("-", "_")
        if name in order or name not in found or name in above:
            return
        data = _module(found[name])
        for other in depends(data):
            take(other, (*above, name))
        order[name] = data

    for name in wanted:
        take(name, ())
    return list(order.items())


def _module(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    elif path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    return untyped(unsigned(data))


def untyped(data: bytes) -> bytes:
    """A module whose table of types is called something else: for the first module that has one, the kernel reads its own, which
    takes a tenth of a second under emulation. Only programs of BPF want them."""
    return data.replace(b"\0.BTF\0", b"\0.btf\0")


def unsigned(data: bytes) -> bytes:
    """A module without its signature, which nobody in an image could refuse: checking it takes longer than loading."""
    if not data.endswith(SIGNATURE):
        return data
    size = int.from_bytes(data[-len(SIGNATURE) - 4 : -len(SIGNATURE)], "big")
    return data[: -len(SIGNATURE) - 12 - size]


def depends(data: bytes) -> list[str]:
    """The modules that this one says it needs (`depends=` in its section .modinfo)."""
    at = data.find(b"\0depends=")
    if at < 0:
        return []
    said = data[at + 9 : data.index(b"\0", at + 1)].decode("ascii", "replace")
    return [name for name in said.split(",") if name]
