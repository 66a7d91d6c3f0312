"""redis-py's asyncio client, against a small server of RESP that stands here."""

import asyncio
import contextlib

from tests.compat.harness import NATIVE, authority, cells, program, server_tls

program("redis")
import redis.asyncio as redis  # noqa: E402


class Store:
    """The few commands that the test says, in the protocol's words (RESP2)."""

    def __init__(self):
        self.values = {}
        self.subscribers = {}
        self.tasks = set()

    async def attend(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            while words := await self.command(reader):
                writer.write(self.answer(words, writer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def command(self, reader):
        line = await reader.readline()
        if not line:
            return None
        words = []
        for _ in range(int(line[1:])):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2])
        return words

    def answer(self, words, writer):
        verb, *rest = words
        match verb.upper():
            case b"PING":
                return b"+PONG\r\n"
            case b"CLIENT" | b"SELECT":
                return b"+OK\r\n"
            case b"SET":
                self.values[rest[0]] = rest[1]
                return b"+OK\r\n"
            case b"GET":
                return bulk(self.values.get(rest[0]))
            case b"INCRBY":  # what incr() sends
                self.values[rest[0]] = b"%d" % (int(self.values.get(rest[0], b"0")) + 1)
                return b":" + self.values[rest[0]] + b"\r\n"
            case b"SUBSCRIBE":
                self.subscribers[rest[0]] = writer
                return b"*3\r\n" + bulk(b"subscribe") + bulk(rest[0]) + b":1\r\n"
            case b"UNSUBSCRIBE":
                return b"*3\r\n" + bulk(b"unsubscribe") + bulk(rest[0] if rest else None) + b":0\r\n"
            case b"PUBLISH":
                self.subscribers[rest[0]].write(b"*3\r\n" + bulk(b"message") + bulk(rest[0]) + bulk(rest[1]))
                return b":1\r\n"
        return b"-ERR unknown command\r\n"


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


@contextlib.asynccontextmanager
async def serve(host, **options):
    store = Store()
    server = await asyncio.start_server(store.attend, host, 0, **options)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*store.tasks)


async def ask(host, port, **options):
    async with redis.Redis(host=host, port=port, protocol=2, socket_keepalive=True, **options) as client:
        assert await client.ping()
        value = bytes(range(256)) * 1000
        await client.set("key", value)
        assert await client.get("key") == value
        assert await client.get("nothing") is None
        async with client.pipeline(transaction=False) as pipe:
            for _ in range(100):
                pipe.incr("count")
            assert (await pipe.execute())[-1] == 100
        assert sorted(await asyncio.gather(*(client.incr("count") for _ in range(10)))) == list(range(101, 111))
        async with client.pubsub() as channel:
            await channel.subscribe("news")
            assert (await channel.get_message(timeout=5))["type"] == "subscribe"
            await client.publish("news", b"hello")
            assert (await channel.get_message(timeout=5))["data"] == b"hello"


@cells("redis", "commands", "commands, a pipeline, a pool of connections, publish and subscribe", way=NATIVE, taps=("client",))
def test_commands(where):
    where.run(serve, ask)


@cells("redis", "tls", "the same over TLS", way=NATIVE)
def test_tls(where, tmp_path):
    trusted = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(trusted)
    where.run(
        lambda host: serve(host, ssl=server_tls()),
        lambda host, port: ask(host, port, ssl=True, ssl_ca_certs=str(trusted)),
    )
