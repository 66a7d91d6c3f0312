"""What the suites have in common: how a case is run, and the small world that it is given."""

from __future__ import annotations

import random
import unittest
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

import attrs

from ...errors import ClosedError
from ...instant import MILLISECOND, Duration
from ...signatures import Address, DatagramStack, Stream, StreamHandler, StreamListener, StreamStack
from .runner import AsyncioRunner, Job, Runner, Tasks

T = TypeVar("T")
S = TypeVar("S")
W = TypeVar("W")

SOON = Duration(30 * MILLISECOND)  # time-outs that are to pass
NOBODY = "192.0.2.77"  # for documentation (RFC 5737): an address of nobody's
SETTLE = 0.03  # seconds after which what has not happened is taken to be waiting
RNG_SEED = 20260  # the dice of the cases are the same in each run: what fails, fails again


@attrs.frozen
class Ends(Generic[S]):
    """Two stacks that reach each other; they may be one and the same.

    host     where `server` is for `client`: an address
    silent   an address and port of nobody who answers, not even to refuse, seen from `client`; None where there is none to be had
    """

    client: S
    server: S
    host: str
    silent: Address | None = None


class Suite:
    """What a case asks of whoever is tested. Its subclasses hold the cases, `test_…`; yours supplies `ends`."""

    runner: Runner = AsyncioRunner()
    limit = 30.0  # seconds for a case

    def perform(self, case: Callable[[Any, Any], Awaitable[None]]) -> None:
        raise NotImplementedError


def case(test: Callable[[Any, W], Awaitable[None]]) -> Callable[[Any], None]:
    """Makes a method of a coroutine that is given a world: what pytest and unittest call has no arguments and isn't `async`."""

    def run(self: Suite) -> None:
        self.perform(test)

    run.__name__ = test.__name__
    run.__qualname__ = test.__qualname__
    run.__doc__ = test.__doc__
    return run


def needs(*abilities: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """The case is skipped where one of these flags of its suite is false."""

    def decorate(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def look(self: Suite) -> None:
            for ability in abilities:
                if not getattr(self, ability):
                    raise unittest.SkipTest(f"this stack says {ability} = False")
            run(self)

        look.__name__ = run.__name__
        look.__qualname__ = run.__qualname__
        look.__doc__ = run.__doc__
        return look

    return decorate


class Caught:
    """`error` is what was raised inside of `raises`."""

    error: BaseException


@contextmanager
def raises(*kinds: type[BaseException]) -> Iterator[Caught]:
    """The block raises one of `kinds`; nothing, or anything else, fails the case."""
    caught = Caught()
    try:
        yield caught
    except kinds as error:
        caught.error = error
    else:
        raise AssertionError(f"nothing was raised; expected: {' or '.join(kind.__name__ for kind in kinds)}")


class World(Generic[S]):
    """What a case is given: the two stacks, and the event loop."""

    def __init__(self, ends: Ends[S], tasks: Tasks) -> None:
        self.ends = ends
        self.client = ends.client
        self.server = ends.server
        self.host = ends.host
        self.tasks = tasks
        self.rng = random.Random(RNG_SEED)
        self.afterwards: list[Callable[[], Awaitable[None]]] = []  # to be looked at when the stacks have been left

    def start(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        return self.tasks.start(work)

    async def settle(self) -> None:
        """Give everything the time to happen that is going to."""
        await self.tasks.sleep(SETTLE)

    async def turns(self, n: int) -> None:
        """`n` turns of the loop for everybody else."""
        for _ in range(n):
            await self.tasks.sleep(0)

    async def waiting(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """Start what is going to wait, and see that it does."""
        job = self.start(work)
        await self.settle()
        assert not job.done(), f"did not wait: {await job.result()!r}"
        return job

    async def until(self, condition: Callable[[], object]) -> None:
        """Look now and then; the case's own limit ends it."""
        while not condition():
            await self.tasks.sleep(0.005)


class StreamWorld(World[StreamStack]):
    def __init__(self, ends: Ends[StreamStack], tasks: Tasks) -> None:
        super().__init__(ends, tasks)
        self.listeners: list[StreamListener] = []

    async def listen(self, handler: StreamHandler, port: int = 0, **more: Any) -> int:
        """The server serves; on which port."""
        listener = await self.server.serve_streams(handler, port, **more)
        self.listeners.append(listener)
        return listener.address[1]

    async def connect(self, port: int) -> Stream:
        return await self.client.connect_stream(self.host, port)

    async def unused(self) -> int:
        """A port on which nobody listens any more."""
        listener = await self.server.serve_streams(echo, 0)
        port = listener.address[1]
        await listener.aclose()
        return port

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[tuple[Stream, Stream]]:
        """The two streams of one connection, the client's first. The server's handler ends when the block does."""
        accepted: list[Stream] = []
        arrived, leave = self.tasks.event(), self.tasks.event()

        async def handler(stream: Stream) -> None:
            accepted.append(stream)
            arrived.set()
            await leave.wait()

        near = await self.connect(await self.listen(handler))
        try:
            await arrived.wait()
            yield near, accepted[0]
        finally:
            leave.set()
            near.abort()

    async def stuffed(self, stream: Stream, most: int = 256 << 20) -> tuple[Job[None], bytes]:
        """Send until a send waits for the peer to receive; that one, and everything that was sent, its own data at the end."""
        blocks = 0
        while True:
            assert len(BLOCK) * blocks < most, f"nothing holds up a sender after {len(BLOCK) * blocks} bytes"
            sending = self.start(stream.send_all(BLOCK))
            blocks += 1
            await self.turns(3)
            if not sending.done():
                for _ in range(3):
                    await self.settle()
                if not sending.done():
                    return sending, BLOCK * blocks
            await sending.result()

    async def stalled(self, count: Callable[[], int]) -> int:
        """Wait until `count()` no longer grows; what it is then."""
        seen = -1
        while seen != count():
            seen = count()
            for _ in range(4):
                await self.settle()
        return seen


class StreamSuiteBase(Suite):
    """The flags of a stream stack. Set one to False where a transport can't have the property, and say so to its users.

    half_close       `send_eof` ends one direction and leaves the other (not so where the end of a session is the end of both)
    reset_visible    the peer of an abort, or of a close with something unread, finds PeerReset among the causes of BrokenError;
                     without it that is a BrokenError of any cause, and never a clean end
    takes_whole      `send_all` takes its data as a whole, so that a call that is cancelled or timed out counts as sent. Without it
                     (what encrypts piece by piece) such a call may break the sending side, which then raises BrokenError and is
                     never followed by a clean end
    ends_meanwhile   `send_eof` may come while another task sends. Without it that is a BusyError
    unread_told      the peer of who closes with something unread finds out (what reads ahead may not know of it)
    refusal_visible  a port on which nobody listens gives Refused; without it, any OSError
    same_addresses   nobody translates: each side's remote address is the other's local one
    names_ports      the stack has ports of its own, which can be taken, found in use, and are free after use
    most             bytes that may be on the way to a peer who doesn't receive: buffers of both sides, and of what is between
    """

    half_close = True
    reset_visible = True
    takes_whole = True
    ends_meanwhile = True
    unread_told = True
    refusal_visible = True
    same_addresses = True
    names_ports = True
    most = 64 << 20

    def ends(self) -> AbstractAsyncContextManager[Ends[StreamStack]]:
        """Opens two stacks for one case; leaving it ends them, with all that was started on them."""
        raise NotImplementedError("a suite needs ends(): an async context manager that gives Ends(client, server, host)")

    def perform(self, case: Callable[[Any, Any], Awaitable[None]]) -> None:
        async def main(tasks: Tasks) -> None:
            async with self.ends() as ends:
                world = StreamWorld(ends, tasks)
                try:
                    await case(self, world)
                finally:
                    await tasks.cancel_all()
                    await world.turns(10)  # or one stack is gone before the other's last word is answered, and it waits for that
                    for listener in [] if world.afterwards else world.listeners:
                        await listener.aclose()
            for look in world.afterwards:
                await look()

        self.runner.run(main, self.limit)

    def check_reset(self, error: BaseException) -> None:
        """Does a BrokenError say that the peer has reset the connection?"""
        if not self.reset_visible:
            return
        reason: BaseException | None = error
        while reason is not None:
            if isinstance(reason, ConnectionResetError):
                return
            reason = reason.__cause__ or reason.__context__
        raise AssertionError(f"no reset among the causes of {error!r}: {error.__cause__!r}")


class DatagramSuiteBase(Suite):
    """The flags of a datagram stack.

    refusal_visible  a datagram to a port that nobody has gives Refused on a connected port
    lossless         nothing between the two loses or reorders datagrams, as long as few are on the way
    largest          bytes of the longest datagram
    """

    refusal_visible = True
    lossless = True
    largest = 65507

    def ends(self) -> AbstractAsyncContextManager[Ends[DatagramStack]]:
        """Opens two stacks for one case; leaving it ends them, with all that was started on them."""
        raise NotImplementedError("a suite needs ends(): an async context manager that gives Ends(client, server, host)")

    def perform(self, case: Callable[[Any, Any], Awaitable[None]]) -> None:
        async def main(tasks: Tasks) -> None:
            async with self.ends() as ends:
                world = World(ends, tasks)
                try:
                    await case(self, world)
                finally:
                    await tasks.cancel_all()
            for look in world.afterwards:
                await look()

        self.runner.run(main, self.limit)


# -- what cases are made of ----------------------------------------------------------------------------------------------------


async def echo(stream: Stream) -> None:
    while data := await stream.receive():
        await stream.send_all(data)


async def read_all(stream: Stream) -> bytes:
    """Until the peer's end."""
    got = bytearray()
    while data := await stream.receive():
        got += data
    return bytes(got)


async def read_exactly(stream: Stream, n: int) -> bytes:
    got = bytearray()
    while len(got) < n:
        data = await stream.receive(n - len(got))
        assert data, f"the stream ended after {len(got)} of {n} bytes"
        got += data
    return bytes(got)


async def send_and_end(stream: Stream, data: bytes, size: int = 65536) -> None:
    """In pieces, and then the end."""
    for i in range(0, len(data), size):
        await stream.send_all(data[i : i + size])
    await stream.send_eof()


def pattern(n: int, seed: int = 1) -> bytes:
    """`n` bytes in which nothing repeats."""
    return random.Random(seed).randbytes(n)


BLOCK = pattern(256 << 10)


async def swallow(stream: Stream) -> None:
    """Read and forget, however it ends."""
    try:
        while await stream.receive():
            pass
    except (OSError, ClosedError):
        pass
