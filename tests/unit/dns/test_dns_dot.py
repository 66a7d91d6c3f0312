"""DNS over TLS (RFC 7858, RFC 8310): one stream for many, padded, and no question to who shows somebody else's certificate."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tls"))
from dns_world import MS, RUNTIMES, Says, record, response, world
from tls_world import client_context, server_context

from netstack.dns.client.errors import ServerFailure
from netstack.dns.client.resolver import Resolver
from netstack.tls import Tls

pytestmark = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)


def zone(q, over_stream):
    return response(q, record("www.example.", "A", "192.0.2.1")) if over_stream else None


async def served(server):
    return await Says(zone).start(server, 853, Tls(server, server=server_context()))


@pytest.mark.parametrize("said", ["tls://10.0.0.2", "tls://10.0.0.2#server.example", "tls://10.0.0.2:853#server.example"])
def test_questions_go_over_one_stream_and_tell_little_by_their_length(on, said):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            says = await served(server)
            lengths = []
            seen = says._say
            says._say = lambda data, over_stream: (lengths.append(len(data)), seen(data, over_stream))[1]
            async with Resolver(client, client, [said], tls=client_context()) as resolver:
                names = ["www.example", "a.rather.long.name.example", "x.example"]
                asked = [lambda name=name: resolver.resolve(name) for name in names[:1]]
                assert (await on.together(*asked))[0].addresses == ["192.0.2.1"]
                for name in names[1:]:
                    with pytest.raises(Exception, match=r"example\. has no A records"):
                        await resolver.resolve(name)
            assert says.streams == 1 and set(lengths) == {128}
            assert all(over_stream for _, _, over_stream in says.asked)
            await says.aclose()

    on.run(test)


def test_a_server_that_shows_another_name_gets_no_question(on):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            says = await served(server)
            async with Resolver(client, client, ["tls://10.0.0.2#other.example"], tls=client_context()) as resolver:
                with pytest.raises(ServerFailure, match="certificate"):
                    await resolver.resolve("www.example")
            async with Resolver(client, client, ["tls://10.0.0.2"], tls=client_context(trust="theirs")) as resolver:
                with pytest.raises(ServerFailure, match="certificate"):
                    await resolver.resolve("www.example")
            assert says.asked == []
            await says.aclose()

    on.run(test)
