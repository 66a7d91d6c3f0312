"""TLS held to the signature of streams: over our own TCP and over the kernel's sockets, in both versions."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from netstack_sockets import KernelNet
from tls_world import client_context, server_context

import netstack
from netstack.testing.conformance import Ends, StreamStackSuite, VerbSuite
from netstack.testing.wire import Wire
from netstack.tls import Tls


def secured(net: Any, version: str) -> Tls[Any]:
    return Tls(net, client=client_context(version), server=server_context(version))


@contextlib.asynccontextmanager
async def two_on_a_wire(version: str) -> AsyncIterator[Ends[Any]]:
    wire = Wire()
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as client,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as server,
    ):
        yield Ends(secured(client, version), secured(server, version), "10.0.0.2", silent=("10.0.0.99", 7))


@contextlib.asynccontextmanager
async def the_kernel(version: str) -> AsyncIterator[Ends[Any]]:
    async with KernelNet() as net:
        secure = secured(net, version)
        yield Ends(secure, secure, "127.0.0.1")


class OnAWire:
    version = "1.3"

    def ends(self) -> Any:
        return two_on_a_wire(self.version)


class OnTheKernel:
    version = "1.3"

    def ends(self) -> Any:
        return the_kernel(self.version)


class TestStreamsOnAWire(OnAWire, StreamStackSuite):
    pass


class TestVerbsOnAWire(OnAWire, VerbSuite):
    pass


class TestStreamsOfTheKernel(OnTheKernel, StreamStackSuite):
    pass


class TestOldStreamsOfTheKernel(OnTheKernel, StreamStackSuite):
    version = "1.2"
