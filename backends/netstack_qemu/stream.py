"""QemuStream: one guest behind `-netdev stream`. Door: a path to which several guests come."""

import contextlib
import errno
import socket

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.instant import Instant

from .base import SOFTWARE, Common, Ears, bind, check_mac, check_path, unlink
from .core import StreamCore

MILLISECOND = 1_000_000
RETRY = 100 * MILLISECOND  # a guest's socket is looked for, this often at first
RETRY_LIMIT = 1000 * MILLISECOND  # and no less often than this
BACKLOG = 8


class QemuStream(StreamCore, Common):
    """An Ethernet whose other end is an emulator's network card, each frame behind its length.

    It listens at a path, connects to one, or has a socket that is connected already. A guest that goes away may come again, but for
    the last kind: then `poll` raises OSError.
    """

    __slots__ = ("_closed", "_conn", "_delay", "_listening", "_mac", "_mtu", "_name", "_path", "_retry_at", "_software", "ears")

    _path: "str | None"  # ours, or where to connect; None of a socket that was given to us

    def __init__(
        self,
        path: str,
        *,
        server: "bool | None" = None,
        mac: "Mac | None" = None,
        mtu: int = 1500,
        gro: bool = True,
        gso: bool = True,
    ) -> None:
        """`server`: listen at `path`; False: connect there, and go on trying; None: connect where somebody listens, or else listen.

        mac   the stack's          mtu   of the link: the guest must have the same         gro gso   as for `Tap`

        Raises UsageError, and SocketUnavailable where the path can't be had.
        """
        check_path(path)
        self._set_up(path, mac, mtu, gro, gso)
        try:
            if server is None:
                self._connect(0)
                server = self._conn is None
            self._path = path
            if server:
                listening = bind(socket.SOCK_STREAM, path)
                listening.listen(BACKLOG)
                self._listen(listening)
            elif self._conn is None:
                self._connect(0)
        except BaseException:
            self.ears.close()
            raise

    @classmethod
    def from_socket(
        cls, s: socket.socket, *, name: str = "", mac: "Mac | None" = None, mtu: int = 1500, gro: bool = True, gso: bool = True
    ) -> "QemuStream":
        """Over a connected or a listening socket of a stream, which is ours from now on."""
        self = cls.__new__(cls)
        self._set_up(name or f"fd:{s.fileno()}", mac, mtu, gro, gso)
        s.setblocking(False)
        s.set_inheritable(False)
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._listen(s)
        else:
            self._have(s)
        return self

    def _set_up(self, name: str, mac: "Mac | None", mtu: int, gro: bool, gso: bool) -> None:
        mac = check_mac(mac)
        StreamCore.__init__(self, mtu, gro)
        self._name = name
        self._mac = mac
        self._mtu = mtu
        self._software = SOFTWARE if gso else 0
        self._path = None
        self._closed = False
        self._listening: socket.socket | None = None
        self._conn: socket.socket | None = None
        self._delay = RETRY
        self._retry_at: int | None = None
        self.ears = Ears()

    def _listen(self, s: socket.socket) -> None:
        self._listening = s
        self.ears.watch(s.fileno())

    @property
    def connected(self) -> bool:
        """Is a guest there?"""
        return self._conn is not None

    def poll(self, now: Instant) -> bool:
        """Hand up what came, in one batch. Raises OSError when the guest of a socket that was given to us is gone."""
        if self._listening is not None:
            self._accept()
        elif self._retry_at is not None and self._retry_at <= now:
            self._connect(now)
        if self.fd < 0:
            return False
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
        for s in (self._conn, self._listening):
            if s is not None:
                s.close()
        if self._listening is not None:
            unlink(self._path)
        self._conn = self._listening = None
        self.ears.close()

    # -- what the core asks -------------------------------------------------------------------------------------------------

    def blocked(self, on: bool) -> None:
        if self.fd >= 0:
            self.ears.watch(self.fd, on)

    def lost(self, number: int) -> None:
        conn = self._conn
        if conn is None:
            return
        self.mib.Departures += 1
        self.ears.dismiss(conn.fileno())
        self.fd = -1
        self._conn = None
        conn.close()
        if self._listening is not None:
            return
        if self._path is None:
            raise OSError(number or errno.ENODEV, f"the guest of {self._name} is gone")
        self._delay = RETRY
        self._retry_at = 0  # at once: QEMU may listen again already

    # -- guests -------------------------------------------------------------------------------------------------------------

    def _have(self, s: socket.socket) -> None:
        self.mib.Arrivals += 1
        self._conn = s
        self.fd = s.fileno()
        self.ears.watch(self.fd)

    def _accept(self) -> None:
        assert self._listening is not None
        while (s := accept(self._listening)) is not None:
            if self._conn is not None and is_over(self._conn):
                self.lost(0)  # it was restarted, and we hear of the new one first
            if self._conn is None:
                self._have(s)
            else:
                self.mib.TurnedAway += 1
                s.close()

    def _connect(self, now: int) -> None:
        """Try once; where nobody listens, again later, unless there is no `_path` to come back to."""
        path = self._path or self._name
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect(path)
        except OSError:  # EAGAIN too: somebody listens there, and has no time for us
            s.close()
            if self._path is not None:
                self._retry_at = now + self._delay
                self._delay = min(2 * self._delay, RETRY_LIMIT)
            return
        self._retry_at = None
        self._delay = RETRY
        self._have(s)


class Door:
    """A path to which several emulators come: each that connects is a device of its own. For a switch (`guests.hub`)."""

    def __init__(
        self, path: str, *, limit: int = 64, mac: "Mac | None" = None, mtu: int = 1500, gro: bool = True, gso: bool = True
    ) -> None:
        """`limit` guests at a time: who can connect there could make devices without end."""
        self.name = check_path(path)
        self.limit = limit
        self._options = (check_mac(mac), mtu, gro, gso)
        self._count = 0
        self._listening = bind(socket.SOCK_STREAM, path)
        self._listening.listen(BACKLOG)

    def fileno(self) -> int:
        return self._listening.fileno()

    def accept(self, guests: int) -> "QemuStream | None":
        """Who has come, where there are `guests` already; None when nobody has. Beyond the limit they are turned away."""
        while (s := accept(self._listening)) is not None:
            if guests >= self.limit:
                s.close()
                continue
            self._count += 1
            mac, mtu, gro, gso = self._options
            return QemuStream.from_socket(s, name=f"{self.name}#{self._count}", mac=mac, mtu=mtu, gro=gro, gso=gso)
        return None

    def close(self) -> None:
        self._listening.close()
        unlink(self.name)


def accept(listening: socket.socket) -> "socket.socket | None":
    """One connection, or None. An error of one that is gone already is not ours."""
    try:
        s, _ = listening.accept()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EBADF, errno.EINVAL):
            raise
        return None
    s.setblocking(False)
    return s


def is_over(s: socket.socket) -> bool:
    """Has the other end hung up, with nothing left to read?"""
    with contextlib.suppress(OSError):
        return not s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return False


def check_guests(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 0 < int(text) <= 1024:
        return int(text)
    raise UsageError(f"guests={text} is not possible: write how many may come, from 1 to 1024")
