"""asyncio's datagram transports, on our own UDP ports."""

from __future__ import annotations

import asyncio
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from typing import Any

from .. import raw
from ..cores import DatagramUser, Frame
from ..errors import UsageError
from ..sockets import const as sc
from ..sockets.datagram import DatagramSocket
from ..sockets.names import SockAddr, parse, text
from ..udp.core import UdpPort
from .base import Crank
from .limits import write_limits
from .loops.adoption import faced

# Peers whose address is kept as a program sees it, and as the stack does. Forged sources must not grow it, so a full one is
# emptied: to look an address up again costs half a microsecond.
PEERS = 4096


class UdpTransport(DatagramUser):
    """A UDP port as an asyncio datagram transport: datagrams go to the protocol as they come, nothing is queued.

    `isinstance(transport, asyncio.DatagramTransport)` holds, by its `__class__` (see TcpTransport).
    """

    __slots__ = (
        "_chosen", "_closing", "_core", "_crank", "_family", "_loop", "_names", "_on_end", "_peers", "_plain", "_port", "_protocol",
        "_received", "_remote", "_shown", "__dict__", "__weakref__",
    )  # fmt: skip

    _limits = (16384, 65536)  # asyncio's own

    def __init__(
        self, crank: Crank, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, on_end: Callable[[UdpTransport], None]
    ) -> None:
        self._on_end = on_end
        self._crank = crank
        self._loop = loop
        self._closing = False
        self._core: DatagramSocket = None  # type: ignore[assignment]  # both set by `bind`, before anything else can happen
        self._port: UdpPort = None  # type: ignore[assignment]
        self._family = 0
        self._chosen: dict[tuple[int, int], int] = {}  # the socket's options, and how many of them say nothing of how to send
        self._plain = 0
        self._shown: Any = None
        self._remote: SockAddr | None = None
        self._names: dict[int, SockAddr] = {}
        self._peers: dict[SockAddr, int] = {}
        self.set_protocol(protocol)

    @property  # type: ignore[misc]  # to be read only is what it is for
    def __class__(self) -> type:
        return asyncio.DatagramTransport

    def bind(self, core: DatagramSocket, remote: SockAddr | None, shown: Any = None) -> None:
        """Take the port of a socket, which is bound, for oneself, with all that waits there; `remote` is where `sendto` sends
        without an address. Programs see `shown`, or one made for it."""
        assert core.port is not None
        self._core = core
        self._family = core.family
        self._shown = shown
        self._port = core.port
        self._port.user = self
        self._remote = remote
        self._chosen = core.options.values
        self._plain = 0 if any(level == sc.IPPROTO_IP for level, _ in self._chosen) else len(self._chosen)
        try:
            self._protocol.connection_made(self)  # type: ignore[arg-type]  # by its `__class__`
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler({"message": "connection_made() failed", "exception": error, "transport": self})
        while core.inbox.queue and not self._closing:
            data, source, port, *_ = core.inbox.get()
            self._loop.call_soon(self._received, data, text(core.family, source, port))

    # -- what the port tells (cores.DatagramUser) ---------------------------------------------------------------------------

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        if self._closing:
            return
        key = f.src
        key = key << 16 | sport
        peer = self._names.get(key)
        if peer is None:
            peer = self._learn(key)
        try:
            self._received(raw.take(f.buf, f.off, f.end - f.off), peer)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler({"message": "datagram_received() failed", "exception": error, "transport": self})

    def _learn(self, key: int) -> SockAddr:
        if len(self._names) >= PEERS:
            self._names.clear()
        peer = self._names[key] = text(self._family, key >> 16, key & 0xFFFF)
        if len(self._peers) >= PEERS:
            self._peers.clear()
        self._peers[peer] = key
        return peer

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        if self._closing:
            return
        try:
            self._error_received(e)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as fault:
            self._loop.call_exception_handler({"message": "error_received() failed", "exception": fault, "transport": self})

    def _error_received(self, error: Exception) -> None:
        if isinstance(self._protocol, asyncio.DatagramProtocol):
            self._protocol.error_received(error)

    # -- asyncio.DatagramTransport ------------------------------------------------------------------------------------------

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send one datagram, at once: nothing is queued."""
        if self._closing:
            return
        target = addr or self._remote
        if target is None:
            raise UsageError("sendto() on an unconnected port needs an address: sendto(data, (host, port))")
        if addr is not None and self._remote is not None and addr != self._remote:
            raise UsageError(f"this port is connected to {self._remote}: leave the address out, or bind an unconnected one")
        if type(data) is not bytes:
            data = bytes(data)
        key = self._peers.get(target)
        try:
            if len(self._chosen) != self._plain:  # how it is sent was chosen: the socket knows
                self._core.sendto(data, target)
            elif key is None:
                address, port = parse(self._family, target, "sendto")
                self._port.send(data, address, port, self._crank.now())
            else:
                self._port.send(data, key >> 16, key & 0xFFFF, self._crank.now())
        except OSError as error:
            self._error_received(error)
        self._crank.rearm()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._core is not None:
            if self._shown is not None:
                self._shown.close()
            self._core.close()
        self._on_end(self)
        self._loop.call_soon(self._lost)

    def _lost(self) -> None:
        self._protocol.connection_lost(None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._limits

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is queued, so no writer is ever paused: the limits are what asyncio makes of them, and are kept for who asks."""
        self._limits = write_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._port is None:
            return default
        if name == "sockname":
            return self._core.getsockname()
        if name == "peername":
            return self._remote
        if name == "socket":
            if self._shown is None:
                self._shown = faced(self._core)
            return TransportSocket(self._shown)
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self._received = protocol.datagram_received  # type: ignore[attr-defined]  # asyncio's own signature is as wide

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol
