"""System calls that Python has no names for, and process 1 needs. A twin, never compiled: sysio.pxd is its C.

Each gives 0, or minus the errno."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_FINIT_MODULE = {"x86_64": 313, "aarch64": 273}.get(os.uname().machine, -1)
_POWER_OFF = 0x4321FEDC  # linux/reboot.h


def mount(source: bytes, target: bytes, kind: bytes) -> int:
    return _said(_libc.mount(source, target, kind, ctypes.c_ulong(0), None))


def insert(fd: int, parameters: bytes) -> int:
    """Load the module that lies in an open file."""
    return _said(_libc.syscall(ctypes.c_long(_FINIT_MODULE), ctypes.c_int(fd), parameters, ctypes.c_int(0)))


def power_off() -> int:
    """The machine is off when this has succeeded."""
    os.sync()
    return _said(_libc.reboot(ctypes.c_int(_POWER_OFF)))


def _said(result: int) -> int:
    return 0 if result >= 0 else -ctypes.get_errno()
