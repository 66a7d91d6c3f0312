"""Linux's timers that are descriptors (timerfd_create(2)). Python has them since 3.13."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Setting(ctypes.Structure):
    """struct itimerspec: interval and first expiration, seconds and nanoseconds each."""

    _fields_ = [("interval_s", ctypes.c_long), ("interval_ns", ctypes.c_long), ("s", ctypes.c_long), ("ns", ctypes.c_long)]


_libc: Any = ctypes.CDLL(None, use_errno=True)


def create() -> int:
    """A timer on the monotonic clock: a descriptor that is readable when it has fired."""
    fd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "a timerfd can't be made")
    return fd


def arm(fd: int, when: int) -> None:
    """Fire at `when`, nanoseconds of the monotonic clock; at once if that is past."""
    setting = _Setting(0, 0, *divmod(max(when, 1), 1_000_000_000))
    if _libc.timerfd_settime(fd, _ABSOLUTE, ctypes.byref(setting), None) < 0:
        raise OSError(ctypes.get_errno(), "a timerfd can't be set")
