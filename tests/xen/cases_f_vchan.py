"""Our vchans and those of Xen's own libxenvchan, each as server and as client of the other; and what the kernel does for who dies.

All of it in domain 0, which shares with itself. libxenvchan is called as it is, by ctypes, and blocks: in a thread.
"""

import asyncio
import ctypes
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time

from netstack_xen.libxen import LibXen
from netstack_xen.vchan import Vchan, VchanStream, paths

from netstack.errors import BrokenError, Refused
from netstack.http import HttpServer, Request, Response
from netstack.signatures import Stream

from .harness import Bench, case, until

LIBRARY = "libxenvchan.so.4.17"
PORT = 4000
BLOCKING = 4  # of the bits behind event_port: is_server, server_persist, blocking


class Theirs:
    """A channel of libxenvchan's, whose calls wait."""

    def __init__(self, path: str, *sizes: int) -> None:
        """A server of rings of two sizes, or a client."""
        library = self._library = ctypes.CDLL(LIBRARY)
        for name in ("libxenvchan_server_init", "libxenvchan_client_init"):
            getattr(library, name).restype = ctypes.c_void_p
        where = path.encode()
        if sizes:
            made = library.libxenvchan_server_init(None, 0, where, *map(ctypes.c_size_t, sizes))
        else:
            made = library.libxenvchan_client_init(None, 0, where)
        assert made, f"libxenvchan takes nothing at {path}"
        self._channel = ctypes.c_void_p(made)
        bits = ctypes.c_uint32.from_address(made + 28)  # struct libxenvchan: three pointers, and event_port
        bits.value = bits.value & 3 | BLOCKING

    def write(self, data: bytes) -> int:
        return int(self._library.libxenvchan_write(self._channel, data, ctypes.c_size_t(len(data))))

    def read(self, most: int = 65536) -> "bytes | None":
        """None when it is over."""
        room = ctypes.create_string_buffer(most)
        n = int(self._library.libxenvchan_read(self._channel, room, ctypes.c_size_t(most)))
        return None if n < 0 else room.raw[:n]

    def echo(self) -> None:
        while (data := self.read(5000)) is not None:
            if self.write(data) < 0:
                break

    def close(self) -> None:
        self._library.libxenvchan_close(self._channel)


def path_of(name: str) -> str:
    return f"/local/domain/0/data/foreign/{name}"


async def echo(stream: Stream) -> None:
    while data := await stream.receive():
        await stream.send_all(data)


def pattern(n: int) -> bytes:
    return b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(n // 32))


async def there_and_back(stream: VchanStream, data: bytes) -> None:
    got = bytearray()

    async def read() -> None:
        while len(got) < len(data):
            piece = await stream.receive()
            assert piece, f"it ended after {len(got)} of {len(data)} bytes"
            got.extend(piece)

    await asyncio.gather(stream.send_all(data), read())
    assert got == data


@case
def our_client_and_a_server_of_libxenvchan(bench: Bench) -> None:
    async def main() -> None:
        for sizes in ((1024, 2048), (4096, 4096), (2048, 1 << 20)):
            path = path_of("server")
            theirs = Theirs(path, *sizes)
            async with Vchan(LibXen()) as net:
                stream = await net.connect_path(0, path)
                assert not stream.peer_knows_ends
                work = asyncio.create_task(asyncio.to_thread(theirs.echo))
                await there_and_back(stream, pattern(32_000))
                await stream.aclose()
                await work
            theirs.close()
            theirs = Theirs(path, *sizes)
            async with Vchan(LibXen()) as net:
                stream = await net.connect_path(0, path)
                assert theirs.write(b"last words") == 10
                theirs.close()
                assert await stream.receive() == b"last words"
                assert await stream.receive() == b""
                try:
                    await net.connect_path(0, path)
                except Refused:
                    pass
                else:
                    raise AssertionError("there is nobody")

    asyncio.run(main())


@case
def a_stack_finds_a_server_of_libxenvchan_at_a_port(bench: Bench) -> None:
    async def main() -> None:
        theirs = Theirs(paths.shop(0, PORT), 4096, 4096)
        async with Vchan(LibXen()) as net:
            stream = await net.connect_stream("0", PORT)
            work = asyncio.create_task(asyncio.to_thread(theirs.echo))
            await there_and_back(stream, b"hello" * 1000)
            await stream.aclose()
            await work
        theirs.close()

    asyncio.run(main())


@case
def our_server_and_clients_of_libxenvchan(bench: Bench) -> None:
    """One after another, at the path where one is always offered; and our own clients beside them."""
    path = paths.shelf(0, PORT + 1, 0)

    def visit() -> str:
        theirs = Theirs(path)
        data = pattern(8_000)
        got = b""
        for i in range(0, len(data), 2000):
            assert theirs.write(data[i : i + 2000]) == 2000
            piece = b""
            while len(piece) < 2000:
                more = theirs.read(2000 - len(piece))
                assert more is not None
                piece += more
            got += piece
        theirs.close()
        return hashlib.sha256(got).hexdigest() if got == data else ""

    async def main() -> None:
        for buffer in (1024, 16384):
            async with Vchan(LibXen(), buffer=buffer, offers=[0]) as net:
                await net.serve_streams(echo, PORT + 1)
                for _ in range(2):
                    bench_until = time.monotonic() + 10
                    while bench.tools.store.read(f"{path}/ring-ref") is None and time.monotonic() < bench_until:
                        await asyncio.sleep(0.02)
                    assert await asyncio.to_thread(visit)
                    ours = await net.connect_stream("0", PORT + 1)
                    assert ours.peer_knows_ends
                    await there_and_back(ours, pattern(32_000))
                    await ours.aclose()
            assert bench.tools.store.read(paths.shop(0, PORT + 1)) is None

    asyncio.run(main())


@case
def a_reset_gives_a_client_of_libxenvchan_nothing_more(bench: Bench) -> None:
    async def main() -> None:
        async def torn(stream: Stream) -> None:
            await stream.receive()
            await stream.send_all(b"never to be read")
            stream.abort()

        path = paths.shelf(0, PORT + 2, 0)
        async with Vchan(LibXen(), offers=[0]) as net:
            await net.serve_streams(torn, PORT + 2)
            await asyncio.sleep(0.1)
            theirs = Theirs(path)
            assert theirs.write(b"x") == 1
            await asyncio.sleep(0.3)
            assert await asyncio.to_thread(theirs.read) is None
            theirs.close()

    asyncio.run(main())


SERVER = """
import asyncio, sys
from netstack_xen.libxen import LibXen
from netstack_xen.vchan import Vchan
async def main():
    async def handler(stream):
        await stream.send_all(b"some of it")
        print("connected", flush=True)
        await asyncio.sleep(1000)
    async with Vchan(LibXen()) as net:
        await net.serve_streams(handler, int(sys.argv[1]))
        print("listening", flush=True)
        await asyncio.sleep(1000)
asyncio.run(main())
"""


@case
def a_server_that_is_killed_is_a_loss_and_not_an_end(bench: Bench) -> None:
    """The kernel writes its farewell; the next server takes over what it left in the store."""

    async def main() -> None:
        for _ in range(2):
            process = subprocess.Popen([sys.executable, "-c", SERVER, str(PORT + 3)], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            async with Vchan(LibXen()) as net:
                stream = await net.connect_stream("0", PORT + 3)
                assert await asyncio.to_thread(process.stdout.readline) == "connected\n"
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                assert await stream.receive() == b"some of it"
                try:
                    await stream.receive()
                except BrokenError:
                    pass
                else:
                    raise AssertionError("it passed for an end")
            process.stdout.close()

    asyncio.run(main())


@case
def many_streams_at_once_over_real_pages(bench: Bench) -> None:
    async def main() -> None:
        async with Vchan(LibXen()) as server, Vchan(LibXen()) as client:
            await server.serve_streams(echo, PORT + 4)

            async def talk(i: int) -> None:
                stream = await client.connect_stream("0", PORT + 4)
                await there_and_back(stream, pattern(16_000) + i.to_bytes(2, "big"))
                await stream.aclose()

            for _ in range(2):
                await asyncio.gather(*(talk(i) for i in range(10)))
            assert server.mib.PassiveOpens == 20
            assert server.mib.OffersExpired == server.mib.InErrors == 0

    asyncio.run(main())
    assert not bench.tools.store.list(f"/local/domain/0/data/vchan/calls/0/{PORT + 4}"), "calls were left behind"


@case
def a_web_browser_behind_vchan_socket_proxy(bench: Bench) -> None:
    """Xen's own program carries a unix socket to our HTTP server."""
    path = paths.shelf(0, PORT + 5, 0)

    async def hello(request: Request) -> Response:
        return Response.text(f"{request.remote_address[0]} asks for {request.path}\n")

    async def main() -> None:
        async with Vchan(LibXen(), offers=[0]) as net:
            server = HttpServer(net, hello)
            await server.listen(PORT + 5)
            await asyncio.to_thread(until, lambda: bench.tools.store.read(f"{path}/ring-ref"), "an offer")
            proxy = subprocess.Popen(["vchan-socket-proxy", "--mode=client", "0", path, "/run/proxy"])
            try:
                await asyncio.to_thread(until, lambda: os.path.exists("/run/proxy"), "the proxy listens")

                def fetch() -> bytes:
                    with socket.socket(socket.AF_UNIX) as conn:
                        conn.settimeout(10)
                        conn.connect("/run/proxy")
                        conn.sendall(b"GET /through HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        got = b""
                        while piece := conn.recv(65536):
                            got += piece
                        return got

                got = await asyncio.to_thread(fetch)
                assert got.startswith(b"HTTP/1.1 200") and got.endswith(b"0 asks for /through\n"), got
            finally:
                proxy.kill()
                proxy.wait()
            await server.aclose()

    asyncio.run(main())
