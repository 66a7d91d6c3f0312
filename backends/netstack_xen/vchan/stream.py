"""A connection over a vchan, with the verbs of `signatures.Stream`, on any runtime.

The rings are the queues: what was received but not asked for stays there, and holds up the peer when the ring is full. What lies
here is what a `send_all` was called with and the ring had no room for.

Three ways to its end, as `signatures.Stream` has them, from what a vchan can say (wire.py). A peer that knows our words says which
it is; one that only lets go, as libxenvchan's does, has *ended*, and so has one whose program died, which looks the same. Where
both know the words, a peer that lets go and hasn't said that it closes was lost, and the stream is *broken*. A reset makes the ring
void, so that also a reader of libxenvchan's is given nothing of what was on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from netstack.errors import BrokenError, BusyError, ClosedError, PeerReset, UsageError, WireError
from netstack.instant import Duration, check_timeout
from netstack.runtime.waits import Event, Waits
from netstack.signatures import Address

from . import wire
from .channel import VOID
from .joint import Joint
from .mib import VchanMib

Buffer = bytes | bytearray | memoryview
HOLD = 65536  # bytes that lie here when `send_all` returns: what comes in pieces of this size is on its way while the next is made
GREED = 16  # calls in a row that don't wait before others get a turn


class VchanStream:
    """`netstack.signatures.Stream`. One task may receive and one may send at a time; a second one gets BusyError."""

    gathers = True  # `send_all` takes several buffers in a row
    keeps = True  # what a `send_all` that is cancelled or timed out was given is sent all the same

    def __init__(
        self,
        joint: Joint,
        local: Address,
        remote: Address,
        waits: Waits,
        mib: VchanMib,
        on_end: Callable[[VchanStream], None],
    ) -> None:
        """`on_end` is called when everything was given back."""
        self._joint = joint
        self._channel = joint.channel
        self._local = local
        self._remote = remote
        self._waits = waits
        self._mib = mib
        self._on_end = on_end
        self._luck = 0
        self._closed = False  # by our user
        self._lost: BaseException | None = None  # why it is broken
        self._eof = False  # the peer's end has been reached
        self._eof_sent = False  # by our user; the peer hears of it …
        self._ended = False  # … behind the queue
        self._queue: deque[bytes | memoryview] = deque()
        self._head = 0  # bytes of its first that have gone
        self._held = 0  # bytes of all of it that have not
        self._receiving = False
        self._sending = False
        self._reader: Event | None = None
        self._writer: Event | None = None

    @property
    def local_address(self) -> Address:
        """The number of our domain, as text, and a port."""
        return self._local

    @property
    def remote_address(self) -> Address:
        return self._remote

    @property
    def port(self) -> int:
        """The event channel."""
        return self._joint.port

    @property
    def peer_knows_ends(self) -> bool:
        """Does the peer hear of the end of one direction, and of a loss? libxenvchan's don't."""
        return self._channel.extended

    def _broken(self) -> BrokenError:
        broken = BrokenError(f"the connection is gone: {self._lost}")
        broken.__cause__ = self._lost
        return broken

    async def _fair(self) -> None:
        self._luck += 1
        if self._luck >= GREED:
            self._luck = 0
            await self._waits.turn()

    def _until(self, timeout: Duration | None) -> int | None:
        check_timeout(timeout)
        return None if timeout is None else self._waits.now() + timeout

    def _left(self, until: int | None) -> Duration | None:
        return None if until is None else Duration(max(until - self._waits.now(), 0))

    # -- receiving --------------------------------------------------------------------------------------------------------------

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        n = await self._something(timeout)
        if not n:
            return b""
        data = self._channel.take(min(n, limit))
        self._took(len(data))
        return data

    async def receive_into(self, buffer: bytearray | memoryview, timeout: Duration | None = None) -> int:
        """Fill `buffer` with what is there, and say how much that is; 0 when the peer has ended its side. As `receive`, and
        UsageError for a buffer that can't be written or has no room."""
        view = memoryview(buffer)
        if view.readonly or not view.nbytes or not view.c_contiguous:
            raise UsageError("receive_into() needs a buffer that can be written, in one piece, with room for one byte or more")
        n = min(await self._something(timeout), view.nbytes)
        if n:
            self._channel.take_into(view.cast("B"), n)
            self._took(n)
        return n

    async def _something(self, timeout: Duration | None) -> int:
        """Wait until bytes can be taken; how many. 0: nothing will come, in order."""
        if self._receiving:
            raise BusyError("another task is already receiving from this stream")
        self._receiving = True
        try:
            await self._waits.check()
            await self._fair()
            until = self._until(timeout)
            while True:
                n = self._look()
                if n or self._eof:
                    return n
                self._luck = 0
                event = self._reader = self._waits.event()
                await self._waits.wait(event, self._left(until))
        finally:
            self._receiving = False
            self._reader = None

    def _look(self) -> int:
        """Bytes that are there; 0 also at the end, which is noted."""
        if self._closed:
            raise ClosedError("this stream is closed")
        channel = self._channel
        if channel.released:
            if self._lost is not None:
                raise self._broken()
            return 0  # both sides had ended
        there = channel.there()  # before the ring: who lets go does so after his last byte
        said = channel.heard()
        try:
            n = channel.wanting()
        except WireError as error:
            self._mib.InErrors += 1
            self._break(error)
            raise self._broken() from error
        if n == VOID or said == wire.RESET:
            self._mib.EstabResets += 1
            self._break(PeerReset("the peer has reset the connection"))
            raise self._broken()
        if n:
            return n
        if self._lost is not None:
            raise self._broken()
        if said != wire.OPEN or not (there or channel.extended):
            self._eof = True
            self._check_over()
        elif not there:
            self._mib.EstabResets += 1
            self._break(PeerReset("the peer's program, or its domain, has gone without a word"))
            raise self._broken()
        return 0

    def _took(self, n: int) -> None:
        self._mib.InOctets += n
        self._tell()

    # -- sending ----------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: Buffer | Sequence[Buffer], timeout: Duration | None = None) -> None:
        """One buffer, or several in a row; as `Stream.send_all`."""
        self._check_sending()
        until = self._until(timeout)
        self._sending = True
        try:
            await self._waits.check()
            for part in data if isinstance(data, list | tuple) else (data,):
                view = _flat(part)
                if len(view):
                    self._queue.append(view)
                    self._held += len(view)
            self._flush()
            if self._lost is not None:
                raise self._broken()
            if self._queue:
                self._queue = deque(map(_kept, self._queue))
            if self._held > HOLD:
                await self._drained(until)
            else:
                await self._fair()
        finally:
            self._sending = False
            self._writer = None

    def _check_sending(self) -> None:
        if self._closed:
            raise ClosedError("this stream is closed")
        if self._sending:
            raise BusyError("another task is already sending on this stream")
        if self._lost is not None:
            raise self._broken()
        if self._eof_sent:
            raise ClosedError("this side of the stream has been ended: send before send_eof()")

    async def _drained(self, until: int | None) -> None:
        """Until the ring has all of the queue but a little."""
        while self._held > HOLD:
            event = self._writer = self._waits.event()
            await self._waits.wait(event, self._left(until))
            if self._closed:
                raise ClosedError("this stream was closed while it was sending")
            if self._lost is not None:
                raise self._broken()

    def _flush(self) -> None:
        """Put into the ring what it takes, then say what follows the last byte."""
        channel = self._channel
        queue = self._queue
        if channel.released:
            return
        try:
            while queue:
                if not channel.there() or channel.heard() >= wire.CLOSED:
                    self._break(PeerReset("the peer has closed the connection, and reads no more"), keep=True)
                    return
                room = channel.lacking()
                if not room:
                    break
                part = queue[0]
                n = min(room, len(part) - self._head)
                channel.put(part, self._head, n)
                self._mib.OutOctets += n
                self._head += n
                self._held -= n
                if self._head == len(part):
                    queue.popleft()
                    self._head = 0
            leaving = self._closed or self._eof_sent
            # libxenvchan's own vchan-socket-proxy throws away what is in the ring once it sees that we have left
            awaited = leaving and not queue and not channel.extended and channel.there() and channel.untaken()
        except WireError as error:
            self._mib.InErrors += 1
            self._break(error)
            return
        if self._held <= HOLD and self._writer is not None:
            self._writer.set()
        if not queue and not awaited:
            if self._closed:
                self._let_go(wire.CLOSED)
                return
            if self._eof_sent:
                self._end()
        self._tell()

    async def send_eof(self) -> None:
        """As `Stream.send_eof`. To a peer of libxenvchan's it is the end of both directions, once it has taken all that was sent:
        such a one writes no more; what it has written already can still be received."""
        await self._waits.check()
        if not self._eof_sent and not self._closed and self._lost is None:
            self._eof_sent = True
            self._flush()

    def _end(self) -> None:
        """Our side, now that everything has gone."""
        if not self._ended:
            self._ended = True
            if self._channel.extended:
                self._channel.say(wire.ENDED)
            else:
                self._channel.leave()
            self._check_over()

    def _tell(self) -> None:
        try:
            if self._joint.tell():
                self._mib.OutEvents += 1
        except OSError as error:
            self._break(error)

    # -- what the stack says ------------------------------------------------------------------------------------------------------

    def told(self) -> None:
        """The peer has done something."""
        if self._queue or self._closed or self._eof_sent:
            self._flush()
        if self._reader is not None:
            self._reader.set()

    def fail(self, error: OSError) -> None:
        """Xen itself has gone from us."""
        self._break(error)

    # -- the end ------------------------------------------------------------------------------------------------------------------

    def _check_over(self) -> None:
        if self._eof and self._ended:
            self._let_go(wire.CLOSED)

    def _break(self, error: BaseException, keep: bool = False) -> None:
        """It is lost. `keep`: what the peer has sent before can still be received."""
        if self._lost is None:
            self._lost = error
        self._queue.clear()
        self._head = self._held = 0
        if not keep or self._closed:
            self._let_go(wire.RESET)
        self._wake()

    def _let_go(self, word: int) -> None:
        """Say how it ends, and give everything back."""
        channel = self._channel
        if channel.released:
            return
        if word == wire.RESET:
            channel.annul()
        channel.say(word)
        self._queue.clear()
        self._joint.close()
        self._on_end(self)

    def _wake(self) -> None:
        for event in (self._reader, self._writer):
            if event is not None:
                event.set()

    async def aclose(self) -> None:
        """As `Stream.aclose`."""
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        channel = self._channel
        if not channel.released:
            unread = True
            with suppress(WireError):
                unread = channel.ready() > 0
            if unread:  # it can't have been read, and the peer must not believe so (RFC 2525 2.17)
                self.abort()
                return
        self._closed = True
        self._flush()
        self._wake()

    def abort(self) -> None:
        """As `Stream.abort`."""
        self._closed = True
        if not self._channel.released:
            if self._lost is None:
                self._mib.OutResets += 1
            self._let_go(wire.RESET)
        self._wake()

    @property
    def delivering(self) -> bool:
        """Closed, and not all of it is in the ring yet, or taken by a peer that would lose it."""
        return self._closed and not self._channel.released


def _kept(data: bytes | memoryview) -> bytes | memoryview:
    """What nobody changes while it waits."""
    return data if isinstance(data, bytes) or data.readonly else bytes(data)


def _flat(data: Buffer) -> bytes | memoryview:
    """`data` as bytes that can be sent in pieces."""
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    if not view.c_contiguous:
        return bytes(view)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")
