"""The system calls that Python does not wrap, or only since 3.12. All raise OSError, with what the kernel said."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

# linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2


@functools.cache
def libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str = "") -> int:
    """`result` of a call; an OSError where it is -1. `what` is named in it as a file would be."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what) if what else OSError(number, os.strerror(number))
    return result


def unshare(flags: int) -> None:
    """Move this thread into namespaces of its own; a new user namespace wants a process with one thread."""
    check(libc().unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """Move this thread into the namespace that `fd` names; `kind` is a CLONE_* flag."""
    check(libc().setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    words = [os.fsencode(word) if word else None for word in (source, target, kind, data)]
    check(libc().mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), target)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    check(libc().umount2(os.fsencode(target), ctypes.c_int(flags)), target)


def pivot_root(new: str, old: str) -> None:
    """In no libc: `syscall(SYS_pivot_root)`. ENOSYS on a machine whose number is not known here."""
    number = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}.get(os.uname().machine)
    if number is None:
        raise OSError(38, os.strerror(38))
    check(libc().syscall(ctypes.c_long(number), os.fsencode(new), os.fsencode(old)), new)


def prctl(option: int, *arguments: int) -> int:
    words = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return check(libc().prctl(ctypes.c_int(option), *words))
