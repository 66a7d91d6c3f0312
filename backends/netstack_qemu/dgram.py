"""QemuDgram: one guest behind `-netdev dgram`, or any socket that keeps message boundaries."""

import errno
import os
import socket
import sys

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.instant import Instant

from .base import SOFTWARE, Common, Ears, bind, check_mac, check_path, unlink
from .core import DgramCore

RETRY = 500_000  # half a millisecond: a queue of ten datagrams is then read empty by whoever reads at all
RCVBUF = 4 << 20  # of the kernel's memory, asked for: as much as a burst of ours


class QemuDgram(DgramCore, Common):
    """An Ethernet whose other end is an emulator's network card, a frame in each datagram."""

    __slots__ = ("_clock", "_closed", "_mac", "_mtu", "_name", "_path", "_retry_at", "_software", "ears")

    _path: "str | None"

    def __init__(
        self,
        path: str,
        *,
        remote: "str | None" = None,
        mac: "Mac | None" = None,
        mtu: int = 1500,
        gro: bool = True,
        gso: bool = True,
    ) -> None:
        """Bound to `path`. `remote` is where the guest's socket is; None: where frames come from, the last time.

        Raises UsageError, and SocketUnavailable where the path can't be had.
        """
        check_path(path)
        if remote is not None and check_path(remote) == path:
            raise UsageError(f"{path} can't be both ends: local is ours, remote the guest's")
        self._set_up(path, mac, mtu, gro, gso)
        try:
            self._take(bind(socket.SOCK_DGRAM, path))
        except BaseException:
            self.ears.close()
            raise
        self._path = path
        self.learns = remote is None
        if remote is not None:
            put_peer(self.peer, remote)

    @classmethod
    def from_socket(
        cls, s: socket.socket, *, name: str = "", mac: "Mac | None" = None, mtu: int = 1500, gro: bool = True, gso: bool = True
    ) -> "QemuDgram":
        """Over a socket that is ours from now on: one that is connected, or one that is bound and answers who speaks."""
        self = cls.__new__(cls)
        self._set_up(name or f"fd:{s.fileno()}", mac, mtu, gro, gso)
        s.set_inheritable(False)
        try:
            s.getpeername()
        except OSError:
            self.learns = True
        self.ends = s.type == socket.SOCK_SEQPACKET
        self._take(s)
        return self

    def _set_up(self, name: str, mac: "Mac | None", mtu: int, gro: bool, gso: bool) -> None:
        mac = check_mac(mac)
        DgramCore.__init__(self, mtu, gro)
        self._name = name
        self._mac = mac
        self._mtu = mtu
        self._software = SOFTWARE if gso else 0
        self._path = None
        self._closed = False
        self._retry_at: int | None = None
        self._clock = 0
        self.ears = Ears()

    def _take(self, s: socket.socket) -> None:
        s.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            s.setsockopt(socket.SOL_SOCKET, option, RCVBUF)
        self.sock = s
        self.fd = s.fileno()
        self.ears.watch(self.fd)

    def poll(self, now: Instant) -> bool:
        """Hand up what came, in one batch. Raises OSError when the socket is broken."""
        if self.fd < 0:
            return False
        self._clock = now
        if self.out_n:
            self.write_out(now)
        return self.read(now)

    def plain(self) -> None:
        """Carry single frames with complete checksums from now on, both ways."""
        self._software = 0
        self.gatherer = None

    def next_deadline(self) -> "Instant | None":
        return None if self._retry_at is None else Instant(self._retry_at)

    def close(self) -> None:
        """Closing it again does nothing."""
        if self._closed:
            return
        self._closed = True
        self.fd = -1
        self._retry_at = None
        self.sock.close()
        unlink(self._path)
        self.ears.close()

    # -- what the core asks -------------------------------------------------------------------------------------------------

    def blocked(self, on: bool) -> None:
        self._retry_at = self._clock + RETRY if on else None

    def lost(self, number: int) -> None:
        if number == errno.ECONNREFUSED:  # what a connected socket says of a peer that is away, once
            return
        self.mib.Departures += 1
        raise OSError(number or errno.ENODEV, f"the guest of {self._name} is gone")


def put_peer(peer: bytearray, path: str) -> None:
    """Write `path` in the form of sysio's."""
    words = os.fsencode(path)
    peer[: 2 + len(words)] = len(words).to_bytes(2, sys.byteorder) + words
