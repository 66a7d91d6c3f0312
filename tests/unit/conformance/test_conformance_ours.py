"""Our own TCP and UDP, held to the signatures: on a wire in memory, and one stack through its loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import netstack
from netstack.testing.conformance import AsyncioRunner, DatagramStackSuite, Ends, RestSuite, StreamStackSuite, VerbSuite
from netstack.testing.cord import Cord
from netstack.testing.wire import Wire

OURS = AsyncioRunner(netstack.new_event_loop)


@contextlib.asynccontextmanager
async def two_on_a_wire() -> AsyncIterator[Ends[Any]]:
    wire = Wire()
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as client,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as server,
    ):
        yield Ends(client, server, "10.0.0.2", silent=("10.0.0.99", 7))


@contextlib.asynccontextmanager
async def two_on_a_cord() -> AsyncIterator[Ends[Any]]:
    cord = Cord()
    async with (
        netstack.open(cord.a, addresses=["10.0.0.1/24"]) as client,
        netstack.open(cord.b, addresses=["10.0.0.2/24"]) as server,
    ):
        yield Ends(client, server, "10.0.0.2")


@contextlib.asynccontextmanager
async def one_alone() -> AsyncIterator[Ends[Any]]:
    async with netstack.open(Wire().port("alone"), addresses=["10.0.0.1/24"]) as net:
        yield Ends(net, net, "127.0.0.1")


class OnAWire:
    def ends(self) -> Any:
        return two_on_a_wire()


class OnACord:
    runner = OURS

    def ends(self) -> Any:
        return two_on_a_cord()


class Alone:
    def ends(self) -> Any:
        return one_alone()


class TestStreamsOnAWire(OnAWire, StreamStackSuite):
    pass


class TestDatagramsOnAWire(OnAWire, DatagramStackSuite):
    pass


class TestVerbsOnAWire(OnAWire, VerbSuite):
    pass


class TestRestOnAWire(OnAWire, RestSuite):
    pass


class TestStreamsOnACord(OnACord, StreamStackSuite):
    pass


class TestDatagramsOnACord(OnACord, DatagramStackSuite):
    pass


class TestVerbsOnACord(OnACord, VerbSuite):
    pass


class TestStreamsToOneself(Alone, StreamStackSuite):
    pass


class TestDatagramsToOneself(Alone, DatagramStackSuite):
    pass
