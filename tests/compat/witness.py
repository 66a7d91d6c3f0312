"""Who carried the traffic: the proof that it was not the kernel.

Two witnesses, since neither sees all. The audit hook hears of every `bind`, `connect`, `sendto` and `sendmsg` of a kernel socket
that Python makes, with the address; it is deaf to libuv and to C libraries, which make their own system calls. The counters of
the loopback device hear everything, once the test has a network namespace of its own with nothing in it but a loopback (and, in
some cells, our tap): whatever two kernel sockets say to each other there crosses the loopback.

Each also has to speak up where the kernel does carry the traffic, in the cells of the control column: a witness that always
says no proves nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

CARRIES = ("socket.connect", "socket.sendto", "socket.sendmsg")
INTERNET = (socket.AF_INET, socket.AF_INET6)
CLONE_NEWNET = 0x40000000  # sched.h; os.unshare came with Python 3.12


class Witness:
    """What kernel sockets did while it watched. `binds` are allowed where a program binds a socket before we can see it."""

    def __init__(self) -> None:
        self.binds: list[Any] = []
        self.carried: list[tuple[str, Any]] = []
        self.packets: int | None = None  # over the loopback; None: not known, there is no namespace of our own
        self._far = threading.local()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        sock, address = arguments[0], arguments[-1]
        if sock.family not in INTERNET or getattr(self._far, "side", False):
            return
        if event == "socket.bind":
            self.binds.append(address)
        else:
            self.carried.append((event, address))

    @contextlib.contextmanager
    def far_side(self) -> Iterator[None]:
        """What this thread does is the peer's, on the kernel's end of a tap, and is not ours to answer for."""
        self._far.side = True
        try:
            yield
        finally:
            self._far.side = False

    def saw_the_kernel(self) -> bool:
        return bool(self.carried) or bool(self.packets)


_present: Witness | None = None
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _present is not None and (event == "socket.bind" or event in CARRIES):
        _present.hear(event, arguments)


@contextlib.contextmanager
def watching() -> Iterator[Witness]:
    global _present, _hooked
    if not _hooked:  # a hook can't be taken away again: it is set once, and idle between the cells
        sys.addaudithook(_hook)
        _hooked = True
    witness = Witness()
    before = loopback_packets()
    _present = witness
    try:
        yield witness
    finally:
        _present = None
        if before is not None:
            witness.packets = (loopback_packets() or 0) - before


# -- a namespace of our own ---------------------------------------------------------------------------------------------------

_own = False


def loopback_packets() -> int | None:
    """Packets that the kernel's loopback has carried, in a namespace where they are all ours."""
    if not _own:
        return None
    with open("/proc/thread-self/net/dev") as file:  # /proc/net is that of the process, and so of its first namespace
        for line in file:
            name, _, figures = line.partition(":")
            if name.strip() == "lo":
                return int(figures.split()[1])
    return None


@contextlib.contextmanager
def own_namespace() -> Iterator[bool]:
    """Move this thread, and all that it starts, to an empty network namespace, and back. Gives whether that was possible."""
    global _own
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        if libc.unshare(CLONE_NEWNET):
            yield False
            return
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            _own = True
            yield True
        finally:
            _own = False
            if libc.setns(home, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "this thread can't go back to its network namespace")
    finally:
        os.close(home)
