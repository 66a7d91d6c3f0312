"""Streams in bulk against the kernel over a tap, with offload and without: every way to read and to send, byte for byte."""

from __future__ import annotations

import pytest
from lab import KERNEL, STACK, laboratory

pytestmark = pytest.mark.needs_tap

BULK = """
import asyncio, hashlib, socket, sys, tempfile, threading
import netstack

STACK, KERNEL, SPEC, SIZE = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
DATA = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(SIZE // 32))

def hashed(parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()

WANTED = hashed([DATA])

def kernel_client(port):
    "Sends DATA, and hashes what comes back."
    with socket.create_connection((STACK, port), timeout=30) as s:
        sending = threading.Thread(target=lambda: (s.sendall(DATA), s.shutdown(socket.SHUT_WR)))
        sending.start()
        digest = hashed(iter(lambda: s.recv(100_000), b""))
        sending.join()
        return digest

def kernel_echo(listener):
    with listener, listener.accept()[0] as s:
        s.settimeout(30)
        while data := s.recv(100_000):
            s.sendall(data)

async def own_bytes(stream):
    while data := await stream.receive():
        await stream.send_all(data)

async def own_views(stream):
    async for segment in stream:
        await stream.send_all(segment)

async def own_into(stream):
    room = bytearray(100_000)
    while n := await stream.receive_into(room):
        await stream.send_all([memoryview(room)[: n // 2], memoryview(room)[n // 2 : n]])

async def own_file(stream):
    with tempfile.TemporaryFile() as file:
        async for segment in stream:
            file.write(segment)
        file.flush()
        assert await stream.send_file(file) == len(DATA)

async def shaped(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def main():
    async with netstack.open(SPEC, addresses=[STACK + "/24"]) as net:
        handlers = (own_bytes, own_views, own_into, own_file)
        for port, handler in enumerate(handlers, 7000):
            await net.serve_streams(handler, port)
        await net.start_server(shaped, port=7100)
        for port in (*range(7000, 7000 + len(handlers)), 7100):
            assert await asyncio.to_thread(kernel_client, port) == WANTED, port

        counts = []

        async def splice(stream):
            counts.append(await netstack.splice(stream, await net.connect_stream(KERNEL, 7300)))

        await net.serve_streams(splice, 7200)
        echo = threading.Thread(target=kernel_echo, args=[socket.create_server((KERNEL, 7300))])
        echo.start()
        assert await asyncio.to_thread(kernel_client, 7200) == WANTED
        echo.join()
        while not counts:
            await asyncio.sleep(0.01)
        assert counts == [(len(DATA), len(DATA))]
        await asyncio.sleep(0.1)
        assert net.stack.tcp.hub.held == 0
    print("all the same")

asyncio.run(main())
"""


@pytest.mark.parametrize(("spec", "size"), [("tap:tap0?offload=1", 64 << 20), ("tap:tap0", 16 << 20)])
def test_every_byte_of_every_kind_of_stream_is_the_kernels(spec: str, size: int) -> None:
    with laboratory() as lab:
        assert lab.python(BULK, STACK, KERNEL, spec, str(size)).strip() == "all the same"
