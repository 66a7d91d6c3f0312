"""How an image is started: the command, for people and for `--boot`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from . import pvh

QEMU = "qemu-system-x86_64"
MEMORY = 48 << 20  # what a small program wants beside the image itself
USER_NET = "user,id=n"  # QEMU's own network: an address by DHCP, and the world by the host's sockets


def qemu(image: Path, *, netdev: str = USER_NET, memory: int = 0, append: str = "", extra: Sequence[str] = ()) -> list[str]:
    """The command that boots `image`: on the serial line, which is its standard output, it says what it says."""
    size = memory or recommended(image)
    words = [QEMU, "-nodefaults", "-no-reboot", "-nographic", "-serial", "stdio", "-cpu", "max", "-m", str(size)]
    words += ["-kernel", str(image), "-netdev", netdev, "-device", "virtio-net-pci,netdev=n,romfile="]
    if append:
        words += ["-append", append]
    return [*words, *extra]


def recommended(image: Path) -> int:
    """MiB of memory: where the image ends, its files once more, unpacked, and room for the program."""
    data = image.read_bytes()
    return -(-(pvh.memory_needed(data) + 3 * len(data) + MEMORY) // (32 << 20)) * 32


def shown(words: Sequence[str]) -> str:
    return shlex.join(words)
