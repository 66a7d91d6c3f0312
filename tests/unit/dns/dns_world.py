"""A world with a client and servers of the DNS, for tests: the servers say what the test writes, over UDP and TCP, and the same
test runs on asyncio and on trio, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import trio

import netstack
from netstack.dns import name, rdata
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import type_number
from netstack.dns.stream import Deframer, frame
from netstack.errors import ClosedError, Refused, WireError
from netstack.runtime.trio.world import run_virtual as run_trio
from netstack.runtime.waits import waits_here
from netstack.testing.net import World

SECOND = 1_000_000_000
MS = 1_000_000


def record(owner: str, type: str, said: str, ttl: int = 300) -> Record:
    number = type_number(type)
    return Record(name.parse(owner), number, 1, ttl, rdata.from_text(number, said))


def response(q: Message, *answer: Record, rcode: int = 0, authority: tuple[Record, ...] = (), flags: int = 0) -> Message:
    """To `q`, with AA and RA."""
    m = Message(q.id, 0x8580 | (q.flags & 0x0110) | flags | rcode)
    m.question = list(q.question)
    m.answer, m.authority = list(answer), list(authority)
    if q.edns is not None:
        m.edns = Edns(1232)
    return m


class Says:
    """A server that gives what `answer(message, over_stream)` does: a Message, octets, or None for silence. `asked` is what it was
    asked: (name, type, over_stream)."""

    def __init__(self, answer: Callable[[Message, bool], Message | bytes | None], delay: int = 0) -> None:
        self.answer = answer
        self.delay = delay
        self.asked: list[tuple[str, int, bool]] = []
        self.streams = 0
        self.messages: list[Message] = []
        self.close_after: int | None = None  # answers on a stream
        self._open: list[Any] = []

    @property
    def questions(self) -> list[Question]:
        return [m.question[0] for m in self.messages]

    def _say(self, data: bytes, over_stream: bool) -> bytes | None:
        m = decode(data)
        self.messages.append(m)
        self.asked.append((name.text(m.question[0].name).lower(), m.question[0].type, over_stream))
        said = self.answer(m, over_stream)
        if isinstance(said, Message):
            size = m.edns.payload if m.edns is not None else 512
            return said.encode() if over_stream else said.encode(size)
        return said

    async def _pause(self) -> None:
        if self.delay:
            waits = waits_here()
            with contextlib.suppress(netstack.TimedOut):
                await waits.wait(waits.event(), self.delay)  # type: ignore[arg-type]

    async def start(self, net: Any, port: int = 53, stack: Any = None) -> Says:
        udp = await net.bind_datagrams(port)
        self._open.append(udp)

        async def datagrams() -> None:
            with contextlib.suppress(ClosedError):
                while True:
                    try:
                        data, address = await udp.receive()
                    except (Refused, netstack.Unreachable):
                        continue
                    said = self._say(data, False)
                    if said is not None and self.delay:
                        waits_here().spawn(partial(late, said, address))
                    elif said is not None:
                        await udp.send(said, address)

        async def late(said: bytes, address: Any) -> None:
            with contextlib.suppress(ClosedError):
                await self._pause()
                await udp.send(said, address)

        async def stream(s: Any) -> None:
            self.streams += 1
            deframer = Deframer()
            answered = 0
            with contextlib.suppress(OSError, ClosedError, WireError):
                while data := await s.receive():
                    for message in deframer.feed(data):
                        said = self._say(message, True)
                        if said is not None:
                            await self._pause()
                            await s.send_all(frame(said))
                            answered += 1
                            if self.close_after is not None and answered >= self.close_after:
                                return

        self._task = waits_here().spawn(datagrams)
        self._open.append(await (stack or net).serve_streams(stream, port))
        return self

    async def aclose(self) -> None:
        for each in self._open:
            await each.aclose()
        await self._task.join()


class Both:
    """What differs between the runtimes."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def sleep(self, seconds: float) -> None:
        await (asyncio.sleep if self.name == "asyncio" else trio.sleep)(seconds)

    def now(self) -> int:
        return waits_here().now()

    async def together(self, *works: Callable[[], Awaitable[Any]]) -> list[Any]:
        if self.name == "asyncio":
            return list(await asyncio.gather(*(work() for work in works)))
        results: list[Any] = [None] * len(works)

        async def keep(i: int) -> None:
            results[i] = await works[i]()

        async with trio.open_nursery() as nursery:
            for i in range(len(works)):
                nursery.start_soon(keep, i)
        return results

    async def cancelled(self, work: Callable[[], Awaitable[Any]], seconds: float) -> None:
        """`work` waits for so long, and is cancelled."""
        if self.name == "asyncio":
            task = asyncio.ensure_future(work())
            await asyncio.sleep(seconds)
            assert not task.done()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return
        with trio.move_on_after(seconds) as scope:
            await work()
        assert scope.cancelled_caught

    def run(self, test: Callable[[Any], Awaitable[None]]) -> None:
        """In virtual time; nothing is reported to the loop's exception handler, and no task is left behind."""
        if self.name == "trio":
            run_trio(test, self)
            return
        reported: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
            await test(self)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        netstack.run_virtual(main())
        assert not reported, reported[0].get("exception")


RUNTIMES = [Both("asyncio"), Both("trio")]


@contextlib.asynccontextmanager
async def world(*names: str, seed: int = 1, **faults: Any) -> AsyncIterator[list[Any]]:
    """The nets of hosts with these names; their addresses are 10.0.0.1, 10.0.0.2, and so on."""
    it = World(seed=seed, **faults)
    hosts = [it.host(each) for each in names]
    async with netstack.open_world(it):
        yield [host.net for host in hosts]
