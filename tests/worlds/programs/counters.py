"""Counters in redis, through redis-py; and enough of a redis to count in: strings and sets, with an append-only file, as it has."""

import asyncio
import contextlib
import random

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError


class Store:
    """What RESP2 says, and what was written is on the disk before it is confirmed (`appendfsync always`)."""

    def __init__(self, appendonly):
        self.strings = {}
        self.sets = {}
        self.appendonly = appendonly
        if appendonly.exists():
            for line in appendonly.read_bytes().splitlines():
                self.execute(line.split(b" "))

    async def attend(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while command := await self.command(reader):
                writer.write(self.answer(command))
                await writer.drain()
        writer.close()

    async def command(self, reader):
        line = await reader.readline()
        if not line:
            return None
        words = []
        for _ in range(int(line[1:])):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2])
        return words

    def answer(self, words):
        if words[0].upper() in (b"SET", b"SADD"):
            with self.appendonly.open("ab") as file:
                file.write(b" ".join(words) + b"\n")
        return self.execute(words)

    def execute(self, words):
        verb, *rest = words
        match verb.upper():
            case b"PING":
                return b"+PONG\r\n"
            case b"CLIENT" | b"SELECT":
                return b"+OK\r\n"
            case b"SET":
                self.strings[rest[0]] = rest[1]
                return b"+OK\r\n"
            case b"GET":
                value = self.strings.get(rest[0])
                return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
            case b"SADD":
                members = self.sets.setdefault(rest[0], set())
                new = set(rest[1:]) - members
                members |= new
                return b":%d\r\n" % len(new)
            case b"SCARD":
                return b":%d\r\n" % len(self.sets.get(rest[0], ()))
        return b"-ERR unknown command\r\n"


async def serve(appendonly, port=6379):
    server = await asyncio.start_server(Store(appendonly).attend, port=port)
    async with server:
        await server.serve_forever()


def client(host):
    return redis.Redis(
        host=host,
        protocol=2,
        socket_timeout=5,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.5, cap=8), retries=25),
        retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError],
    )


async def visits(host, page, visitors):
    """Count who has been here, each once however often he comes: sets, so that a command may be sent again."""
    async with client(host) as store:
        for n in range(visitors):
            await store.sadd(f"visitors:{page}", f"visitor-{n}")
            await store.set(f"latest:{page}", f"visitor-{n}")
            await asyncio.sleep(random.uniform(0.5, 3))
        return await store.scard(f"visitors:{page}"), (await store.get(f"latest:{page}")).decode()
