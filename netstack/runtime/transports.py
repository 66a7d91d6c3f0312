"""asyncio's stream transports, on our own connections.

A transport is its connection's user: what arrives goes from the batch to the protocol's own method, with nothing between. What
programs can tell of asyncio's own transports holds here: when `connection_lost` comes, what `close` still delivers, when
`pause_writing` is called. Differences are noted where they are.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import warnings
from asyncio.constants import _SendfileMode
from asyncio.transports import _FlowControlMixin  # type: ignore[attr-defined, unused-ignore]  # an asyncio.Transport
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any

from .. import raw
from ..address import ip4_text
from ..buffers import keep
from ..cores import Frame, StreamUser
from ..errors import ClosedError
from ..tcp.connection import Connection
from .base import Crank, Teller
from .limits import TAKEN, write_limits
from .reader import SegmentProtocol
from .sockview import SocketView

logger = logging.getLogger("netstack")

LOST_WRITES_BEFORE_WARNING = 5  # as asyncio's own transports: a program that never looks is told, but not for each write


class Keeper(Teller):
    """The transports of one server, or of all clients, for as long as they live."""

    __slots__ = ("_lost", "alive", "crank", "loop", "on_empty")

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, on_empty: Callable[[], None] | None = None) -> None:
        self.crank = crank
        self.loop = loop
        self.alive: set[TcpTransport] = set()
        self.on_empty = on_empty
        self._lost: list[TcpTransport] = []

    def take(self, protocol: asyncio.BaseProtocol | None) -> TcpTransport:
        """A transport, still without a connection; without a protocol, it gets one by `begin`."""
        transport = TcpTransport(self, protocol)
        self.alive.add(transport)
        return transport

    def lose(self, transport: TcpTransport) -> None:
        """Tell its protocol, from the loop: `connection_lost` may tear down anything, and asyncio promises it so. One call tells
        of all that a batch has ended."""
        if not self._lost:
            self.crank.after(self)
        self._lost.append(transport)

    def tell_soon(self) -> None:
        self.loop.call_soon(self.tell)

    def tell(self) -> None:
        lost = self._lost
        self._lost = []
        for transport in lost:
            try:
                transport.tell_lost()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                message = "Exception in connection_lost()"
                self.loop.call_exception_handler({"message": message, "exception": error, "transport": transport})
            self.forget(transport)

    def forget(self, transport: TcpTransport) -> None:
        self.alive.discard(transport)
        if self.on_empty is not None and not self.alive:
            self.on_empty()


class TcpTransport(StreamUser):
    """One connection as an asyncio transport. `isinstance(transport, asyncio.Transport)` holds, by its `__class__`: programs that
    are typed ask for it, and a compiled class can't derive from one with slots."""

    # a dict for each of 100,000 would be as large as all of this; programs that hang their own attributes on a transport get one
    __slots__ = (
        "_buffer_updated", "_closing", "_conn", "_connected", "_crank", "_early", "_early_eof", "_eof_sent", "_error",
        "_get_buffer", "_keeper", "_keeps", "_lost", "_lost_writes", "_made", "_paused_reading", "_paused_writing", "_protocol",
        "_received", "_taken", "_view", "__dict__", "__weakref__",
    )  # fmt: skip

    def __init__(self, keeper: Keeper, protocol: asyncio.BaseProtocol | None) -> None:
        self._keeper = keeper
        self._crank = keeper.crank
        self._conn: Connection = None  # type: ignore[assignment]  # set by `bind`, before anything else can happen
        self._connected: asyncio.Future[None] | None = None
        self._view: SocketView | None = None
        self._error: Exception | None = None
        self._closing = self._lost = self._eof_sent = False
        self._paused_reading = self._paused_writing = False
        self._made = False
        self._lost_writes = 0
        self._taken = 0
        self._early: bytes | None = None
        self._early_eof = False
        self._protocol: asyncio.BaseProtocol = None  # type: ignore[assignment]  # `begin` comes before anything is told
        self._get_buffer: Callable[[int], Any] | None
        self._received: Callable[[Any, Any], object]
        self._buffer_updated: Callable[[int], object]
        if protocol is not None:
            self.set_protocol(protocol)

    @property  # type: ignore[misc]  # to be read only is what it is for
    def __class__(self) -> type:
        return _FlowControlMixin

    # -- what `loop.sendfile` asks of a transport, to read the file and `write` it; `TcpStream.send_file` is made for it ------

    @property
    def _sendfile_compatible(self) -> _SendfileMode:
        return _SendfileMode.FALLBACK

    @property
    def _start_tls_compatible(self) -> bool:
        """To `loop.start_tls`, and to those who look before they ask."""
        return True

    @property
    def _protocol_paused(self) -> bool:
        return self._paused_writing

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return self._keeper.loop

    def bind(self, conn: Connection) -> None:
        """The connection that this transport stands for. As asyncio's, it doesn't wait to fill segments (Nagle)."""
        self._conn = conn
        conn.set_nodelay(True, self._crank.now())

    def adopt(self, conn: Connection, over: bool, error: Exception | None) -> None:
        """Stand for a connection that has been somebody else's so far, or is over, with `error`. `begin` comes next."""
        if not over:
            self.bind(conn)
        else:
            self._conn = conn
            self._lost = self._closing = True
            self._error = error

    @property
    def connection(self) -> Connection:
        return self._conn

    def connected_soon(self) -> asyncio.Future[None]:
        """Done when the handshake is, with the error if it failed."""
        self._connected = self._keeper.loop.create_future()
        return self._connected

    def begin(self, protocol: asyncio.BaseProtocol, data: bytes = b"", eof: bool = False) -> None:
        """Give an open connection its protocol, with what has been received already. `connection_made` is called now, the rest
        comes from the loop, as from a kernel. The connection may be over by now: the protocol hears that, too."""
        self.set_protocol(protocol)
        over = self._lost
        self._lost = self._closing = False
        if not over:
            self._conn.attach(self)
            self._conn.pause(self._crank.now())
        self._early = data or None
        self._early_eof = eof
        self._meet()
        if not over:
            self._keeper.loop.call_soon(self._resume)
            return
        if data:
            self.queued(data, self._crank.now())
        if not self._lost:
            self._lost = self._closing = True
            self._keeper.alive.add(self)
            self._keeper.lose(self)

    def _meet(self) -> None:
        self._made = True
        try:
            self._protocol.connection_made(self)  # type: ignore[arg-type]  # a Transport, by its `__class__`
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error)

    # -- what the connection tells (cores.StreamUser) -----------------------------------------------------------------------

    def connected(self, now: int) -> None:
        if self._protocol is None:
            self._conn.pause(now)
        else:
            self._meet()
        if self._connected is not None and not self._connected.done():
            self._connected.set_result(None)

    def data(self, f: Frame, n: int, now: int) -> None:
        if self._closing:
            return
        try:
            if self._get_buffer is None:
                self._received(self._protocol, keep(f, n) if self._keeps else raw.take(f.buf, f.off, n))
                return
            o = f.off
            while n > 0 and not self._closing:  # a buffer may give less room than was asked for
                k = raw.copy_into(self._get_buffer(n), f.buf, o, n)
                if k <= 0:
                    raise RuntimeError("get_buffer() returned an empty buffer")
                self._buffer_updated(k)
                o += k
                n -= k
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error)

    def queued(self, data: bytes, now: int) -> None:
        self._take(data)

    def lent(self, data: memoryview, now: int) -> None:
        self._take(data if self._keeps else bytes(data))

    def _take(self, data: bytes | memoryview) -> None:
        if self._closing:
            return
        try:
            if self._get_buffer is None:
                self._received(self._protocol, data)
            else:
                self._fill(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error)

    def _fill(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view and not self._closing:
            room = memoryview(self._get_buffer(len(view))).cast("B")  # type: ignore[misc]  # the caller has looked
            if not room:
                raise RuntimeError("get_buffer() returned an empty buffer")
            n = min(len(room), len(view))
            room[:n] = view[:n]
            self._buffer_updated(n)
            view = view[n:]

    def eof(self, now: int) -> None:
        if self._closing:
            return
        keep_open = False
        try:
            keep_open = bool(self._protocol.eof_received())  # type: ignore[attr-defined]  # both kinds of protocol have it
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error)
        if not keep_open:
            self.close()

    def writable(self, now: int) -> None:
        if not self._paused_writing:
            return
        self._paused_writing = False
        if self._lost:
            return
        try:
            self._protocol.resume_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._report("protocol.resume_writing() failed", error)

    def closed(self, error: "Exception | None", now: int) -> None:
        if self._connected is not None and not self._connected.done():
            self._connected.set_exception(error or ConnectionAbortedError("closed before it was open"))
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._closing = True
        self._error = error
        if self._made:
            self._keeper.lose(self)
        else:  # a connection that never was: whoever asked for it hears of it, its protocol never heard
            self._keeper.forget(self)

    def tell_lost(self) -> None:
        """`connection_lost`, from the loop. The protocol is let go of, as by asyncio's own transports: most protocols hold their
        transport, and what holds each other waits for the garbage collector."""
        error, protocol = self._error, self._protocol
        self._error = None  # its traceback leads back here
        try:
            protocol.connection_lost(error)
        finally:
            self._protocol = self._received = self._get_buffer = self._buffer_updated = None  # type: ignore[assignment]

    def _report(self, message: str, error: BaseException) -> None:
        self._keeper.loop.call_exception_handler(
            {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        )

    def _fatal(self, error: BaseException) -> None:
        """A fault in the program is the program's: it loses this connection and not the batch."""
        self._report("Fatal error: protocol callback failed.", error)
        self._lose(error if isinstance(error, Exception) else None)
        self._conn.abort(self._crank.now())
        self._crank.rearm()

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
        if isinstance(protocol, asyncio.BufferedProtocol):
            self._get_buffer = protocol.get_buffer
            self._buffer_updated = protocol.buffer_updated
        else:
            self._get_buffer = None
        self._keeps = isinstance(protocol, SegmentProtocol)  # it takes views, in its own time
        received: Any = getattr(protocol, "segment_received" if self._keeps else "data_received", _ignore)
        bound = type(received) is MethodType and received.__self__ is protocol  # kept, it is an object more for each connection
        self._received = received.__func__ if bound else lambda _, data: received(data)

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
        self._lose(None)
        self._conn.close(self._crank.now())
        self._crank.rearm()

    # -- reading ------------------------------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        return not self._closing and not self._paused_reading

    def pause_reading(self) -> None:
        if self.is_reading():
            self._paused_reading = True
            self._conn.pause(self._crank.now())

    def resume_reading(self) -> None:
        if self._paused_reading and not self._closing:
            self._paused_reading = False
            if self._conn.rx_bytes or self._conn.eof_owed or self._early is not None:
                # from the loop: StreamReader resumes just before it begins to wait
                self._keeper.loop.call_soon(self._resume)
            else:
                self._resume()

    def _resume(self) -> None:
        if self._paused_reading or self._closing:
            return
        if self._early is not None:
            data, self._early = self._early, None
            self.queued(data, self._crank.now())
        if self._early_eof:  # nothing comes after it
            self._early_eof = False
            self.eof(self._crank.now())
        elif not self._paused_reading and not self._closing:
            self._conn.resume(self._crank.now())
            self._crank.rearm()

    # -- writing ------------------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """`bytes` are queued by reference, anything else is copied: its owner may change it."""
        if type(data) is not bytes:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
            data = bytes(data)
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing:
            if self._lost_writes == LOST_WRITES_BEFORE_WARNING:
                logger.warning("write() on a connection that is lost or closed: look at is_closing()")
            self._lost_writes += 1
            return
        if not data:
            return
        crank = self._crank
        if not crank.owing:
            crank.owe()
        try:
            more = self._conn.write(data, crank.now())
        except (ClosedError, ConnectionError):
            return  # broken a moment ago: connection_lost is on its way and says how
        self._crank.rearm()
        if not more and not self._paused_writing:
            self._paused_writing = True
            try:
                self._protocol.pause_writing()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._report("protocol.pause_writing() failed", error)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._eof_sent or self._closing:
            return
        self._eof_sent = True
        self._conn.shutdown(self._crank.now())
        self._crank.rearm()

    def get_write_buffer_size(self) -> int:
        return 0 if self._conn is None else max(0, self._conn.unsent - self._taken)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        low, high = self._conn.marks
        return low - self._taken, high - self._taken

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Limits are of what waits above a kernel's socket, so ours has the room of one below them. Without it a limit of 0, which
        anyio sets, would have each `send` wait until the peer has acknowledged it, for as long as it delays that."""
        below, above = write_limits(high, low)
        self._taken = TAKEN
        self._conn.set_marks(below + TAKEN, above + TAKEN)

    def abort(self) -> None:
        """End it at once. What has been sent is the stack's to deliver, as it is the kernel's once that has taken it, and then the
        peer reads the end: anyio and httpx close all their streams by `abort`. What has not been sent is lost, and the peer gets a
        reset; so it does where something came that nobody has read."""
        if self._lost:
            return
        self._crank.pay()
        self._lose(None)
        if self._conn is not None:
            self._conn.hang_up(self._crank.now())
            self._crank.rearm()

    def reset(self) -> None:
        """End it at once, by a reset wherever the peer believes in a connection."""
        if self._lost:
            return
        self._lose(None)
        if self._conn is not None:
            self._conn.abort(self._crank.now())
            self._crank.rearm()

    def _force_close(self, error: Exception | None) -> None:
        """What asyncio's SSLProtocol ends a connection with, and tells its program why: what was written is still delivered, as
        from a kernel that has taken it; an alert may be in it."""
        if error is None:
            self.abort()
        elif not self._lost:
            self._closing = True
            self._lose(error)
            if self._conn is not None:
                self._conn.close(self._crank.now())
                self._crank.rearm()

    def __del__(self) -> None:
        if self._conn is not None and not self._closing:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<TcpTransport {self.get_extra_info('sockname')} -> {self.get_extra_info('peername')} {state}>"


def _ignore(data: object) -> None:
    """For a protocol that doesn't read."""
