"""What every net can say about itself, whatever its event loop: `net.Net` on asyncio, `trio.TrioNet` on trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..address import ip4_text
from ..dns.client.eyeballs import History
from ..errors import BrokenError, ClosedError, UsageError
from ..instant import SECOND, Duration, Instant
from ..records import asdict
from ..signatures import Netif
from ..sockets.table import Sockets
from ..stack import Stack
from ..tcp.connection import Connection
from .base import Crank
from .current import run_on
from .names import Host, Names

if TYPE_CHECKING:
    from ..dhcp.clientonstack import ClientOnStack
    from ..dns.client.answer import Answer
    from ..dns.multicast.core import MdnsConfig
    from ..dns.multicast.mdns import Mdns
    from .lookups import Dns, Lookups, Servers

T = TypeVar("T")

CONNECT_TIMEOUT = Duration(120 * SECOND)  # the kernel's six SYN retries take 127 s; asyncio leaves it at that too
LINGER = Duration(2 * SECOND)  # how long leaving waits for closed connections to deliver: a few round trips and an RTO
BACKLOG = 128


class NetFace:
    """A stack, who turns it, and whether it still does."""

    def __init__(self, stack: Stack, crank: Crank, names: Names | None, owns: bool) -> None:
        """`owns`: the crank and the stack are this net's, and end with it."""
        self.stack = stack
        self.names = names or Names()
        self.sockets = Sockets(stack, crank)  # for faces, and for those who drive themselves (sockets/base.py)
        self._crank = crank
        self._owns = owns
        self._closed = False
        self._lookups: Lookups | None = None
        self._later: Callable[[], object] | None = None
        self.history = History()  # of connections that failed
        self._closers: list[Callable[[], None]] = []
        self.dhcp: ClientOnStack | None = None  # who has its address from elsewhere (automatic.py)

    @property
    def netif(self) -> Netif:
        return self.stack.netif

    @property
    def name(self) -> str:
        """What it is on, for people."""
        return self.netif.name

    @property
    def addresses(self) -> list[str]:
        """Own addresses with their prefix lengths, as text."""
        return [str(cidr) for cidr in self.stack.addresses]

    def counters(self) -> dict[str, dict[str, int]]:
        """`{"Ip": {"InReceives": 12, …}, …}`, named as the kernel's SNMP counters."""
        return self.stack.counters()

    def meanings(self) -> dict[str, dict[str, str]]:
        """What each counter counts."""
        return self.stack.meanings()

    def connections(self) -> list[dict[str, Any]]:
        """One dict for each TCP connection, in no order: addresses, state, windows, times."""
        return [connection_row(conn) for conn in self.stack.tcp.connections()]

    @property
    def closed(self) -> bool:
        return self._closed

    # -- names that it doesn't know itself ------------------------------------------------------------------------------------

    @property
    def lookups(self) -> Lookups:
        """How they are found out (lookups.py)."""
        if self._lookups is None:
            from .lookups import Lookups

            self._lookups = Lookups(self)
            later, self._later = self._later, None
            if later is not None:
                later()
        return self._lookups

    @property
    def dns_is_put_off(self) -> bool:
        """Will `put_off_dns`'s call still come?"""
        return self._later is not None

    def put_off_dns(self, call: Callable[[], object]) -> None:
        """Have `call` set `dns` when somebody wants to know it, or looks a name up: most hosts that only serve never do."""
        self._later = call

    @property
    def dns(self) -> Dns | None:
        """Who is asked for names that are not in `hosts=`. Set it to servers, `["10.0.0.1"]` or `["tls://10.0.0.1#dns.example"]`,
        to "system" for those of /etc/resolv.conf, to a `Resolver`, or to None. Raises UsageError, OSError."""
        return None if self._lookups is None and self._later is None else self.lookups.resolver

    @dns.setter
    def dns(self, whom: Servers | Dns | None) -> None:
        self.lookups.ask(whom)

    def asks(self, host: Host, flags: int = 0) -> bool:
        """Is `host` a name for the DNS, or for somebody of its own (`Names.special`)?"""
        known = self._lookups is not None or self._later is not None or bool(self.names.special)
        return known and self.lookups.asks(host, flags)

    async def address_of(self, host: str) -> int:
        """An IPv4 address of `host`. Raises UsageError for what is no name here and can't be asked for, Unreachable for a name that
        has none."""
        return (await self.addresses_of(host))[0]

    async def addresses_of(self, host: str) -> Sequence[int]:
        """All of them, the best first. Raises the same."""
        found: Sequence[int] = self.names.all_ipv4(host)
        if not found:
            if not self.asks(host):
                return [self.names.ipv4(host)]  # which says what is wrong
            found = await self.lookups.ipv4(host)
            self.check()  # it may have been closed meanwhile
        return found if len(found) == 1 else self.history.order(found, ip4_text, self.now())

    async def resolve(
        self, name: str | bytes, type: str | int = "A", *, timeout: float | None = None, dnssec: bool = False
    ) -> Answer:
        """The records of a name, with TTL, server and time: `dns.client.resolver.Resolver.resolve`. `hosts=` and the search list
        have no part in it. Raises ResolutionError, a socket.gaierror, and UsageError, also where nobody can be asked."""
        self.check()
        resolver = self.dns
        if resolver is None:
            raise UsageError('this net has nobody to ask: open it with dns=["10.0.0.1"], or set net.dns')
        return await resolver.resolve(name, type, timeout=timeout, dnssec=dnssec)

    async def run(self, program: Awaitable[T]) -> T:
        """Await `program` with this net as the one that its tasks mean when they name none (current.py)."""
        return await run_on(self, program)

    def now(self) -> Instant:
        return Instant(self._crank.now())

    @property
    def failure(self) -> OSError | None:
        """What took the device away; None while it works."""
        return self._crank.failure

    @property
    def turn(self) -> Crank:
        """What keeps its time."""
        return self._crank

    def check(self) -> None:
        """Raises ClosedError, BrokenError."""
        if self._closed:
            raise ClosedError("this net is closed")
        if self._crank.failure is not None:
            raise BrokenError(f"the device {self.netif.name} is gone: {self._crank.failure}") from self._crank.failure

    def mdns(self, name: str = "", config: MdnsConfig | None = None) -> Mdns:
        """Multicast DNS on this net's link, to be entered with `async with`: the host is called `name` there, without one it only
        asks. Raises UsageError."""
        from ..dns.multicast.core import MdnsConfig
        from ..dns.multicast.mdns import Mdns

        return Mdns(self, name, config or MdnsConfig())

    def on_close(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call it when the net is closed, while datagrams can still be sent. Gives what undoes this."""
        self._closers.append(call)
        return lambda: self._closers.remove(call) if call in self._closers else None

    def _farewell(self) -> None:
        while self._closers:
            self._closers.pop()()

    def _let_go(self) -> None:
        """Of the loop and the device, if they are its own."""
        now = self.now()
        if self._owns:
            self._crank.stop()
            self.stack.close(now)
        else:
            self.stack.tcp.abort_all(now)


def check_port(port: int) -> int:
    if not isinstance(port, int):
        raise UsageError(f"{port!r} is not a port: those are numbers; which of the arguments is it?")
    if not 0 <= port <= 65535:
        raise UsageError(f"{port} is not a port: choose one from 0 to 65535")
    return port


def connection_row(conn: Connection) -> dict[str, Any]:
    """A connection as a flat dict: `local`, `remote`, and the fields of `Connection.info()`."""
    row = {"local": f"{ip4_text(conn.local)}:{conn.local_port}", "remote": f"{ip4_text(conn.remote)}:{conn.remote_port}"}
    return row | asdict(conn.info())
