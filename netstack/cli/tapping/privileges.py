"""Giving up what a router needs no more once its devices are there.

In this order, each step optional but the capabilities:

    runas           another user and group
    capabilities    all of them, but for binding low ports where that was asked for; and none can come back: not by `exec`
                    (the bounding set, ambient set, no_new_privs), and not with user 0 (a user without them is just a user)
    sandbox         a mount namespace with nothing in it but /etc and what Python reads, read-only
    seccomp         system calls that a router never makes (seccomp.py)

A capability is a thread's, so this happens before there is a second one.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ...errors import UsageError
from ...router.guests import syscalls

# linux/capability.h
CAP_KILL = 5
CAP_NET_BIND_SERVICE = 10
CAP_SYS_ADMIN = 21
VERSION_3 = 0x20080522

# linux/prctl.h
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
PR_SET_KEEPCAPS = 8
PR_SET_DUMPABLE = 4


class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def permitted() -> int:
    """The capabilities that this thread may have, as bits."""
    header, data = Header(VERSION_3, 0), (Data * 2)()
    syscalls.check(syscalls.libc().capget(ctypes.byref(header), data))
    return int(data[0].permitted) | int(data[1].permitted) << 32


def set_capabilities(bits: int) -> None:
    """Have these and no others, none of them inheritable. Raises OSError."""
    header, data = Header(VERSION_3, 0), (Data * 2)()
    for i in range(2):
        data[i].effective = data[i].permitted = bits >> 32 * i & 0xFFFFFFFF
    syscalls.check(syscalls.libc().capset(ctypes.byref(header), data))


def read_user(text: str) -> tuple[int, int]:
    """`UID`, `UID:GID`, `LOGIN` or `LOGIN:GROUP` as numbers. Raises UsageError."""
    user, colon, group = text.partition(":")
    try:
        if user.isascii() and user.isdigit():
            uid = int(user)
            gid = uid
            with contextlib.suppress(KeyError):
                gid = pwd.getpwuid(uid).pw_gid
        else:
            entry = pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
    except KeyError:
        raise UsageError(f"no user is called {user!r}: give --runas one that is there, like nobody") from None
    if colon:
        try:
            gid = int(group) if group.isascii() and group.isdigit() else grp.getgrnam(group).gr_gid
        except KeyError:
            raise UsageError(f"no group is called {group!r}: give --runas one that is there, like nobody:nogroup") from None
    if uid == 0:
        raise UsageError("--runas root gives up nothing: name a user without rights, like nobody")
    return uid, gid


def change_user(uid: int, gid: int) -> None:
    """Be somebody else, with the capabilities that this thread has. Raises OSError."""
    syscalls.prctl(PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups([])
    except PermissionError as error:
        raise OSError(error.errno, f"only root becomes somebody else ({error.strerror})", "--runas") from None
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    syscalls.prctl(PR_SET_KEEPCAPS, 0)
    set_capabilities(permitted())  # kept they were, but no longer in effect: `drop` needs some


def drop(keep: Iterable[int] = ()) -> int:
    """Give up all capabilities but those of `keep` that are there: the bits that stay. Raises OSError."""
    bits = permitted() & sum(1 << number for number in set(keep))
    with contextlib.suppress(OSError):  # EINVAL of a kernel without ambient capabilities
        syscalls.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(64):
        try:
            if syscalls.prctl(PR_CAPBSET_READ, number) and not bits >> number & 1:
                syscalls.prctl(PR_CAPBSET_DROP, number)
        except OSError:  # no such capability, or not CAP_SETPCAP: then an `exec` of ours could gain nothing anyway, see below
            continue
    set_capabilities(bits)
    syscalls.prctl(PR_SET_NO_NEW_PRIVS, 1)
    # a guest of the same user's could attach to us with ptrace(2), and be in the host's network: nobody may, nor read our memory
    syscalls.prctl(PR_SET_DUMPABLE, 0)
    return bits


def sandbox(writable: Iterable[str] = ()) -> None:
    """Leave the file system, but for what Python reads and /etc, read-only, and the folders `writable`. Raises OSError.

    What is open stays open. Whoever has no right to do this gets a user namespace first, in which they have.
    """
    flags = syscalls.CLONE_NEWNS
    uid, gid = os.geteuid(), os.getegid()
    if not permitted() >> CAP_SYS_ADMIN & 1:
        flags |= syscalls.CLONE_NEWUSER
    readable = seen_by_python()
    folders = dict.fromkeys(readable, False) | {os.path.realpath(path): True for path in writable}
    syscalls.unshare(flags)
    if flags & syscalls.CLONE_NEWUSER:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    opened = {path: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in sorted(folders)}
    root = tempfile.gettempdir()  # covered from now on: what lies under it is reached by its descriptor
    syscalls.mount("none", root, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=1m")
    for path, fd in opened.items():
        target = root + path
        with contextlib.suppress(OSError):  # it lies in one that is there already, read-only
            os.makedirs(target, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{fd}", target, flags=syscalls.MS_BIND | syscalls.MS_REC)
        os.close(fd)
        if not folders[path]:
            read_only = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY | syscalls.MS_NOSUID
            with contextlib.suppress(OSError):  # what was mounted with other flags in a namespace above can't be changed here
                syscalls.mount("none", target, flags=read_only)
    own = os.path.realpath(tempfile.gettempdir())  # ours alone, and whoever we become may write there: OpenSSL reads files only
    if own not in folders:
        with contextlib.suppress(OSError):  # it lies in one that is there, read-only
            os.makedirs(root + own, exist_ok=True)
            os.chmod(root + own, 0o1777)
    for link in ("/lib", "/lib64", "/bin", "/sbin"):
        if os.path.islink(link):
            os.symlink(os.readlink(link), root + link)
    os.chdir(root)
    syscalls.pivot_root(".", ".")  # on top of itself: pivot_root(2)
    syscalls.umount(".")
    os.chdir("/")


def seen_by_python() -> set[str]:
    """The folders that this process may read from yet: modules that are imported late, certificates, names of the host's."""
    paths = {os.path.realpath(path) for path in sys.path if path and os.path.isdir(path)}
    paths |= {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sysconfig.get_paths()["stdlib"])}
    paths |= {path for path in ("/etc", "/usr", "/lib", "/lib64") if os.path.isdir(path) and not os.path.islink(path)}
    paths.add(os.path.dirname(os.path.realpath("/etc/resolv.conf")))  # systemd-resolved's is in /run
    return {path for path in paths if not any(path != other and path.startswith(other + os.sep) for other in paths) and path != "/"}
