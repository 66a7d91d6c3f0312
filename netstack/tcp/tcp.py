"""The face of TCP (RFC 9293): `Tcp(ip, timers, rng)` on any internet layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from .. import const
from ..cores import IpError, StreamUser
from ..errors import UsageError
from ..signatures import Ip, Rng
from ..timers import Timers
from .catch import Catcher
from .config import TcpConfig
from .congestion import registry
from .connection import Connection
from .core import TcpCore
from .listener import Accept, Listener
from .mib import TcpExt, TcpMib

I_co = TypeVar("I_co", bound=Ip, covariant=True)


class Tcp(TcpCore, Generic[I_co]):
    """Addresses and ports are ints, instants nanoseconds. `mib` and `ext` are the counters."""

    __slots__ = ("_ip",)

    def __init__(self, ip: I_co, timers: Timers, rng: Rng, config: TcpConfig | None = None) -> None:
        super().__init__(ip, timers, rng, config or TcpConfig())
        self._ip = ip
        ip.attach(const.PROTO_TCP, self)

    @property
    def core(self) -> TcpCore:
        return self

    @property
    def ip(self) -> I_co:
        return self._ip

    @property
    def mib(self) -> TcpMib:
        return self.hub.mib

    @property
    def ext(self) -> TcpExt:
        return self.hub.ext

    def listen(self, address: int, port: int, accept: Accept, backlog: int = 128, catcher: Catcher | None = None) -> Listener:
        """Accept connections to `port` of `address` (0: of all addresses; port 0: one is chosen).

        `accept(connection)` is called when a handshake is done; it returns the connection's user, whose `connected` is called
        next, or None to refuse. With a `catcher` its SYNs wait for that one's word, and `accept` is not asked.

        Raises AddressInUse, UsageError, and Unreachable when the address is not ours.
        """
        listener = self.bind(address, port, accept, backlog)
        listener.catcher = catcher
        return listener

    def catch(self, catcher: Catcher | None) -> None:
        """SYNs that no listener wants go to `catcher(request)`, and nothing answers them before it says what (catch.py). With
        `Ipv4Config.any_ip`, those for every address. Listeners on all addresses keep to our own ones then. None: not any more, and
        those that are held are forgotten. Raises UsageError when somebody catches already."""
        if catcher is not None and self.hub.catcher is not None:
            raise UsageError("somebody catches the SYNs of this stack already: he must let go first")
        self.hub.catcher = catcher
        if catcher is None:
            self.held.clear()

    def connect(
        self,
        local: int,
        local_port: int,
        remote: int,
        remote_port: int,
        user: StreamUser,
        now: int,
        nodelay: bool | None = None,
        congestion: str | None = None,
        prepare: Callable[[Connection], object] | None = None,
    ) -> Connection:
        """Send a SYN; `user.connected` or `user.closed(Refused | TimedOut | Unreachable)` follows.

        `local` 0: the internet layer chooses; `local_port` 0: one is chosen at random. `nodelay` and `congestion` stand above the
        configuration; `prepare(connection)` is called before the SYN leaves, for options that it carries.

        Raises AddressInUse, Unreachable, NoBuffers, UsageError.
        """
        if congestion is not None:
            registry.find(congestion)  # refused before anything is sent
        c = self.open(local, local_port, remote, remote_port, user, now, prepare)
        if nodelay is not None:
            c.set_nodelay(nodelay, now)
        if congestion is not None:
            c.set_congestion(congestion)
        return c

    def flush(self, now: int) -> None:
        """The batch is over."""
        self.settle(now)

    def error(self, e: IpError, now: int) -> None:
        """An ICMP error about one of our segments."""
        self.icmp(e, now)

    def connections(self) -> Iterable[Connection]:
        """Those that exist now: half-open ones too, and those that are over but for what a paused user has still to read."""
        return self.all_connections()

    def abort_all(self, now: int) -> None:
        """Drop every connection, with a RST, but for those that only wait for the peer's FIN, and forget the SYNs that are
        held. Listeners stay."""
        self.held.clear()
        for c in self.all_connections():
            c.vanish(now)
