"""asyncio's datagram transports, on our own UDP ports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from .. import raw
from ..address import ip4_text
from ..cores import DatagramUser, Frame
from ..errors import UsageError
from ..udp.core import UdpPort
from .base import Crank
from .resolve import ipv4
from .sockview import SocketView

# Peers whose address is kept as a program sees it, and as the stack does. Forged sources must not grow it, so a full one is
# emptied: to look an address up again costs half a microsecond.
PEERS = 4096


class UdpTransport(DatagramUser):
    """A UDP port as an asyncio datagram transport: datagrams go to the protocol as they come, nothing is queued.

    `isinstance(transport, asyncio.DatagramTransport)` holds, by its `__class__` (see TcpTransport).
    """

    __slots__ = (
        "_closing", "_crank", "_loop", "_names", "_peers", "_port", "_protocol", "_received", "_remote", "__dict__", "__weakref__"
    )  # fmt: skip

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, protocol: asyncio.DatagramProtocol) -> None:
        self._crank = crank
        self._loop = loop
        self._closing = False
        self._port: UdpPort = None  # type: ignore[assignment]  # set by `bind`, before anything else can happen
        self._remote: tuple[str, int] | None = None
        self._names: dict[int, tuple[str, int]] = {}
        self._peers: dict[tuple[str, int], int] = {}
        self.set_protocol(protocol)

    @property  # type: ignore[misc]  # to be read only is what it is for
    def __class__(self) -> type:
        return asyncio.DatagramTransport

    def bind(self, port: UdpPort, remote: tuple[str, int] | None) -> None:
        self._port = port
        self._remote = remote
        self._loop.call_soon(self._protocol.connection_made, self)  # type: ignore[arg-type]  # by its `__class__`

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

    def _learn(self, key: int) -> tuple[str, int]:
        if len(self._names) >= PEERS:
            self._names.clear()
        peer = self._names[key] = (ip4_text(key >> 16), key & 0xFFFF)
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
            if key is None:
                self._port.send(data, ipv4(target[0]), target[1], self._crank.now())
            else:
                self._port.send(data, key >> 16, key & 0xFFFF, self._crank.now())
        except OSError as error:
            self._error_received(error)
        self._crank.rearm()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._port is not None:
            self._port.close()
        self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._port is None:
            return default
        local = (ip4_text(self._port.local), self._port.local_port)
        info: Mapping[str, Any] = {
            "sockname": local,
            "peername": self._remote,
            "socket": SocketView(socket.SOCK_DGRAM, local, self._remote, None, self._crank, self._port),
        }
        return info.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self._received = protocol.datagram_received  # type: ignore[attr-defined]  # asyncio's own signature is as wide

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol
