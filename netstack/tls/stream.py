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
from ..instant import Duration, check_timeout
from ..runtime.fileblocks import HasFileno, read_blocks, span
from ..signatures import Address, Stream
from .engine import RECORD, Buffer, Engine
from .errors import TlsError, TruncatedError
from .mib import TlsMib

if TYPE_CHECKING:
    from ..runtime.waits import Event, Waits

A = TypeVar("A")
T = TypeVar("T")

PULL = 65536  # asked of the stream below at once, where it doesn't hand on what it has


class TlsStream:
    """A Stream. One task may receive and one may send at a time; a second one gets BusyError.

    Made by `Tls`. What errors, cancellation and the end mean here: `netstack.tls`.
    """

    def __init__(self, lower: Stream, engine: Engine, waits: Waits, mib: TlsMib) -> None:
        self._lower = lower
        self._engine = engine
        self._waits = waits
        self._mib = mib
        self._closed = False
        self._receiving = False
        self._sending = False
        self._ending = False  # send_eof was called
        self._pulling = False
        self._flushing = False
        self._pulled: Event | None = None  # who waits for the one who pulls
        self._flushed: Event | None = None
        self._counted = False
        self._lost: str | None = None  # why nothing may follow what was sent: some of it didn't get through
        self._cause: BaseException | None = None
        # what the stream below can do beyond the signature
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
                self._check_time(deadline)
            if engine.urgent:
                await self._flush(deadline)
        except TlsError:
            await self._part()  # an alert, if OpenSSL had one to say
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
                while True:
                    await self._more(deadline)
                    got = read(room)
                    if got is not None:
                        break
                    self._check_time(deadline)
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
        """Returns when the stream below has taken all of `data`, one buffer or several in a row, and is below its bound. It is
        handed down 64 KiB at a time; cancelled or timed out, the rest at once: all of it counts as sent.

        Raises TimedOut, BrokenError (TlsError), ClosedError, BusyError.
        """
        if self._sending:
            raise BusyError("another task is already sending on this stream")
        if self._closed:
            raise ClosedError("this stream is closed")
        if self._ending or self._engine.finished:
            raise ClosedError("this side of the stream was ended by send_eof()")
        self._check_way()
        rest = _one_view(data)
        deadline = self._deadline(timeout)
        self._sending = True
        try:
            while rest:
                n = self._engine.write(rest)
                if n is None:
                    await self._more(deadline)
                    self._check_time(deadline)
                else:
                    rest = rest[n:]
                    await self._flush(deadline)
        except TlsError as error:
            self._count(error)
            raise
        except (OSError, ClosedError) as error:
            if isinstance(error, TimedOut):
                await self._hand_over(rest)
            raise
        except BaseException:  # a cancellation, of whatever runtime
            await self._hand_over(rest)
            raise
        finally:
            self._sending = False
            if self._ending:
                await self._end()

    async def send_file(
        self, file: int | HasFileno, offset: int = 0, count: int | None = None, timeout: Duration | None = None
    ) -> int:
        """Send `count` bytes of a regular file from `offset` on, or as many as it has; return how many that were. Its position is
        neither used nor moved. What the page cache lacks is read in a thread. A call that fails or is cancelled may have sent some.

        Raises as `send_all` does, with `timeout` for each block; OSError from reading; UsageError for what is no regular file.
        """
        sent = 0
        async for block in read_blocks(*span(file, offset, count)):
            await self.send_all(block, timeout)
            sent += len(block)
        return sent

    async def _hand_over(self, rest: memoryview) -> None:
        """All of it, without waiting. The caller is about to raise something else: what goes wrong, the next one hears."""
        with contextlib.suppress(TlsError):
            while rest:
                n = self._engine.write(rest)
                if n is None:  # in the middle of a renegotiation: there is no saying when
                    self._lose("a call was given up while keys were changed")
                    return
                rest = rest[n:]
        await self._part()

    async def _flush(self, deadline: int | None) -> None:
        """All ciphertext is with the stream below."""
        engine = self._engine
        while engine.outgoing:
            timeout = self._left(deadline)
            if self._flushing:
                if self._flushed is None:
                    self._flushed = self._waits.event()
                await self._waits.wait(self._flushed, timeout)
                continue
            self._check_way()
            await self._waits.check()
            self._flushing = True
            try:
                pieces = engine.take()
                if len(pieces) == 1:
                    await self._lower.send_all(pieces[0], timeout)
                elif self._gathers:
                    await self._lower.send_all(pieces, timeout)  # type: ignore[arg-type]  # it says that it takes several
                else:
                    await self._lower.send_all(b"".join(pieces), timeout)
            except TimedOut:
                raise  # it counts as sent, and so it does for who is cancelled
            except Exception as error:
                self._lose(f"the stream below is gone: {error}", error)
                raise
            finally:
                self._flushing = False
                if self._flushed is not None:
                    self._flushed.set()
                    self._flushed = None

    async def _part(self) -> None:
        """Hand down what is left to say, without waiting for anybody to read it."""
        if self._lost is None and not self._flushing:  # who is flushing does it
            with self._waits.shield(), contextlib.suppress(OSError, ClosedError):  # there is nobody to tell
                await self._flush(self._waits.now())

    # -- the end ------------------------------------------------------------------------------------------------------------

    async def send_eof(self) -> None:
        """End our side, with close_notify and with the end of the stream below; the other may go on. Behind what another task is
        sending, if one is."""
        if self._closed or self._ending:
            return
        self._ending = True
        if not self._sending:
            await self._end()

    async def _end(self) -> None:
        self._engine.finish()
        with self._waits.shield(), contextlib.suppress(OSError, ClosedError):  # there is nobody to tell
            await self._part()
            if self._lost is None and not self._closed:
                await self._lower.send_eof()

    async def aclose(self) -> None:
        """Close both sides in order, with close_notify unless it was sent. Doesn't wait for the peer. What another task is still
        sending is cut, and looks like it; where something was not received, the peer gets a reset."""
        if self._closed:
            return
        self._closed = True
        with self._waits.shield():
            if not self._sending:
                await self._look()
                if self._engine.unread:  # it can't have been read, and the peer must not believe so (RFC 2525 2.17)
                    self._lower.abort()
                    return
                self._engine.finish()
                await self._part()
            await self._lower.aclose()

    async def _look(self) -> None:
        """Take what has come and nobody asked for: were it left, the stream below would be reset, for some session tickets."""
        if self._pulling or not self._engine.ready or self._engine.ended:
            return
        with contextlib.suppress(OSError, ClosedError):
            data = await self._pull(Duration(0))
            if len(data):
                self._engine.feed(data)

    def abort(self) -> None:
        """Drop it at once."""
        self._closed = True
        self._lower.abort()

    # -- helpers ------------------------------------------------------------------------------------------------------------

    def _deadline(self, timeout: Duration | None) -> int | None:
        check_timeout(timeout)
        return None if timeout is None else self._waits.now() + timeout

    def _left(self, deadline: int | None) -> Duration | None:
        return None if deadline is None else Duration(max(deadline - self._waits.now(), 0))

    def _check_time(self, deadline: int | None) -> None:
        """Something came, and not enough: a peer that trickles must not hold us longer than one that is silent."""
        if deadline is not None and self._waits.now() >= deadline:
            raise TimedOut("timed out in the middle of a record")

    def _lose(self, why: str, cause: BaseException | None = None) -> None:
        if self._lost is None:
            self._lost = why
            self._cause = cause

    def _check_way(self) -> None:
        if self._lost is not None:
            raise BrokenError(f"nothing can be sent any more: {self._lost}") from self._cause

    def _count(self, error: TlsError) -> None:
        if self._engine.error is error and not self._counted:
            self._counted = True
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
