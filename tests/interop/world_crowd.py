"""Many at once: `world_crowd.py WORLD DOWNLOADS PORTS`, in a guest: so many downloads in parallel, and then so many ports that ask
and are answered, each of which is asked again when all of them have been."""

import asyncio
import hashlib
import resource
import select
import socket
import sys
import time

WORLD, DOWNLOADS, PORTS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


async def download(n: int) -> bool:
    reader, writer = await asyncio.open_connection(WORLD, 8020)
    writer.write(b"%d\n" % n)
    got = await reader.read(-1)
    writer.close()
    return len(got) > 10_000 and hashlib.sha256(got[:-32]).digest() == got[-32:]


async def downloads() -> int:
    return sum(await asyncio.gather(*(download(n) for n in range(DOWNLOADS))))


def ask_all(socks: list[socket.socket]) -> int:
    """How many were answered with what they asked. Who is too quick for a buffer on the way asks again, as names are asked."""
    waiting = {sock.fileno(): (n, sock) for n, sock in enumerate(socks)}
    epoll = select.epoll()
    for fd in waiting:
        epoll.register(fd, select.EPOLLIN)

    def take(patience: float) -> None:
        for fd, _ in epoll.poll(patience, 4096):
            n, sock = waiting.pop(fd)
            epoll.unregister(fd)
            if sock.recv(100) != b"%d" % n:
                raise AssertionError(f"{n} was answered with another's answer")

    for _ in range(5):
        for count, (n, sock) in enumerate(list(waiting.values())):
            sock.send(b"%d" % n)
            if count % 100 == 99:
                take(0.02)
        end = time.monotonic() + 1
        while waiting and time.monotonic() < end:
            take(0.1)
    return len(socks) - len(waiting)


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
print(asyncio.run(downloads()), "downloads")
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PORTS)]
for each in socks:
    each.connect((WORLD, 8002))
    each.setblocking(False)
print(ask_all(socks), ask_all(socks), "answers", flush=True)
sys.stdin.read()  # the ports are there until somebody has looked at them
