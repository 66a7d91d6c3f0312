"""The kernel's sockets, held to the signatures, on asyncio's own loop and on uvloop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

import netstack
from netstack.testing.conformance import AsyncioRunner, DatagramStackSuite, Ends, RestSuite, StreamStackSuite, VerbSuite

try:
    import uvloop
except ImportError:
    uvloop = None


@contextlib.asynccontextmanager
async def two_addresses() -> AsyncIterator[Ends[Any]]:
    """Two nets of the kernel's on the loopback, and a listener whose queue is full: it answers nobody."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with (
            netstack.open("posix:?address=127.0.0.2") as client,
            netstack.open("posix:", addresses=["127.0.0.3/8"]) as server,
        ):
            yield Ends(client, server, "127.0.0.3", silent=deaf.getsockname())


class Here:
    def ends(self) -> Any:
        return two_addresses()


class TestKernelStreams(Here, StreamStackSuite):
    pass


class TestKernelDatagrams(Here, DatagramStackSuite):
    pass


class TestKernelVerbs(Here, VerbSuite):
    pass


class TestKernelRest(Here, RestSuite):
    pass


if uvloop is not None:
    UVLOOP = AsyncioRunner(uvloop.new_event_loop)

    class TestKernelStreamsOnUvloop(Here, StreamStackSuite):
        runner = UVLOOP

    class TestKernelDatagramsOnUvloop(Here, DatagramStackSuite):
        runner = UVLOOP

    class TestKernelVerbsOnUvloop(Here, VerbSuite):
        runner = UVLOOP

    class TestKernelRestOnUvloop(Here, RestSuite):
        runner = UVLOOP

else:

    @pytest.mark.skip(reason="uvloop is not installed: pip install uvloop")
    def test_uvloop() -> None:
        pass
