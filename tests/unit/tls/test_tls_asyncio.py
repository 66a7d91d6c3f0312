"""asyncio's own `ssl=` on transports of ours: what programs know of TLS on asyncio holds here too."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tls_world import HOST, VERSIONS, client_context, server_context

import netstack
from netstack.errors import UsageError
from netstack.testing.wire import Wire

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(65536))  # 2 MiB


@contextlib.asynccontextmanager
async def two_nets(**faults: Any) -> AsyncIterator[tuple[Any, Any]]:
    wire = Wire(**faults)
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        yield a, b


def run(test: Callable[[], Awaitable[None]], loop: Callable[[], asyncio.AbstractEventLoop] = netstack.new_event_loop) -> None:
    """Nothing is reported to the loop's exception handler, and nothing is left behind."""
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with asyncio.timeout(20):
            await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())
    gc.collect()
    assert not reported, reported[0].get("exception")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def uvloop_loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


@pytest.mark.parametrize(
    "loop", [asyncio.SelectorEventLoop, netstack.new_event_loop, uvloop_loop], ids=["asyncio", "ours", "uvloop"]
)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_streams_carry_megabytes_both_ways_at_once(version: str, loop: Any, loss: float) -> None:
    async def test() -> None:
        async with two_nets(loss=loss, seed=3) as (a, b):
            await b.start_server(echo, port=7, ssl=server_context(version))
            reader, writer = await a.open_connection("10.0.0.2", 7, ssl=client_context(version))
            assert writer.get_extra_info("ssl_object").version() == f"TLSv{version}"

            async def send() -> None:
                for i in range(0, len(BIG), 50_000):
                    writer.write(BIG[i : i + 50_000])
                    await writer.drain()

            _, received = await asyncio.gather(send(), reader.readexactly(len(BIG)))
            assert received == BIG
            writer.close()
            await writer.wait_closed()

    run(test, loop)


class Buffered(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.buffer = bytearray(1000)
        self.data = bytearray()
        self.ended = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.buffer)  # SSLProtocol fills slices of it: one of a bytearray would be a copy

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def eof_received(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_buffered_protocol_gets_its_bytes_in_its_own_buffer(version: str, at_once: bool) -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            made: list[Buffered] = []

            def make() -> Buffered:
                made.append(Buffered())
                return made[-1]

            await b.create_server(make, port=5, ssl=server_context(version))
            _, writer = await a.open_connection("10.0.0.2", 5, ssl=client_context(version), server_hostname=HOST)
            writer.write(BIG[:100_000])
            if at_once:  # nothing is between the last byte and the peer's end
                (below,) = a.clients.alive
                writer.transport._ssl_protocol._sslobj.write(b"!")
                below.pause_reading()
                writer.close()
                below.write(writer.transport._ssl_protocol._outgoing.read())
                below.write_eof()
            writer.close()
            while not made:
                await asyncio.sleep(0)
            await made[0].ended
            assert bytes(made[0].data) == BIG[:100_000] + (b"!" if at_once else b"")

    run(test)


def test_a_program_is_told_all_that_asyncio_tells() -> None:
    async def test() -> None:
        client, server = client_context(own="me.example"), server_context(ask=True)
        for context in (client, server):
            context.set_alpn_protocols(["h2", "http/1.1"])
        names: list[str] = []
        server.sni_callback = lambda sslobj, name, context: names.append(name)
        seen: dict[str, Any] = {}

        async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen["peercert"] = writer.get_extra_info("peercert")
            seen["alpn"] = writer.get_extra_info("ssl_object").selected_alpn_protocol()
            await echo(reader, writer)

        async with two_nets() as (a, b):
            await b.start_server(look, port=7, ssl=server)
            reader, writer = await a.open_connection("10.0.0.2", 7, ssl=client, server_hostname=HOST)
            info = writer.get_extra_info
            assert info("sslcontext") is client
            assert info("cipher")[1] == "TLSv1.3"
            assert info("compression") is None
            assert ("DNS", HOST) in info("peercert")["subjectAltName"]
            assert info("peername") == ("10.0.0.2", 7)
            assert info("socket").getpeername() == ("10.0.0.2", 7)
            assert isinstance(writer.transport, asyncio.Transport)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert names == [HOST]
            assert seen["alpn"] == "h2"
            assert ("DNS", "me.example") in seen["peercert"]["subjectAltName"]
            writer.close()
            await writer.wait_closed()

    run(test)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("client", "server", "name", "words"),
    [
        ({"trust": "theirs"}, {}, HOST, "self-signed|unable to get local issuer"),
        ({}, {"expired": True}, HOST, "expired"),
        ({}, {}, "other.example", "other.example"),
    ],
    ids=["stranger", "expired", "wrong name"],
)
def test_a_bad_certificate_is_refused_and_leaves_no_connection(
    version: str, client: dict[str, Any], server: dict[str, Any], name: str, words: str
) -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            await b.start_server(echo, port=7, ssl=server_context(version, **server))
            with pytest.raises(ssl.SSLCertVerificationError, match=words):
                await a.open_connection("10.0.0.2", 7, ssl=client_context(version, **client), server_hostname=name)
            while b.connections() and b.connections()[0]["state"] != "LISTEN":
                await asyncio.sleep(0.001)
            assert not a.clients.alive

    run(test)


def test_streams_go_on_in_tls_and_net_does_it_under_any_loop() -> None:
    """As with STARTTLS: plain words first, then TLS on the same connection. StreamWriter.start_tls goes through the loop's own
    start_tls, which takes our transports on asyncio's loops and not on uvloop; `net.start_tls` is there under any."""

    async def by_the_net() -> None:
        async with two_nets() as (a, b):
            made: list[Buffered] = []

            def make() -> Buffered:
                made.append(Buffered())
                return made[-1]

            await b.create_server(make, port=7)
            transport, protocol = await a.create_connection(Buffered, "10.0.0.2", 7)
            transport.write(b"STARTTLS\n")
            while not made or made[0].data != b"STARTTLS\n":
                await asyncio.sleep(0)
            (server,) = made
            server.transport.write(b"go ahead\n")
            upgrading = asyncio.ensure_future(b.start_tls(server.transport, server, server_context(), server_side=True))
            while protocol.data != b"go ahead\n":
                await asyncio.sleep(0)
            transport = await a.start_tls(transport, protocol, client_context(), server_hostname=HOST, ssl_handshake_timeout=5)
            assert protocol.transport is not transport
            far = await upgrading
            transport.write(b"secrets")
            far.write(b"more secrets")
            while not (server.data.endswith(b"\nsecrets") and protocol.data.endswith(b"more secrets")):
                await asyncio.sleep(0)
            transport.close()
            await protocol.ended
            await server.ended

    async def by_the_streams() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"STARTTLS\n"
            writer.write(b"go ahead\n")
            await writer.start_tls(server_context())
            await echo(reader, writer)

        async with two_nets() as (a, b):
            await b.start_server(serve, port=7)
            reader, writer = await a.open_connection("10.0.0.2", 7)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            await writer.start_tls(client_context(), server_hostname=HOST)
            writer.write(b"secret\n")
            assert await reader.readline() == b"secret\n"
            writer.close()
            await writer.wait_closed()

    run(by_the_streams)
    for loop in (asyncio.SelectorEventLoop, netstack.new_event_loop, uvloop_loop):
        run(by_the_net, loop)


def test_a_writer_that_was_paused_goes_on_in_tls() -> None:
    """Who was told to pause isn't there any more when writing may go on: SSLProtocol must not be resumed unasked."""

    async def test() -> None:
        async with two_nets() as (a, b):
            made: list[Buffered] = []

            def make() -> Buffered:
                made.append(Buffered())
                made[-1].pause_writing = made[-1].resume_writing = lambda: None
                return made[-1]

            await b.create_server(make, port=7)
            reader, writer = await a.open_connection("10.0.0.2", 7)
            while not made or made[0].transport is None:
                await asyncio.sleep(0)
            protocol, transport = made[0], made[0].transport
            transport.set_write_buffer_limits(high=1000)
            transport.write(BIG)
            assert transport._protocol_paused
            starting = asyncio.ensure_future(b.start_tls(transport, protocol, server_context(), server_side=True))
            await asyncio.sleep(0)
            assert await reader.readexactly(len(BIG)) == BIG
            await writer.start_tls(client_context(), server_hostname=HOST)
            transport = await starting
            transport.write(b"behind it")
            assert await reader.readexactly(9) == b"behind it"
            writer.close()
            await protocol.ended

    run(test)


def test_what_was_written_and_closed_is_delivered_though_its_net_is_left_at_once() -> None:
    async def test() -> None:
        wire = Wire()
        received = bytearray()
        done = asyncio.Event()

        async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                received.extend(data)
            writer.close()
            done.set()

        async with netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as b:
            await b.start_server(sink, port=9, ssl=server_context())
            async with netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as a:
                _, writer = await a.open_connection("10.0.0.2", 9, ssl=client_context())
                writer.write(BIG)
                writer.close()
            await asyncio.wait_for(done.wait(), 5)
        assert bytes(received) == BIG

    run(test)


def test_strangers_that_are_silent_or_talk_garbage_are_dropped() -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            await b.start_server(echo, port=7, ssl=server_context(), ssl_handshake_timeout=0.05)
            silent_reader, silent = await a.open_connection("10.0.0.2", 7)
            reader, writer = await a.open_connection("10.0.0.2", 7)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
            with contextlib.suppress(ConnectionResetError):
                assert len(await reader.read()) < 10
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                assert await silent_reader.read() == b""
            silent.close()
            (server,) = b._servers
            assert not server.keeper.alive

    run(test)


def test_a_client_gives_up_on_a_server_that_is_silent() -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            await b.start_server(lambda reader, writer: asyncio.sleep(0.2), port=7)
            with pytest.raises(ConnectionAbortedError, match="handshake"):
                await a.open_connection("10.0.0.2", 7, ssl=client_context(), ssl_handshake_timeout=0.05)
            attempt = asyncio.ensure_future(a.open_connection("10.0.0.2", 7, ssl=client_context()))
            await asyncio.sleep(0.02)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            with pytest.raises(ConnectionRefusedError):
                await a.open_connection("10.0.0.2", 8, ssl=client_context())
            assert not a.clients.alive

    run(test)


def test_wrong_arguments_get_one_clear_sentence() -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            for words, arguments in [
                ("server_hostname is only meaningful with ssl", {"server_hostname": "x"}),
                ("ssl_handshake_timeout is only meaningful with ssl", {"ssl_handshake_timeout": 1}),
                ("should be a positive number", {"ssl": client_context(), "ssl_shutdown_timeout": -1}),
            ]:
                with pytest.raises(UsageError, match=words):
                    await a.open_connection("10.0.0.2", 7, **arguments)
            with pytest.raises(TypeError, match="SSLContext or None"):
                await b.start_server(echo, port=7, ssl=True)
            with pytest.raises(UsageError, match="only meaningful with ssl"):
                await b.start_server(echo, port=7, ssl_handshake_timeout=1)
            transport, protocol = await a.create_connection(Buffered, "10.0.0.2", (await b.start_server(echo)).address[1])
            with pytest.raises(TypeError, match="SSLContext"):
                await a.start_tls(transport, protocol, True)
            transport.close()

            await b.start_server(echo, port=7, ssl=server_context())
            with pytest.raises(ssl.SSLError, match="client socket"):
                await a.open_connection("10.0.0.2", 7, ssl=server_context())
            await asyncio.sleep(0)
            assert not a.clients.alive

    run(test)


def test_closing_what_has_ended_and_is_unread_closes_the_connection() -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            writers: list[asyncio.StreamWriter] = []
            await b.start_server(lambda reader, writer: writers.append(writer), port=7, ssl=server_context())
            _, writer = await a.open_connection("10.0.0.2", 7, ssl=client_context())
            below = next(iter(a.clients.alive))
            writer.write(BIG[:200_000])  # more than the reader takes unasked
            while below.get_protocol()._outgoing.pending:
                await asyncio.sleep(0)
            below.write_eof()
            while not writers:
                await asyncio.sleep(0)
            (server,) = b._servers
            (far,) = server.keeper.alive
            while not far.get_protocol()._eof_received:
                await asyncio.sleep(0.001)
            assert not writers[0].transport.is_reading()
            writers[0].close()
            await asyncio.sleep(0.01)
            assert not server.keeper.alive
            writer.close()

    run(test)
