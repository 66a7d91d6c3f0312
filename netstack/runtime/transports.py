"""asyncio transports on our own connections and ports.

What programs can tell of asyncio's own transports holds here: when `connection_lost` comes, what `close` still delivers, when
`pause_writing` is called. Differences are noted where they are.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..adapters import PyDatagramUser, PySegmentUser, PyStreamUser
from ..address import ip4_text
from ..errors import ClosedError, UsageError
from ..tcp.connection import Connection
from ..udp.core import UdpPort
from .base import Crank
from .reader import SegmentProtocol
from .resolve import ipv4

logger = logging.getLogger("netstack")

_NO_EXTRA: dict[str, Any] = {}  # asyncio gives each transport a dict of its own otherwise; `get_extra_info` is ours
LOST_WRITES_BEFORE_WARNING = 5  # as asyncio's own transports: a program that never looks is told, but not for each write


class SocketView:
    """What `get_extra_info("socket")` gives: addresses and options, no descriptor."""

    family = socket.AF_INET
    proto = 0

    def __init__(
        self, kind: int, local: tuple[str, int], remote: tuple[str, int] | None, conn: Connection | None, crank: Crank
    ) -> None:
        self.type = kind
        self._local = local
        self._remote = remote
        self._conn = conn
        self._crank = crank
        self._options: dict[tuple[int, int], int] = {}

    def getsockname(self) -> tuple[str, int]:
        return self._local

    def getpeername(self) -> tuple[str, int]:
        if self._remote is None:
            raise OSError(107, "Transport endpoint is not connected")
        return self._remote

    def fileno(self) -> int:
        """-1: no kernel socket carries this."""
        return -1

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self._options[level, option] = value
        if self._conn is None:
            return
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            self._conn.set_nodelay(bool(value), self._crank.now())
        elif (level, option) == (socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            idle = 7200 * 1_000_000_000 if value else 0  # RFC 9293 3.8.4: no less than two hours by default
            self._conn.set_keepalive(idle, 75 * 1_000_000_000, 9, self._crank.now())
            self._crank.rearm()

    def getsockopt(self, level: int, option: int) -> int:
        return self._options.get((level, option), 0)


class TcpTransport(asyncio.Transport):
    """One connection as an asyncio transport."""

    # a dict for each of 100,000 would be as large as all of this; programs that hang their own attributes on a transport get one
    __slots__ = (
        "_buffered", "_closing", "_conn", "_connected", "_crank", "_data_received", "_eof_sent", "_loop", "_lost",
        "_lost_writes", "_made", "_on_lost", "_paused_reading", "_paused_writing", "_protocol", "_segment_received", "_view", "user",
        "__dict__", "__weakref__",
    )  # fmt: skip

    def __init__(
        self, crank: Crank, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, on_lost: Callable[[TcpTransport], None]
    ) -> None:
        super().__init__(_NO_EXTRA)
        self._crank = crank
        self._loop = loop
        self._on_lost = on_lost
        self._conn: Connection | None = None
        self._closing = False
        self._lost = False
        self._eof_sent = False
        self._paused_reading = False
        self._paused_writing = False
        self._lost_writes = 0
        self._made = False
        self._connected: asyncio.Future[None] | None = None
        self._view: SocketView | None = None
        self.user = PySegmentUser(self) if isinstance(protocol, SegmentProtocol) else PyStreamUser(self)
        self.set_protocol(protocol)

    def bind(self, conn: Connection) -> None:
        """The connection that this transport stands for; its addresses are known from now on."""
        self._conn = conn

    @property
    def connection(self) -> Connection:
        assert self._conn is not None
        return self._conn

    def connected(self) -> asyncio.Future[None]:
        """Done when the handshake is, with the error if it failed."""
        self._connected = self._loop.create_future()
        return self._connected

    # -- what the connection tells (adapters.StreamHandler) -----------------------------------------------------------------

    def on_connected(self, now: int) -> None:
        self._made = True
        self._call(self._protocol.connection_made, self)
        if self._connected is not None and not self._connected.done():
            self._connected.set_result(None)

    def on_data(self, data: bytes | memoryview, now: int) -> None:
        if self._closing:
            return
        if type(data) is memoryview:
            if self._segment_received is not None:
                self._call(self._segment_received, data)
                return
            data = bytes(data)
        if self._buffered is None:
            self._call(self._data_received, data)
        else:
            self._fill(data)

    def _fill(self, data: bytes) -> None:
        """A BufferedProtocol may give less room than was asked for."""
        view = memoryview(data)
        buffered = self._buffered
        assert buffered is not None
        while view and not self._closing:
            try:
                room = memoryview(buffered.get_buffer(len(view)))
                if not room.nbytes:
                    raise RuntimeError("get_buffer() returned an empty buffer")
                n = min(room.nbytes, len(view))
                room[:n] = view[:n]
                buffered.buffer_updated(n)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal(error)
                return
            view = view[n:]

    def on_eof(self, now: int) -> None:
        if self._closing:
            return
        keep_open = self._call(self._protocol.eof_received)  # type: ignore[attr-defined]  # both kinds of protocol have it
        if not keep_open:
            self.close()

    def on_writable(self, now: int) -> None:
        if self._paused_writing:
            self._paused_writing = False
            if not self._lost:
                self._call(self._protocol.resume_writing)

    def on_closed(self, error: Exception | None, now: int) -> None:
        if self._connected is not None and not self._connected.done():
            self._connected.set_exception(error or ConnectionAbortedError("closed before it was open"))
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._closing = True
        if not self._made:  # a connection that never was: whoever asked for it hears of it, its protocol never heard
            self._on_lost(self)
            return
        # never from inside a batch: connection_lost may tear down anything, and asyncio promises it from the loop
        self._loop.call_soon(self._connection_lost, error)

    def _connection_lost(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._on_lost(self)

    def _call(self, method: Callable[..., Any], *args: object) -> Any:
        """A fault in the program is the program's: it loses this connection and not the batch."""
        try:
            return method(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error)
            return None

    def _fatal(self, error: BaseException) -> None:
        message = "Fatal error: protocol callback failed."
        self._loop.call_exception_handler(
            {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        )
        self._closing = True
        if self._conn is not None:
            self._conn.abort(self._crank.now())
        self._lose(error if isinstance(error, Exception) else None)

    # -- asyncio.BaseTransport ----------------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`sockname`, `peername`, `socket`: made when somebody asks. Most are never asked, and 100,000 may wait."""
        conn = self._conn
        if conn is None:
            return default
        if name == "sockname":
            return (ip4_text(conn.local), conn.local_port)
        if name == "peername":
            return (ip4_text(conn.remote), conn.remote_port)
        if name == "socket":
            if self._view is None:
                local, remote = self.get_extra_info("sockname"), self.get_extra_info("peername")
                self._view = SocketView(socket.SOCK_STREAM, local, remote, conn, self._crank)
            return self._view
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self._buffered = protocol if isinstance(protocol, asyncio.BufferedProtocol) else None
        self._segment_received = getattr(protocol, "segment_received", None)
        self._data_received: Callable[[bytes], object] = getattr(protocol, "data_received", lambda data: None)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Everything written so far is still delivered, by the stack; `connection_lost(None)` comes at once, as from a kernel
        that has taken the last bytes."""
        if self._closing:
            return
        self._closing = True
        assert self._conn is not None
        self._lose(None)
        self._conn.close(self._crank.now())
        self._crank.rearm()

    # -- reading ------------------------------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        return not self._closing and not self._paused_reading

    def pause_reading(self) -> None:
        if self.is_reading():
            self._paused_reading = True
            self.connection.pause(self._crank.now())

    def resume_reading(self) -> None:
        if self._paused_reading and not self._closing:
            self._paused_reading = False
            self.connection.resume(self._crank.now())
            self._crank.rearm()

    # -- writing ------------------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing:
            if self._lost_writes == LOST_WRITES_BEFORE_WARNING:
                logger.warning("write() on a connection that is lost or closed: look at is_closing()")
            self._lost_writes += 1
            return
        if not data:
            return
        try:
            more = self.connection.write(data if type(data) is bytes else bytes(data), self._crank.now())
        except (ClosedError, ConnectionError):
            return  # broken a moment ago: connection_lost is on its way and says how
        self._crank.rearm()
        if not more and not self._paused_writing:
            self._paused_writing = True
            self._call(self._protocol.pause_writing)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._eof_sent or self._closing:
            return
        self._eof_sent = True
        self.connection.shutdown(self._crank.now())
        self._crank.rearm()

    def get_write_buffer_size(self) -> int:
        return 0 if self._conn is None else self._conn.unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.connection.marks

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = 65536 if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise UsageError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.connection.set_marks(low, high)

    def abort(self) -> None:
        if self._lost:
            return
        self._closing = True
        if self._conn is not None:
            self._conn.abort(self._crank.now())
        self._lose(None)

    def __del__(self) -> None:
        if self._conn is not None and not self._closing:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<TcpTransport {self.get_extra_info('sockname')} -> {self.get_extra_info('peername')} {state}>"


class UdpTransport(asyncio.DatagramTransport):
    """A UDP port as an asyncio datagram transport: datagrams go to the protocol as they come, nothing is queued."""

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self._crank = crank
        self._loop = loop
        self._protocol: asyncio.BaseProtocol = protocol
        self._received = protocol.datagram_received
        self._closing = False
        self._port: UdpPort | None = None
        self._remote: tuple[str, int] | None = None
        self._names: dict[int, str] = {}
        self.user = PyDatagramUser(self)

    def bind(self, port: UdpPort, remote: tuple[str, int] | None) -> None:
        self._port = port
        self._remote = remote
        self._loop.call_soon(self._protocol.connection_made, self)

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        if self._closing:
            return
        host = self._names.get(address)
        if host is None:
            if len(self._names) >= 1024:  # spoofed sources must not grow it
                self._names.clear()
            host = self._names[address] = ip4_text(address)
        try:
            self._received(data, (host, port))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler({"message": "datagram_received() failed", "exception": error, "transport": self})

    def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
        if self._closing or not isinstance(self._protocol, asyncio.DatagramProtocol):
            return
        try:
            self._protocol.error_received(error)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as fault:
            self._loop.call_exception_handler({"message": "error_received() failed", "exception": fault, "transport": self})

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        if self._closing or self._port is None:
            return
        target = addr or self._remote
        if target is None:
            raise UsageError("sendto() on an unconnected port needs an address: sendto(data, (host, port))")
        if addr is not None and self._remote is not None and addr != self._remote:
            raise UsageError(f"this port is connected to {self._remote}: leave the address out, or bind an unconnected one")
        try:
            self._port.send(bytes(data), ipv4(target[0]), target[1], self._crank.now())
        except OSError as error:
            if isinstance(self._protocol, asyncio.DatagramProtocol):
                self._protocol.error_received(error)
        self._crank.rearm()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._port is not None:
            self._port.close()
        self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._port is None:
            return default
        local = (ip4_text(self._port.local), self._port.local_port)
        info: Mapping[str, Any] = {
            "sockname": local,
            "peername": self._remote,
            "socket": SocketView(socket.SOCK_DGRAM, local, self._remote, None, self._crank),
        }
        return info.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self._received = protocol.datagram_received  # type: ignore[attr-defined]  # asyncio's own signature is as wide

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol
