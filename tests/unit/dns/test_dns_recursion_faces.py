"""`Resolver` with an iterative finder, over our own UDP and TCP, on asyncio and trio: the whole walk, over a wire."""

import random

import pytest
from dns_world import RUNTIMES, Says, world
from recursion_world import serves, zone

from netstack.dns.client.resolver import Resolver
from netstack.dns.resolve.recursion import Recursion


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda r: r.name)
def test_programs_resolve_names_from_the_root(runtime):
    root = zone(".", """. NS a.root.
        a.root. A 10.0.0.2
        example. NS ns.example.
        ns.example. A 10.0.0.3
        other. NS ns.example.""")
    example = zone("example.", """example. NS ns.example.
        ns.example. A 10.0.0.3
        www.example. A 192.0.2.1
        alias.example. CNAME big.other.""")
    other = zone("other.", "other. NS ns.example.\nbig.other. TXT " + " ".join([f'"{"x" * 200}"'] * 9))

    async def test(_):
        async with world("client", "root", "example") as (client, *nets):
            held = [serves(root), serves(example, other)]
            servers = [await Says(says).start(net) for says, net in zip(held, nets, strict=True)]
            async with Resolver(client, client, finder=Recursion({"a.root.": "10.0.0.2"}, random.Random(1))) as resolver:
                answer = await resolver.resolve("www.example")
                assert (answer.addresses, answer.server) == (["192.0.2.1"], ("10.0.0.3", 53))
                assert (await resolver.resolve("www.example")).from_cache
                alias = await resolver.resolve("alias.example", "TXT")
                assert alias.canonical == "big.other." and len(alias[0].strings) == 9
                assert servers[1].streams == 1
            for server in servers:
                await server.aclose()

    runtime.run(test)


