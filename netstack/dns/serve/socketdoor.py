"""The door on a UDP socket of the kernel's: up to 64 datagrams come in with one system call, and their answers leave with another.

An event loop's own datagram transport makes two objects and three calls for each datagram. Here a loop only says that the socket is
readable: `loop.add_reader(sock, door.on_readable)` on any loop of asyncio's, `trio.lowlevel.wait_readable(sock)` on trio.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from ... import raw
from ...errors import UsageError
from . import sysio
from .quick import Quick
from .sysio import get_control, get_name

Desk = Callable[[bytes, Any, int], bytes | None]  # a message, its sender as sockets have it, now; the answer, if it is there


class Peer(tuple[Any, ...]):
    """A client's address as sockets have it. `asked`: which of ours it asked, as ancillary data: the answer comes from there."""

    asked: list[tuple[int, int, bytes]]


class SocketDoor:
    """`sock` is bound and doesn't block. What `quick` hands on goes to `desk`, which must not wait; it answers, now or later, by
    `send`."""

    __slots__ = ("_clock", "_controls", "_fd", "_names", "_out", "_out_slot", "_room", "_sizes", "desk", "quick", "sock")

    def __init__(self, sock: socket.socket, quick: Quick, desk: Desk, clock: Callable[[], int] = monotonic_ns) -> None:
        if not sys.platform.startswith("linux"):
            raise UsageError("SocketDoor needs system calls of Linux's: take KernelDoor here, on the loop's own datagram transport")
        self.sock = sock
        self.quick = quick
        self.desk = desk
        self._clock = clock
        self._fd = sock.fileno()
        self._room = bytearray(sysio.BATCH * sysio.SLOT)
        self._out_slot = quick.ask.payload
        self._out = bytearray(sysio.BATCH * self._out_slot)
        self._names = bytearray(sysio.BATCH * sysio.NAME)
        self._controls = bytearray(sysio.BATCH * sysio.CONTROL)
        self._sizes = bytearray(sysio.BATCH * 8)
        if sock.getsockname()[0] in ("0.0.0.0", "::"):  # of several addresses, the one that was asked has to answer
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8), 1)  # has a name since Python 3.13

    def on_readable(self) -> None:
        """Answer one batch. The loop comes back for more, so that other work gets its turn."""
        n = sysio.receive(self.sock, self._fd, self._room, sysio.SLOT, self._names, self._controls, self._sizes)
        if n == 0:
            return
        now = self._clock()
        some = 0
        for i in range(n):
            some |= self.take(i, now)
        if some:
            lost = sysio.send(self.sock, self._fd, self._out, self._out_slot, self._names, self._controls, self._sizes, n)
            self.quick.mib.OutFailed += lost

    def take(self, i: int, now: int) -> int:
        """The datagram in slot `i`: whether its answer stands in the same slot."""
        size = raw.g32(self._sizes, 8 * i)
        raw.p32(self._sizes, 8 * i, 0)
        if size > sysio.SLOT:
            self.quick.mib.InTooLong += 1
            return 0
        o = sysio.NAME * i
        q = self.quick
        if raw.g16(self._names, o + 2) == 0:
            q.mib.InBadPort += 1
            return 0
        high = 0
        low = raw.g32(self._names, o + 4)
        six = raw.g8(self._names, o) == 10 or raw.g8(self._names, o + 1) == 10  # AF_INET6, in either byte order
        if six:
            high = raw.g32(self._names, o + 8) << 32 | raw.g32(self._names, o + 12)
            low = raw.g32(self._names, o + 16) << 32 | raw.g32(self._names, o + 20)
            if high == 0 and low >> 32 == 0xFFFF:  # IPv4 on a socket for both
                low = raw.g32(self._names, o + 20)
                six = False
        n = q.turn(self._room, sysio.SLOT * i, size, high, low, six, now)
        if n < 0:
            said = self.desk(raw.take(self._room, sysio.SLOT * i, size), self.peer(i), now)
            q.changed()
            if said is None:
                return 0
            n = len(said)
            if n > self._out_slot:
                self.send(said, self.peer(i))
                return 0
            raw.fill(self._out, i * self._out_slot, said, 0, n)
            raw.p32(self._sizes, 8 * i, n)
            return 1
        if n > self._out_slot:
            self.send(raw.take(q.ask.buf, 0, n), self.peer(i))
            return 0
        if n == 0:
            return 0
        raw.move(self._out, i * self._out_slot, q.ask.buf, 0, n)
        raw.p32(self._sizes, 8 * i, n)
        return 1

    def peer(self, i: int) -> Peer:
        """Who sent the datagram in slot `i`."""
        found = Peer(get_name(self._names, sysio.NAME * i))
        found.asked = get_control(self._controls, sysio.CONTROL * i, raw.g32(self._sizes, 8 * i + 4))
        return found

    def send(self, data: bytes, address: Any) -> None:
        """One message, to an address that `desk` was given, or any other. What the kernel doesn't take is lost, as datagrams
        are."""
        try:
            self.sock.sendmsg([data], getattr(address, "asked", ()), 0, tuple(address))
        except OSError:
            self.quick.mib.OutFailed += 1
