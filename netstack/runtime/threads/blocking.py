"""The blocking face of a net: sockets for threads, and a net of one's own for programs without an event loop.

    sock = net.blocking.create_connection(("10.0.0.1", 80))        # from any thread, while the loop of `net` runs

    with netstack.open_blocking("tap:tap0", addresses=["10.79.0.2/24"]) as net:      # no loop anywhere in the program
        sock = net.create_connection(("10.79.0.1", 80), timeout=5)

The second runs a loop in a thread of its own, and everything in it is the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import ClosedError, UsageError
from ...sockets.base import Socket
from ..doors.dialfd import carry
from ..doors.hostside import HostEnd, kernel_getaddrinfo
from ..doors.joint import CoreEnd
from .mirror import Mirror
from .owner import NetClosed, Owner, owner_of
from .stacksocket import StackSocket

if TYPE_CHECKING:
    from ..doors.dialfd import FdSocket
    from ..doors.forward import Forward
    from ..doors.socks import Socks
    from ..net import Net

T = TypeVar("T")
GLOBAL_DEFAULT_TIMEOUT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]  # the mark that `create_connection` has


MAKING = threading.Lock()  # held by who makes the face of a net
AF_INET, SOCK_STREAM = socket.AF_INET, socket.SOCK_STREAM  # in the classes below `socket` is a method


class Blocking:
    """`net.blocking`. Usable from any thread."""

    def __init__(self, net: Net) -> None:
        self.net = net
        if net._reactor is None:
            raise UsageError("the time of a world's net is virtual, and no thread can wait in it: use its tasks, or its sockets")
        self.owner: Owner = owner_of(net._loop, net._thread)
        self.owner.join(net._crank, net._reactor)
        self.closed = net._closed
        self.mirrored: set[Socket] = set()
        self._mirrors: set[Mirror] = set()

    def check(self) -> None:
        """Raises NetClosed."""
        if self.closed:
            raise NetClosed("this net is closed")

    # -- sockets ----------------------------------------------------------------------------------------------------------------

    def socket(self, family: int = AF_INET, type: int = SOCK_STREAM, proto: int = 0) -> StackSocket:
        """As `socket.socket`. Raises OSError."""
        return StackSocket(family, type, proto, net=self)

    def create_connection(
        self,
        address: tuple[str, int],
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT,
        source_address: tuple[str, int] | None = None,
        *,
        all_errors: bool = False,
    ) -> StackSocket:
        """As `socket.create_connection`. Raises OSError, ExceptionGroup with `all_errors`."""
        host, port = address
        failures: list[OSError] = []
        for family, kind, proto, _name, where in self.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
            sock = None
            try:
                sock = self.socket(family, kind, proto)
                if timeout is not GLOBAL_DEFAULT_TIMEOUT:
                    sock.settimeout(timeout)
                if source_address:
                    sock.bind(source_address)
                sock.connect(where)
            except OSError as error:
                failures.append(error)
                if sock is not None:
                    sock.close()
            else:
                failures.clear()
                return sock
        try:
            if all_errors:
                raise ExceptionGroup("create_connection failed", failures)
            raise failures[0] if failures else OSError("getaddrinfo returns an empty list")
        finally:
            failures.clear()  # or their tracebacks lead here in a circle

    def create_server(
        self,
        address: tuple[Any, ...],
        *,
        family: int = AF_INET,
        backlog: int | None = None,
        reuse_port: bool = False,
        dualstack_ipv6: bool = False,
    ) -> StackSocket:
        """As `socket.create_server`. Raises OSError."""
        sock = self.socket(family)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dualstack_ipv6))
            sock.bind(address)
            sock.listen(128 if backlog is None else backlog)
        except BaseException:
            sock.close()
            raise
        return sock

    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[tuple[Any, ...]]:
        """As `socket.getaddrinfo`, of the net's names, and what the DNS says. Raises socket.gaierror."""
        names = self.net.names
        if self.net.asks(host, flags):
            return self.net.lookups.getaddrinfo_blocking(self.socket, host, port, family, type, proto, flags)
        if names.system and not names.knows(host):
            return kernel_getaddrinfo(host, port, family, type, proto, flags)
        return names.getaddrinfo(host, port, family, type, proto, flags)

    def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """As `socket.getnameinfo`, of the net's names. Raises socket.gaierror."""
        return self.net.names.getnameinfo(sockaddr, flags)

    # -- where the owner is -------------------------------------------------------------------------------------------------------

    def reflect(self, core: Socket, blocking: bool) -> Mirror:
        """A descriptor for `core`."""
        if self.closed:
            raise NetClosed
        mirror = Mirror(core, blocking)
        self.mirrored.add(core)
        self._mirrors.add(mirror)
        return mirror

    def reflected(self, fd: int) -> Socket | None:
        """The socket behind the number of a mirror."""
        return next((mirror.core for mirror in list(self._mirrors) if mirror.fileno == fd), None)

    def release(self, core: Socket, mirror: Mirror | None) -> None:
        """A StackSocket needs them no more."""
        if mirror is not None:
            self._drop(mirror)
            mirror.close()
        core.close()

    def _drop(self, mirror: Mirror) -> None:
        self._mirrors.discard(mirror)
        if not any(other.core is mirror.core for other in self._mirrors):
            self.mirrored.discard(mirror.core)

    def bridge(self, core: Socket, mirror: Mirror) -> None:
        """From a mirror to a descriptor that carries the data, without another number. Raises OSError."""
        core.getpeername()
        self._drop(mirror)
        ours, theirs = mirror.let_go()
        self.net.own(carry(HostEnd(ours, self.net._loop), CoreEnd(core, self.net._loop), None))
        theirs.detach()

    def close(self) -> None:
        """The net is closed, and with it all its sockets: who waits on one gets NetClosed."""
        if self.closed:
            return
        self.closed = True
        self.owner.leave(self.net._crank)
        self.net.sockets.close()
        for mirror in list(self._mirrors):
            mirror.update()
        self._mirrors.clear()
        self.owner.drain()


class BlockingNet:
    """A net that lives in a thread of its own. Leaving it, or `close`, ends everything on it."""

    def __init__(self, opening: Callable[[], Any]) -> None:
        self._opened: Any = None
        self._failure: BaseException | None = None
        self._leave: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.net: Net
        self.blocking: Blocking
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(opening, ready), name="netstack", daemon=True)
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            self._thread.join()
            failure, self._failure = self._failure, None
            raise failure

    def _run(self, opening: Callable[[], Any], ready: threading.Event) -> None:
        from ..loop import KERNEL, run

        try:
            run(self._live(opening, ready), net=KERNEL[0])
        except BaseException as error:
            if ready.is_set():
                raise
            self._failure = error
        finally:
            ready.set()

    async def _live(self, opening: Callable[[], Any], ready: threading.Event) -> None:
        async with opening() as net:
            self.net = net
            self._loop = asyncio.get_running_loop()
            self._leave = asyncio.Event()
            self.blocking = net.blocking
            ready.set()
            await self._leave.wait()

    def close(self) -> None:
        """End everything: whoever waits on a socket gets NetClosed. Twice is as good as once."""
        if self._loop is not None and self._thread.is_alive():
            assert self._leave is not None
            with contextlib.suppress(RuntimeError):  # closed at this moment
                self._loop.call_soon_threadsafe(self._leave.set)
            if threading.current_thread() is not self._thread:
                self._thread.join()

    def __enter__(self) -> BlockingNet:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<BlockingNet {', '.join(self.addresses)} {'open' if self._thread.is_alive() else 'closed'}>"

    # -- sockets ----------------------------------------------------------------------------------------------------------------

    def socket(self, family: int = AF_INET, type: int = SOCK_STREAM, proto: int = 0) -> StackSocket:
        """As `socket.socket`. Raises OSError."""
        return self.blocking.socket(family, type, proto)

    def create_connection(self, address: tuple[str, int], *args: Any, **kwargs: Any) -> StackSocket:
        """As `socket.create_connection`."""
        return self.blocking.create_connection(address, *args, **kwargs)

    def create_server(self, address: tuple[Any, ...], **kwargs: Any) -> StackSocket:
        """As `socket.create_server`."""
        return self.blocking.create_server(address, **kwargs)

    def getaddrinfo(self, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        """As `socket.getaddrinfo`, of the net's names."""
        return self.blocking.getaddrinfo(*args, **kwargs)

    # -- everything else, by the loop's thread ------------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the net's loop, `net.run(net.net.ping("10.0.0.1"))`, and give its value."""
        if self._loop is None or not self._thread.is_alive():
            work.close()
            raise ClosedError("this net is closed")
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError("run() waits for the loop, and would wait for itself in the loop's thread: await it there")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def addresses(self) -> list[str]:
        addresses: list[str] = self.net.addresses
        return addresses

    def counters(self) -> dict[str, dict[str, int]]:
        """As `Net.counters`."""
        found: dict[str, dict[str, int]] = self.blocking.owner.do(self.net.counters)
        return found

    def ping(self, host: str, size: int = 56, timeout: float = 1.0) -> int:
        """As `Net.ping`: nanoseconds."""
        return self.run(self.net.ping(host, size, timeout))

    def dial_fd(self, host: str, port: int) -> FdSocket:
        """As `Net.dial_fd`."""
        return self.run(self.net.dial_fd(host, port))

    def forward(self, listen: str, target: str, *, limit: int = 1024) -> Forward:
        """As `Net.forward`; it ends with the net, or by `net.run(forward.aclose())`."""
        return self.run(self.net.forward(listen, target, limit=limit))

    def socks5(self, host: str = "127.0.0.1", port: int = 1080, **options: Any) -> Socks:
        """As `Net.socks5`; it ends with the net, or by `net.run(proxy.aclose())`."""
        return self.run(self.net.socks5(host, port, **options))


def open_blocking(netif: Any, **options: Any) -> BlockingNet:
    """As `netstack.open`, for programs without an event loop: the net lives in a thread of its own, its sockets are used from any.

    with netstack.open_blocking("tap:tap0", addresses=["10.79.0.2/24"]) as net:
        sock = net.create_connection(("10.79.0.1", 80))
    """
    from ..asyncio import open

    return BlockingNet(lambda: open(netif, **options))
