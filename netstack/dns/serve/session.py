"""One connection of a client (RFC 7766): queries one behind the other, answers as they are ready, in any order.

One task reads, and answers what can be answered at once; what is owed comes from other tasks. All put their answers into `_out`,
and whoever finds nobody writing writes: a stream has one sender at a time. When the client doesn't take what is his, nothing more
is read from him, and after a while he is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...errors import ClosedError, TimedOut, WireError
from ...instant import Duration
from ...runtime.waits import Event, Spawned, Waits
from ...signatures import Stream
from ..stream import Deframer, frame
from .client import Client
from .desk import Desk
from .later import Later

RECEIVE = 65536  # asked of the stream at once
BLOCK = 65536  # octets of answers that are collected before they are sent: a transfer's messages are up to that long
BATCH = 64  # queries that are answered before the others of the loop have their turn


class Session:
    """`run` it in its own task. `begin` starts the work on what is owed; `touch` hears of every query."""

    def __init__(
        self,
        stream: Stream,
        client: Client,
        desk: Desk,
        waits: Waits,
        begin: Callable[[Later], None],
        touch: Callable[[Session], None],
    ) -> None:
        self.stream = stream
        self.client = client
        self._desk = desk
        self._waits = waits
        self._begin = begin
        self._touch = touch
        self._out = bytearray()
        self._writing = False
        self._writer: Spawned | None = None
        self._moved: Event | None = None  # something of what follows has become less
        self._owed = 0
        self._answering = False
        self._over = False
        self._last = False  # no more is read: the server is closing

    @property
    def busy(self) -> bool:
        """Is there something that the client still waits for?"""
        return bool(self._answering or self._owed or self._out or self._writing)

    async def run(self) -> None:
        """Until the client has left and has all his answers, or his time is up. The stream is left to who opened it, or aborted."""
        try:
            await self._read()
            while self.busy and not self._over:
                await self._wait()
        except (OSError, ClosedError):
            self._fail()
        finally:
            self._over = True
            if self._writer is not None:
                self._writer.cancel()
                with self._waits.shield():
                    await self._writer.join()

    async def close(self) -> None:
        """An idle one ends now; of a busy one nothing more is read."""
        self._last = True
        if not self.busy:
            await self.stream.aclose()

    async def _read(self) -> None:
        config, mib, waits = self._desk.config, self._desk.mib, self._waits
        deframer = Deframer()
        since = waits.now()  # when the message began that is not whole yet, or the client had all his answers
        while not self._last:
            limit = config.message_timeout if deframer.unfinished else config.idle_timeout
            left = since + limit - waits.now()
            try:
                data = await self.stream.receive(RECEIVE, Duration(max(left, 0)))
            except TimedOut:
                if deframer.unfinished:
                    mib.TCPSlow += 1
                    self._fail()
                    return
                if self.busy:
                    since = waits.now()
                    continue
                mib.TCPIdle += 1
                return
            if not data:
                return
            began = deframer.unfinished
            try:
                messages = deframer.feed(data)
            except WireError:
                mib.TCPMangled += 1
                self._fail()
                return
            if messages or not began:
                since = waits.now()
            if messages:
                await self._answer(messages)
                if not deframer.unfinished:
                    since = waits.now()

    async def _answer(self, messages: list[bytes]) -> None:
        config = self._desk.config
        self._touch(self)
        self._answering = True
        try:
            for i, message in enumerate(messages):
                while self._owed >= config.in_flight or len(self._out) > config.unsent:
                    await self._flush()
                    if self._owed >= config.in_flight or len(self._out) > config.unsent:
                        await self._wait()
                if self._over:
                    return
                said = self._desk.handle(message, self.client, self._waits.now())
                if isinstance(said, Later):
                    self._owed += 1
                    said.send = self.deliver
                    self._begin(said)
                elif said is not None:
                    await self._put(said)
                if i % BATCH == BATCH - 1:
                    await self._flush()
            await self._flush()
        finally:
            self._answering = False

    async def deliver(self, wires: Iterable[bytes]) -> None:
        """What was owed. Never waits for the client."""
        self._owed -= 1
        if self._over:
            self._desk.mib.OutFailed += 1
            return
        for wire in wires:
            self._out += frame(wire)
        if not self._writing:
            self._writing = True
            self._writer = self._waits.spawn(self._write)
        self._tell()

    async def _put(self, wires: Iterable[bytes]) -> None:
        for wire in wires:
            self._out += frame(wire)
            while len(self._out) >= BLOCK and not self._over:
                await self._flush()
                if len(self._out) >= BLOCK and not self._over:
                    await self._wait()

    async def _flush(self) -> None:
        """Send what there is, unless somebody does."""
        if self._writing or not self._out:
            return
        self._writing = True
        await self._write()

    async def _write(self) -> None:
        timeout = self._desk.config.send_timeout
        try:
            while self._out and not self._over:
                data = bytes(self._out)
                self._out.clear()
                await self.stream.send_all(data, timeout)
        except TimedOut:
            self._desk.mib.TCPStuck += 1
            self._fail()
        except (OSError, ClosedError):
            self._fail()
        finally:
            self._writing = False
            self._tell()

    def _fail(self) -> None:
        """The connection is of no use any more."""
        if not self._over:
            self._over = True
            if self.busy:
                self._desk.mib.OutFailed += 1
            self._out.clear()
            self.stream.abort()
        self._tell()

    def _tell(self) -> None:
        if self._moved is not None:
            self._moved.set()

    async def _wait(self) -> None:
        """Until something has moved."""
        self._moved = self._waits.event()
        await self._moved.wait()
        if self._over:
            raise ClosedError("the connection is over")
