"""The machine as process 1 has it: file systems, drivers, the switch."""

import os

from . import sysio


def mount(kind: str, target: str) -> None:
    """A file system that the kernel makes up, such as proc. Raises OSError."""
    check(sysio.mount(kind.encode(), target.encode(), kind.encode()), target)


def insert(path: str) -> None:
    """Load a module. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(sysio.insert(fd, b""), path)
    finally:
        os.close(fd)


def power_off() -> None:
    """Comes back only where this is not process 1's to do: OSError."""
    check(sysio.power_off(), "power off")


def check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result), what)
