"""A resolver over the kernel's sockets."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "dns"))
from dns_world import Says, record, response

import netstack
from netstack.dns.client.errors import ServerFailure
from netstack.dns.client.resolver import Resolver

ANSWER = record("www.example.", "A", "192.0.2.1")


def test_the_kernels_sockets_carry_a_resolver():
    async def main():
        async with netstack.open("posix:") as net:
            free = await net.bind_datagrams(0, "127.0.0.1")
            port = free.local_address[1]
            await free.aclose()
            says = await Says(lambda q, s: response(q, ANSWER) if s else response(q, flags=0x0200)).start(net, port)
            async with Resolver(net, net, [f"127.0.0.1:{port}"]) as resolver:
                answer = await resolver.resolve("www.example")
                assert answer.addresses == ["192.0.2.1"] and answer.outcome.over_stream
            await says.aclose()
            async with Resolver(net, net, [f"127.0.0.1:{port}"]) as resolver:  # where nobody is now
                with pytest.raises(ServerFailure, match="nobody could be asked"):
                    await resolver.resolve("www.example")

    asyncio.run(main())
