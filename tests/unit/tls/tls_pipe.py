"""A StreamStack in memory that any runtime can run, on TLS's own idea of waiting: pipes with a bound, and faults on request."""

from __future__ import annotations

from collections import deque
from typing import Any

from netstack.errors import BrokenError, BusyError, ClosedError, TimedOut
from netstack.instant import Duration
from netstack.runtime.waits import Waits, waits_here
from netstack.signatures import Address


class Pipe:
    """One direction."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.chunks: deque[bytes] = deque()
        self.held = 0
        self.total = 0
        self.ended = False
        self.reset = False
        self.stalled = False  # what is sent is not taken
        self.stirred: list[Any] = []

    def stir(self) -> None:
        stirred, self.stirred = self.stirred, []
        for event in stirred:
            event.set()

    async def wait(self, waits: Waits, end: int | None) -> None:
        event = waits.event()
        self.stirred.append(event)
        left = None if end is None else Duration(max(end - waits.now(), 0))
        await waits.wait(event, left)


class PipeStream:
    """An end with nothing but the verbs of `signatures.Stream`."""

    gathers = False
    local_address: Address = ("192.0.2.1", 443)
    remote_address: Address = ("192.0.2.2", 50000)

    def __init__(self, into: Pipe, out: Pipe, waits: Waits | None = None) -> None:
        self.into = into
        self.out = out
        self.waits = waits or waits_here()
        self.closed = self.aborted = False
        self.receiving = self.sending = False
        self.piece = 1 << 20  # no more is handed up at once

    def end(self, timeout: Duration | None) -> int | None:
        return None if timeout is None else self.waits.now() + timeout

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if self.receiving:
            raise BusyError("two are receiving")
        end = self.end(timeout)
        self.receiving = True
        try:
            while True:
                if self.closed or self.aborted:
                    raise ClosedError("closed")
                pipe = self.into
                if pipe.chunks:
                    chunk = pipe.chunks.popleft()
                    limit = min(limit, self.piece)
                    if len(chunk) > limit:
                        pipe.chunks.appendleft(chunk[limit:])
                    chunk = chunk[:limit]
                    pipe.held -= len(chunk)
                    pipe.stir()
                    return chunk
                if pipe.reset:
                    raise BrokenError("reset")
                if pipe.ended:
                    return b""
                await pipe.wait(self.waits, end)
        finally:
            self.receiving = False

    async def send_all(self, data: Any, timeout: Duration | None = None) -> None:
        """All is queued; it waits for the queue to be below its bound."""
        parts = data if self.gathers and isinstance(data, list) else [data]
        assert all(type(part) is bytes for part in parts), "the signature says bytes"
        if self.sending:
            raise BusyError("two are sending")
        end = self.end(timeout)
        pipe = self.out
        self.check_sending()
        for part in parts:
            pipe.chunks.append(part)
            pipe.held += len(part)
            pipe.total += len(part)
        pipe.stir()
        self.sending = True
        try:
            while pipe.held > pipe.bound or pipe.stalled:
                await pipe.wait(self.waits, end)
                self.check_sending()
        finally:
            self.sending = False

    def check_sending(self) -> None:
        if self.closed or self.aborted:
            raise ClosedError("closed")
        if self.out.reset:
            raise BrokenError("reset")

    async def send_eof(self) -> None:
        self.out.ended = True
        self.out.stir()

    async def aclose(self) -> None:
        self.closed = True
        await self.send_eof()
        self.into.stir()

    def abort(self) -> None:
        if not self.closed:
            self.aborted = True
            self.out.reset = self.into.reset = True
        self.out.stir()
        self.into.stir()


class GatheringStream(PipeStream):
    """As our TcpStream, with more verbs than it must have."""

    gathers = True

    async def receive_view(self, timeout: Duration | None = None) -> memoryview:
        return memoryview(await self.receive(1 << 20, timeout))


def pipe_pair(bound: int = 65536, kind: type[PipeStream] = PipeStream) -> tuple[Any, Any]:
    there, back = Pipe(bound), Pipe(bound)
    return kind(back, there), kind(there, back)


__all__ = ["GatheringStream", "Pipe", "PipeStream", "TimedOut", "pipe_pair"]
