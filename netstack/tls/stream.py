"""One TLS stream: an engine between a program and the stream below. It waits in that stream's own methods.

Two tasks may be at work here, one that receives and one that sends, and TLS lets either need the other's direction. So each
direction of the stream below has one user at a time: whoever needs ciphertext pulls, or waits for the one who is pulling; whoever
has ciphertext flushes, or leaves it to the one who is flushing, who doesn't stop before all of it is gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from ssl import SSLObject
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import BrokenError, BusyError, ClosedError, TimedOut, UsageError
from ..instant import Duration
from ..signatures import Address, Stream
from .engine import RECORD, Buffer, Engine
from .errors import TlsError, TruncatedError
from .mib import TlsMib

if TYPE_CHECKING:
    from ..runtime.waits import Event, Waits

A = TypeVar("A")
T = TypeVar("T")

GIVEN_UP = "a call was given up in the middle"
PULL = 65536  # asked of the stream below at once, where it doesn't hand on what it has


class TlsStream:
    """A Stream. One task may receive and one may send at a time; a second one gets BusyError.

    Made by `Tls`. What errors, cancellation and the end mean here: `netstack.tls`.
    """

    def __init__(self, lower: Stream, engine: Engine, waits: Waits, mib: TlsMib, parting: Duration) -> None:
        self._lower = lower
        self._engine = engine
        self._waits = waits
        self._mib = mib
        self._parting = parting
        self._closed = False
        self._receiving = False
        self._sending = False
        self._pulling = False
        self._flushing = False
        self._pulled: Event | None = None  # who waits for the one who pulls
        self._flushed: Event | None = None
        self._lost: str | None = None  # why nothing may follow what was sent: some of it didn't get through
        self._cause: BaseException | None = None
        # what the stream below can do beyond the signature
        self._keeps: bool = getattr(lower, "keeps", False)
        self._gathers: bool = getattr(lower, "gathers", False)
        self._pull: Callable[[Duration | None], Awaitable[Buffer]] = getattr(lower, "receive_view", self._pull_bytes)

    async def _pull_bytes(self, timeout: Duration | None) -> bytes:
        return await self._lower.receive(PULL, timeout)

    # -- about itself -------------------------------------------------------------------------------------------------------

    @property
    def lower(self) -> Stream:
        """The stream below."""
        return self._lower

    @property
    def local_address(self) -> Address:
        return self._lower.local_address

    @property
    def remote_address(self) -> Address:
        return self._lower.remote_address

    @property
    def ssl_object(self) -> SSLObject:
        """For what isn't told here. To read or write by it breaks the stream."""
        return self._engine.object

    @property
    def version(self) -> str | None:
        """ "TLSv1.3", "TLSv1.2" """
        return self._engine.object.version()

    @property
    def cipher(self) -> tuple[str, str, int] | None:
        """Name, the version that defines it, secret bits."""
        return self._engine.object.cipher()

    @property
    def selected_alpn_protocol(self) -> str | None:
        """What both sides offered, of the context's `set_alpn_protocols`."""
        return self._engine.object.selected_alpn_protocol()

    @property
    def peer_certificate(self) -> dict[str, Any] | None:
        """As `ssl.SSLSocket.getpeercert` gives it: None where the peer showed none, empty where it wasn't to be verified."""
        return self._engine.object.getpeercert()

    @property
    def server_name(self) -> str | None:
        """Whom the client wanted to talk to: what it was told, or what its hello said."""
        return self._engine.name

    @property
    def closed(self) -> bool:
        return self._closed

    # -- the handshake --------------------------------------------------------------------------------------------------------

    async def shake(self, timeout: Duration | None) -> None:
        """The handshake, before anything else. Raises TlsError, TimedOut, and what the stream below does."""
        deadline = self._deadline(timeout)
        engine = self._engine
        try:
            while not engine.shake():
                await self._more(deadline)
            if engine.urgent:
                await self._flush(deadline)
        except TlsError:
            await self._part()  # with an alert, if OpenSSL had one to say
            raise

    # -- receiving ----------------------------------------------------------------------------------------------------------

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        """At least one byte, at most `limit`; b"" when the peer has ended its side.

        Raises TimedOut, BrokenError (TlsError, TruncatedError), ClosedError, BusyError.
        """
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        return await self._read(self._engine.read, limit, timeout)

    async def receive_into(self, buffer: bytearray | memoryview, timeout: Duration | None = None) -> int:
        """Fill `buffer` with as much as is there, and say how much that is: at least one byte; 0 when the peer has ended its side.
        Records are decrypted into it, without a copy.

        Raises as `receive` does, and UsageError for a buffer that can't be written or has no room.
        """
        view = memoryview(buffer)
        if view.readonly or not view.nbytes or not view.c_contiguous:
            raise UsageError("receive_into() needs a buffer that can be written, in one piece, with room for one byte or more")
        return await self._read(self._engine.read_into, view.cast("B"), timeout)

    async def receive_view(self, timeout: Duration | None = None) -> memoryview:
        """The next record, or what is left of it, read-only; an empty one when the peer has ended its side.

        Raises as `receive` does.
        """
        return memoryview(await self._read(self._engine.read, RECORD, timeout))

    def __aiter__(self) -> TlsStream:
        """`async for piece in stream`: `receive_view` until the peer has ended its side."""
        return self

    async def __anext__(self) -> memoryview:
        data = await self._read(self._engine.read, RECORD, None)
        if not data:
            raise StopAsyncIteration
        return memoryview(data)

    async def _read(self, read: Callable[[A], T | None], room: A, timeout: Duration | None) -> T:
        """`read(room)`, when there is something."""
        if self._receiving:
            raise BusyError("another task is already receiving from this stream")
        if self._closed:
            raise ClosedError("this stream is closed")
        self._receiving = True
        try:
            got = read(room)
            if got is None:
                deadline = self._deadline(timeout)
                while got is None:
                    await self._more(deadline)
                    got = read(room)
            return got
        except TlsError as error:
            self._count(error)
            raise
        finally:
            self._receiving = False

    async def _more(self, deadline: int | None) -> None:
        """Ciphertext has come and was fed, by this task or by the one that is at it. What can't wait is sent first."""
        if self._engine.urgent and not self._flushing:
            await self._flush(deadline)
        if self._pulling:
            if self._pulled is None:
                self._pulled = self._waits.event()
            await self._waits.wait(self._pulled, self._left(deadline))
            return
        timeout = self._left(deadline)
        self._pulling = True
        try:
            data = await self._pull(timeout)
        finally:
            self._pulling = False
            if self._pulled is not None:
                self._pulled.set()
                self._pulled = None
        if self._closed:
            raise ClosedError("this stream is closed")
        if len(data):
            self._engine.feed(data)
        else:
            self._engine.feed_eof()

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: Buffer | list[Buffer] | tuple[Buffer, ...], timeout: Duration | None = None) -> None:
        """Returns when the stream below has taken all of `data`, one buffer or several in a row, and is below its bound.

        Raises TimedOut, BrokenError (TlsError), ClosedError, BusyError.
        """
        if self._sending:
            raise BusyError("another task is already sending on this stream")
        if self._closed:
            raise ClosedError("this stream is closed")
        if self._engine.finished:
            raise ClosedError("this side of the stream was ended by send_eof()")
        self._check_way()
        view = _one_view(data)
        size = len(view)
        deadline = self._deadline(timeout)
        taken = 0
        self._sending = True
        try:
            while taken < size:
                n = self._engine.write(view[taken:] if taken else view)
                if n is None:
                    await self._more(deadline)
                    continue
                taken += n
                await self._flush(deadline)
        except TlsError as error:
            self._count(error)
            raise
        finally:
            self._sending = False
            if 0 < taken < size:
                self._lose(GIVEN_UP)

    async def _flush(self, deadline: int | None) -> None:
        """All ciphertext is with the stream below."""
        engine = self._engine
        while engine.outgoing:
            timeout = None if deadline is None else Duration(max(deadline - self._waits.now(), 0))
            if self._flushing:
                if self._flushed is None:
                    self._flushed = self._waits.event()
                await self._waits.wait(self._flushed, timeout)
                continue
            self._check_way()
            self._flushing = True
            whole = self._keeps  # unless it says otherwise
            try:
                pieces = engine.take()
                if len(pieces) == 1:
                    await self._lower.send_all(pieces[0], timeout)
                elif self._gathers:
                    await self._lower.send_all(pieces, timeout)  # type: ignore[arg-type]  # it says that it takes several
                else:
                    await self._lower.send_all(b"".join(pieces), timeout)
                whole = True
            except TimedOut:
                raise
            except Exception as error:
                whole = False
                self._lose(f"the stream below is gone: {error}", error)
                raise
            finally:
                if not whole:
                    self._lose(GIVEN_UP)
                self._flushing = False
                if self._flushed is not None:
                    self._flushed.set()
                    self._flushed = None

    async def send_eof(self) -> None:
        """End our side, with close_notify and with the end of the stream below; the other may go on."""
        if self._sending:
            raise BusyError("another task is sending on this stream")
        if self._closed or self._engine.finished:
            return
        self._engine.finish()
        await self._part()
        await self._lower.send_eof()

    # -- the end ------------------------------------------------------------------------------------------------------------

    async def _part(self) -> None:
        """Send what is left to say. Doesn't wait for the peer to read where the stream below takes it all the same, and not for
        long anywhere."""
        if self._lost is not None or self._flushing:
            return
        with contextlib.suppress(OSError, ClosedError):  # there is nobody to tell
            await self._flush(self._waits.now() + (0 if self._keeps else self._parting))

    async def aclose(self) -> None:
        """Close both sides in order. Doesn't wait for the peer. Cancelled, it aborts."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._sending:
                self._engine.finish()
                await self._part()
            await self._lower.aclose()
        except BaseException:
            self._lower.abort()
            raise

    def abort(self) -> None:
        """Drop it at once."""
        self._closed = True
        self._lower.abort()

    # -- helpers ------------------------------------------------------------------------------------------------------------

    def _deadline(self, timeout: Duration | None) -> int | None:
        return None if timeout is None else self._waits.now() + timeout

    def _left(self, deadline: int | None) -> Duration | None:
        if deadline is None:
            return None
        left = deadline - self._waits.now()
        if left < 0:
            raise TimedOut
        return Duration(left)

    def _lose(self, why: str, cause: BaseException | None = None) -> None:
        if self._lost is None:
            self._lost = why
            self._cause = cause

    def _check_way(self) -> None:
        if self._lost is not None:
            raise BrokenError(f"nothing can be sent any more: {self._lost}") from self._cause

    def _count(self, error: TlsError) -> None:
        if self._engine.error is error:
            if isinstance(error, TruncatedError):
                self._mib.Truncated += 1
            else:
                self._mib.Broken += 1


def _one_view(data: Buffer | list[Buffer] | tuple[Buffer, ...]) -> memoryview:
    """What counts bytes, in one piece: records are filled across buffers."""
    if isinstance(data, list | tuple):
        data = data[0] if len(data) == 1 else b"".join(data)
    view = memoryview(data)
    if view.format == "B" and view.ndim == 1 and view.c_contiguous:
        return view
    return view.cast("B") if view.c_contiguous else memoryview(bytes(view))
