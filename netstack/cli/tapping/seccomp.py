"""A filter of system calls, by libseccomp where it is installed.

It lists what is *denied*. A list of what is allowed, as a router in C has it, can't be drawn up for Python: what the interpreter
and its C library call changes with their versions, and one forgotten call breaks a router after hours. Denied is what a router
never does and somebody who has taken it over would do next: begin programs, look into others, change the file system,
namespaces, the kernel and the clock, and open sockets of unusual families. It answers EPERM (ENOSYS for clone3, whose arguments a
filter can't see: libraries then use clone). Files and the network are still there; capabilities and the sandbox are for those.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import socket
from typing import Any

log = logging.getLogger("netstack.tap")

DENIED = (
    # other programs
    "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
    # the file system, and other views of it
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd", "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat",
    # namespaces and rights
    "setns", "unshare", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
    "capset", "personality",
    # the kernel
    "init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open",
    "userfaultfd", "keyctl", "add_key", "request_key", "lookup_dcookie", "io_uring_setup", "iopl", "ioperm", "modify_ldt",
    "reboot", "syslog", "acct", "nfsservctl", "_sysctl", "vhangup", "sethostname", "setdomainname", "vm86", "vm86old", "uselib",
    # the clock
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime",
)  # fmt: skip
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)  # the last one is how libc asks for addresses
CLONE_FLAGS = 0x7E020080  # CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
FAMILIES_CHECKED = 64  # and whatever is above

# seccomp.h
SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO = 0x00050000
SCMP_FLTATR_CTL_NNP = 3
SCMP_FLTATR_CTL_TSYNC = 4
SCMP_CMP_EQ = 4
SCMP_CMP_GE = 5
SCMP_CMP_MASKED_EQ = 7


class Argument(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def library() -> Any:
    """libseccomp, or None."""
    for name in ("libseccomp.so.2", "libseccomp.so"):
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        lib.seccomp_init.restype = ctypes.c_void_p
        lib.seccomp_init.argtypes = [ctypes.c_uint32]
        lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
        lib.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
        lib.seccomp_load.argtypes = lib.seccomp_release.argtypes = [ctypes.c_void_p]
        lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
        return lib
    return None


def install() -> bool:
    """Filter the calls of all threads from now on, and of what they begin. False, and a line in the log, where that can't be."""
    lib = library()
    if lib is None:
        log.info("no system calls are filtered: libseccomp is not installed")
        return False
    context = lib.seccomp_init(SCMP_ACT_ALLOW)
    if not context:
        log.warning("no system calls are filtered: libseccomp doesn't work here")
        return False
    try:
        lib.seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 1)
        lib.seccomp_attr_set(context, SCMP_FLTATR_CTL_TSYNC, 1)
        for name in DENIED:
            _deny(lib, context, name, errno.EPERM)
        _deny(lib, context, "clone3", errno.ENOSYS)
        for bit in range(32):
            if CLONE_FLAGS >> bit & 1:
                _deny(lib, context, "clone", errno.EPERM, Argument(0, SCMP_CMP_MASKED_EQ, 1 << bit, 1 << bit))
        for family in range(FAMILIES_CHECKED):
            if family not in FAMILIES:
                _deny(lib, context, "socket", errno.EAFNOSUPPORT, Argument(0, SCMP_CMP_EQ, family, 0))
        _deny(lib, context, "socket", errno.EAFNOSUPPORT, Argument(0, SCMP_CMP_GE, FAMILIES_CHECKED, 0))
        failed = lib.seccomp_load(context)
    finally:
        lib.seccomp_release(context)
    if failed:
        log.warning("no system calls are filtered: the kernel refuses the filter (%s)", errno.errorcode.get(-failed, failed))
    return not failed


def _deny(lib: Any, context: int, name: str, number: int, *arguments: Argument) -> None:
    call = lib.seccomp_syscall_resolve_name(name.encode())
    if call == -1:  # this version doesn't know it
        return
    array = (Argument * len(arguments))(*arguments)
    lib.seccomp_rule_add_array(context, SCMP_ACT_ERRNO | number, call, len(arguments), array)  # one of another machine is refused
