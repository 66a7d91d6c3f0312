"""The same program on the kernel's sockets, on two of our stacks with a wire between them, and on one: one argument differs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

import netstack
from netstack.http.serve.files import StaticFiles
from netstack.http.serve.server import HttpServer
from netstack.instant import SECOND
from netstack.testing.wire import Wire

Where = Callable[[], AbstractAsyncContextManager[tuple[Any, Any, str]]]


@contextlib.asynccontextmanager
async def the_kernel() -> AsyncIterator[tuple[Any, Any, str]]:
    async with netstack.open("posix:?address=127.0.0.1") as net:
        yield net, net, "127.0.0.1"


@contextlib.asynccontextmanager
async def a_wire() -> AsyncIterator[tuple[Any, Any, str]]:
    wire = Wire()
    async with (
        netstack.open(wire.port("client"), addresses=["10.0.0.1/24"]) as client,
        netstack.open(wire.port("server"), addresses=["10.0.0.2/24"]) as server,
    ):
        yield client, server, "10.0.0.2"


@contextlib.asynccontextmanager
async def one_stack() -> AsyncIterator[tuple[Any, Any, str]]:
    async with netstack.open(Wire().port("alone"), addresses=["10.0.0.1/24"]) as net:
        yield net, net, "127.0.0.1"


async def fetch(net: Any, host: str, port: int, path: str) -> tuple[str, bytes]:
    """A client of its own: a request, and the response to its end."""
    stream = await net.connect_stream(host, port)
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    await stream.send_eof()
    got = bytearray()
    async for segment in stream:
        got += segment
    await stream.aclose()
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    return head.decode().splitlines()[0], body


@pytest.mark.parametrize("where", [the_kernel, a_wire, one_stack], ids=lambda where: where.__name__)
def test_a_file_server_and_its_clients_run_wherever_they_are_put(where: Where, tmp_path: Path) -> None:
    big = os.urandom(1 << 20)
    (tmp_path / "big").write_bytes(big)
    (tmp_path / "small.txt").write_text("small\n")

    async def program() -> None:
        async with where() as (client, net, host):
            server = HttpServer(
                net,
                StaticFiles(tmp_path),
                clock=time.monotonic_ns,
                wall=lambda: int(time.time()),
                sleep=lambda duration: asyncio.sleep(duration / SECOND),
            )
            _, port = await server.listen(0)
            answers = await asyncio.gather(*(fetch(client, host, port, path) for path in ["/small.txt", "/big", "/no"] * 5))
            await server.aclose()
        for i in range(0, 15, 3):
            assert answers[i] == ("HTTP/1.1 200 OK", b"small\n")
            assert answers[i + 1][0] == "HTTP/1.1 200 OK"
            assert hashlib.sha256(answers[i + 1][1]).digest() == hashlib.sha256(big).digest()
            assert answers[i + 2][0] == "HTTP/1.1 404 Not Found"
        assert server.mib.Requests == 15

    asyncio.run(program())


@pytest.mark.parametrize("where", [the_kernel, a_wire, one_stack], ids=lambda where: where.__name__)
def test_asyncios_own_functions_are_the_same_program_too(where: Where) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(line[::-1])
            await writer.drain()
        writer.close()

    async def program() -> list[bytes]:
        async with where() as (client, net, host):
            server = await net.start_server(serve, port=0)
            _, port = server.sockets[0].getsockname()
            reader, writer = await client.open_connection(host, port)
            writer.writelines([b"abc\n", b"def\n"])
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            return [answer]

    assert asyncio.run(program()) == [b"\ncba\nfed"]


# -- the command ---------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def command(*words: str) -> Any:
    """`netstack words…` in a process; the line that it prints when it serves."""
    root = Path(netstack.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root}/backends", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, "-m", "netstack", *words], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    """One that nobody has, and that nobody is given by chance: below those that the kernel chooses from."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port


def test_the_command_serves_files_on_the_kernels_sockets(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello\n")
    port = free_port()
    words = ["serve", "--net", "posix", "--address", "127.0.0.1/8", "--port", str(port), "--root", str(tmp_path)]
    with command(*words) as line:
        assert re.search(rf"at http://127\.0\.0\.1:{port}/ \(127\.0\.0\.1/32 on the kernel's sockets\)", line)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
            answer = b""
            while data := client.recv(65536):
                answer += data
    assert answer.endswith(b"\r\n\r\nhello\n")


def test_small_servers_echo_on_tcp_and_udp_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from netstack.cli import smallservers

    for name in ("ECHO", "DISCARD", "CHARGEN"):
        monkeypatch.setattr(smallservers, name, free_port())

    async def program() -> None:
        async with netstack.open("posix:?address=127.0.0.1") as net, smallservers.small_servers(net):
            stream = await net.connect_stream("127.0.0.1", smallservers.ECHO)
            await stream.send_all(b"hello")
            assert await stream.receive() == b"hello"
            await stream.aclose()
            stream = await net.connect_stream("127.0.0.1", smallservers.CHARGEN)
            assert (await stream.receive(10)) == b" !\"#$%&'()"
            stream.abort()
            port: Any = await net.bind_datagrams(remote=("127.0.0.1", smallservers.ECHO))
            await port.send(b"hello")
            assert (await port.receive())[0] == b"hello"
            await asyncio.sleep(0)

    asyncio.run(program())


def test_ping_says_that_it_needs_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    from netstack.cli import main

    assert main(["ping", "127.0.0.1", "--net", "posix:"]) == 2
    assert "have no ping: name a device" in capsys.readouterr().err
