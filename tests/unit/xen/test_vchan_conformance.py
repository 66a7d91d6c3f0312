"""Vchans between two domains of a simulated machine, held to what a StreamStack promises: on asyncio and on trio, and to peers that
know no more than libxenvchan does. After each case the machine's books are even: every page, port and watch was given back."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from netstack_xen.hypervisor import EVERYONE
from netstack_xen.simulated import Machine
from netstack_xen.vchan import Vchan, paths

import netstack
from netstack.signatures import Stream
from netstack.testing.conformance import AsyncioRunner, Ends, StreamStackSuite
from netstack.testing.conformance.listening import Listening
from netstack.testing.conformance.transfers import Transfers

sys.path.append(str(Path(__file__).resolve().parents[1] / "conformance"))


def assert_clean(machine: Machine) -> None:
    """A server may let go before its client does: the machine keeps the pages until then, and so does Xen."""
    machine.books.notes[:] = [note for note in machine.books.notes if note.kind != "still mapped"]
    machine.books.assert_clean()


@contextlib.asynccontextmanager
async def two_domains(plain: bool = False, **options: Any) -> AsyncIterator[Ends[Any]]:
    with Machine() as machine:
        absent = machine.domain(9)  # its server has died, and nobody has cleared up behind it
        absent.store.write(paths.shop(9, 7), paths.VERSION)
        absent.store.permit(paths.shop(9, 7), 9, readers=[EVERYONE])
        async with Vchan(machine.domain(1), **options) as client, Vchan(machine.domain(2), **options) as server:
            if plain:
                for each in (client, server):
                    each._layout = each._layout._replace(words=0)
            yield Ends(client, server, "2", silent=("9", 7))
        absent.close()
        machine.books.assert_even()
        assert_clean(machine)


class InVirtualTime(StreamStackSuite):
    runner = AsyncioRunner(netstack.VirtualLoop)


class TestVchans(InVirtualTime):
    def ends(self) -> Any:
        return two_domains()


@pytest.mark.once
class TestVchansInOnePage(Transfers):
    """Rings of 1024 and 2048 bytes."""

    runner = AsyncioRunner(netstack.VirtualLoop)
    test_one_send_may_be_larger_than_every_buffer = None  # it is larger than all of these in each of the others, and costs a second

    def ends(self) -> Any:
        return two_domains(buffer=1024)


@pytest.mark.once
class TestVchansOfLibxenvchan(InVirtualTime):
    """Without our words: its protocol has one end, of both directions, and the reset is a ring made void."""

    half_close = False

    def ends(self) -> Any:
        return two_domains(plain=True)


def test_a_peer_of_libxenvchan_has_taken_everything_before_we_leave() -> None:
    """Its own vchan-socket-proxy throws away what is in the ring of who has left."""

    async def main() -> None:
        for end in ("close", "eof", "stack"):
            async with two_domains(plain=True) as ends:

                async def serve(stream: Stream, end: str = end) -> None:
                    await stream.send_all(b"last words")
                    if end == "eof":
                        await stream.send_eof()
                        await stream.receive()  # the other end's end

                await ends.server.serve_streams(serve, 80)
                stream = await ends.client.connect_stream("2", 80)
                await asyncio.sleep(1)
                leaving = asyncio.create_task(ends.server.aclose()) if end == "stack" else None
                await asyncio.sleep(1)
                assert stream._channel.there() and stream._channel.ready() == 10
                assert await stream.receive() == b"last words"
                await asyncio.sleep(1)
                assert not stream._channel.there()
                assert await stream.receive() == b""
                await stream.aclose()
                if leaving is not None:
                    await leaving

    with asyncio.Runner(loop_factory=netstack.VirtualLoop) as runner:
        runner.run(main())


@pytest.mark.once
class TestVchansToOneself(Listening):
    """A domain may share with itself."""

    runner = AsyncioRunner(netstack.VirtualLoop)

    def ends(self) -> Any:
        return alone()


@contextlib.asynccontextmanager
async def alone() -> AsyncIterator[Ends[Any]]:
    with Machine() as machine:
        async with Vchan(machine.domain(0)) as net:
            yield Ends(net, net, "0")
        machine.books.assert_even()
        assert_clean(machine)


trio = pytest.importorskip("trio")
from test_conformance_trio import TrioRunner  # noqa: E402  # its way is known now, and trio is there
from trio.testing import MockClock  # noqa: E402


@pytest.mark.once
class TestVchansOnTrio(StreamStackSuite):
    runner = TrioRunner(lambda: MockClock(autojump_threshold=0))

    def ends(self) -> Any:
        return two_domains()
