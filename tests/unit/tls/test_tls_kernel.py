"""TLS over the kernel's sockets, on loopback: peers are the standard library's blocking ssl in a thread, and the openssl command,
which can do what the library has no call for: change keys, renegotiate."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from netstack_sockets import KernelNet
from tls_world import HOST, VERSIONS, certificate, client_context, server_context

from netstack.errors import BrokenError
from netstack.instant import SECOND, Duration
from netstack.tls import Tls, TruncatedError
from netstack.tls.engine import Engine

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(65536))  # 2 MiB
versions = pytest.mark.parametrize("version", VERSIONS)
LONG = Duration(10 * SECOND)


def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    return asyncio.get_running_loop().run_in_executor(None, work, *args)


def run(test: Callable[[Any], Any]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), KernelNet() as net:
            await test(net)

    asyncio.run(main())


async def echo(stream: Any) -> None:
    async for piece in stream:
        await stream.send_all(piece)


@contextlib.contextmanager
def dialled(port: int, version: str | None = None) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as sock,
        client_context(version).wrap_socket(sock, server_hostname=HOST) as secure,
    ):
        yield secure


@versions
def test_a_blocking_client_gets_back_all_that_it_says(version: str) -> None:
    def client(port: int) -> bytes:
        with dialled(port, version) as sock:
            sending = threading.Thread(target=sock.sendall, args=(BIG,))
            sending.start()
            got = bytearray()
            while len(got) < len(BIG):
                got += sock.recv(100_000)
            sending.join()
            sock.unwrap().close()
            return bytes(got)

    async def test(net: Any) -> None:
        secure = Tls(net, server_context(version))
        listener = await secure.serve_streams(echo, 0, "127.0.0.1")
        assert await in_thread(client, listener.address[1]) == BIG
        assert secure.mib.Truncated == secure.mib.Broken == 0

    run(test)


@versions
def test_a_blocking_server_hears_all_and_answers_behind_our_end(version: str) -> None:
    def serve(listener: socket.socket) -> str:
        with listener.accept()[0] as sock:
            sock.settimeout(10)
            with server_context(version).wrap_socket(sock, server_side=True) as secure:
                digest = hashlib.sha256()
                while data := secure.recv(100_000):
                    digest.update(data)
                secure.sendall(BIG)  # behind close_notify and the end of his side
                with contextlib.suppress(OSError):
                    secure.unwrap()
                return digest.hexdigest()

    async def test(net: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = in_thread(serve, listener)
            stream = await Tls(net, client_context(version)).connect_stream("127.0.0.1", listener.getsockname()[1])
            await stream.send_all(BIG)
            await stream.send_eof()
            got = bytearray()
            async for piece in stream:
                got += piece
            assert got == BIG
            await stream.aclose()
            assert await serving == hashlib.sha256(BIG).hexdigest()

    run(test)


@versions
def test_a_client_that_talks_and_leaves_is_heard_to_the_end(version: str) -> None:
    """With TLS 1.3 a server's tickets would meet a closed socket, and its reset would destroy what isn't read yet."""

    def client(port: int) -> None:
        with dialled(port, version) as sock:
            sock.sendall(BIG[:100_000])
            with contextlib.suppress(OSError):
                sock.settimeout(0.01)
                sock.unwrap()

    heard = bytearray()

    async def test(net: Any) -> None:
        done = asyncio.Event()

        async def listen(stream: Any) -> None:
            await asyncio.sleep(0.05)  # the client has gone
            async for piece in stream:
                heard.extend(piece)
            done.set()

        listener = await Tls(net, server_context(version)).serve_streams(listen, 0, "127.0.0.1")
        await in_thread(client, listener.address[1])
        await done.wait()

    run(test)
    assert heard == BIG[:100_000]


@versions
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_is_cut_off_is_noticed(version: str, reset: bool) -> None:
    def client(port: int) -> None:
        with dialled(port, version) as sock:
            sock.sendall(b"hello")
            sock.recv(1)
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def test(net: Any) -> None:
        ended = asyncio.get_running_loop().create_future()

        async def listen(stream: Any) -> None:
            assert await stream.receive() == b"hello"
            await stream.send_all(b"!")
            try:
                await stream.receive()
            except BrokenError as error:
                ended.set_result(error)

        listener = await Tls(net, server_context(version)).serve_streams(listen, 0, "127.0.0.1")
        await in_thread(client, listener.address[1])
        assert isinstance(await ended, TruncatedError) is not reset

    run(test)


# -- what only the openssl command does --------------------------------------------------------------------------------------------


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "server.pem"
    certificate(HOST).private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


class Openssl:
    """The command, talked to by its standard input and output."""

    def __init__(self, *words: str) -> None:
        self.words = words

    async def __aenter__(self) -> Openssl:
        self.process = await asyncio.create_subprocess_exec(
            "openssl", *self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return self

    async def __aexit__(self, *exc: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.communicate()

    async def say(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words.encode() + b"\n")
        await self.process.stdin.drain()

    async def until(self, words: str) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.readuntil(words.encode())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("order", ["k", "K"], ids=["new keys", "new keys, and yours too"])
def test_a_client_changes_its_keys_while_it_talks(order: str) -> None:
    async def test(net: Any) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen(stream: Any) -> None:
            buffer = b""
            async for piece in stream:
                buffer += piece
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    await heard.put(line)
                    await stream.send_all(b"<" + line + b">\n")

        secure = Tls(net, server_context("1.3"))
        listener = await secure.serve_streams(listen, 0, "127.0.0.1")
        async with Openssl("s_client", "-connect", f"127.0.0.1:{listener.address[1]}", "-tls1_3") as client:
            for i in range(3):
                await client.say(f"line {i}")
                assert await heard.get() == b"line %d" % i
                await client.until(f"<line {i}>")
                await client.say(order)
                await client.until("KEYUPDATE")
        assert secure.mib.Broken == 0

    run(test)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("version", "order", "flag"), [("1.3", "K", "-tls1_3"), ("1.2", "r", "-tls1_2")])
@pytest.mark.parametrize("receives", [True, False], ids=["receiving", "sending alone"])
def test_a_server_changes_keys_or_renegotiates_while_we_talk(
    version: str, order: str, flag: str, receives: bool, pem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a renegotiation a write has to read first."""
    waited: list[bool] = []
    write = Engine.write

    def watched(engine: Engine, data: memoryview) -> int | None:
        n = write(engine, data)
        if n is None:
            waited.append(True)
        return n

    monkeypatch.setattr(Engine, "write", watched)

    async def test(net: Any) -> None:
        port = free_port()
        async with Openssl("s_server", "-accept", f"127.0.0.1:{port}", "-cert", pem, flag) as server:
            await server.until("ACCEPT")
            stream = await Tls(net, client_context(version)).connect_stream("127.0.0.1", port, server_hostname=HOST)
            if version == "1.2":
                await server.until("Secure Renegotiation IS supported")
            else:
                await server.until("CIPHER is")
            got = bytearray()

            async def receive() -> None:
                while True:
                    got.extend(await stream.receive())

            receiving = asyncio.ensure_future(receive()) if receives else None
            for i in range(3):
                await stream.send_all(b"before %d\n" % i, LONG)
                await server.until(f"before {i}")
                await server.say(order)
                waited.clear()
                while version == "1.2" and receives and not waited:  # until we have met the middle of a handshake
                    await stream.send_all(b".", LONG)
                    await asyncio.sleep(0)
                await stream.send_all(b"after %d\n" % i, LONG)
                await server.until(f"after {i}")
            await server.say("to you")
            if receiving is not None:
                while not got.endswith(b"to you\n"):
                    await asyncio.sleep(0.001)
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)
            else:
                assert await stream.receive(timeout=LONG) == b"to you\n"
            await stream.aclose()

    run(test)
