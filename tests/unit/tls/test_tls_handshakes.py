"""Handshakes: what fails, for whom, in which words, and what it leaves behind. Over pipes, on asyncio and on trio."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pytest
from tls_pipe import pipe_pair
from tls_runtimes import RUNTIMES, secured, tls
from tls_world import HOST, VERSIONS, client_context, server_context

from netstack.errors import BrokenError, ClosedError, TimedOut, UsageError
from netstack.instant import MILLISECOND, Duration
from netstack.tls import CertificateError, Tls, TlsConfig, TlsError

SOON = Duration(20 * MILLISECOND)

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda runtime: runtime.name)
versions = pytest.mark.parametrize("version", VERSIONS)


@runtimes
@versions
@pytest.mark.parametrize(
    ("client", "server", "name", "words"),
    [
        ({"trust": "theirs"}, {}, HOST, "self-signed|unable to get local issuer"),
        ({}, {"expired": True}, HOST, "expired"),
        ({}, {}, "other.example", "other.example"),
        ({}, {}, "192.0.2.1", "192.0.2.1"),
    ],
    ids=["stranger", "expired", "wrong name", "wrong address"],
)
def test_a_bad_certificate_is_refused_by_both_names_of_the_error(
    on: Any, version: str, client: dict[str, Any], server: dict[str, Any], name: str, words: str
) -> None:
    async def test(on: Any) -> None:
        secure = tls(client_context(version, **client), server_context(version, **server))
        near, far = pipe_pair()

        async def connect() -> None:
            with pytest.raises(ssl.SSLCertVerificationError, match=words) as caught:
                await secure.wrap_client(near, name)
            assert isinstance(caught.value, CertificateError)

        async def accept() -> None:
            with pytest.raises(TlsError, match="alert"):
                await secure.wrap_server(far)

        await on.together(connect, accept)
        assert near.closed
        assert far.closed
        assert secure.mib.HandshakeCertificates == secure.mib.HandshakeErrors == 1
        assert secure._shaking == {}

    on.run(test)


@runtimes
@versions
def test_a_client_without_a_certificate_is_refused_by_who_asks_for_one(on: Any, version: str) -> None:
    async def test(on: Any) -> None:
        secure = tls(client_context(version), server_context(version, ask=True))
        near, far = pipe_pair()

        async def connect() -> None:
            with pytest.raises(TlsError, match="alert"):
                stream = await secure.wrap_client(near, HOST)
                assert version == "1.3", "the server speaks last there"
                await stream.receive()

        async def accept() -> None:
            with pytest.raises(TlsError, match="peer did not return a certificate"):
                await secure.wrap_server(far)

        await on.together(connect, accept)

    on.run(test)


@runtimes
def test_who_is_silent_or_stops_in_the_middle_is_given_up_in_time(on: Any) -> None:
    async def test(on: Any) -> None:
        secure = tls(handshake_timeout=SOON)
        near, far = pipe_pair()
        with pytest.raises(TimedOut):
            await secure.wrap_server(far)
        assert far.aborted
        assert secure.mib.Silent == 1

        near, far = pipe_pair()
        await near.send_all(b"\x16\x03\x01\x02")
        with pytest.raises(TimedOut):
            await secure.wrap_server(far)
        assert secure.mib.HandshakeTimeouts == 1

        near, far = pipe_pair()
        await near.aclose()
        with pytest.raises(BrokenError, match="without a word"):
            await secure.wrap_server(far)
        assert secure.mib.Silent == 2

        near, far = pipe_pair()
        with pytest.raises(TimedOut):
            await secure.wrap_client(near, HOST)
        assert secure.mib.HandshakeTimeouts == 2
        assert secure._shaking == {}

        near, far = pipe_pair()

        async def trickle() -> None:
            with pytest.raises(BrokenError):
                while True:
                    await near.send_all(b"\x16\x03\x01\x40\x00"[:1])
                    await on.sleep(0.001)

        async def accept() -> None:
            with pytest.raises((TimedOut, TlsError)):
                await secure.wrap_server(far)
            near.out.reset = True

        await on.together(trickle, accept)

    on.run(test)


@runtimes
def test_garbage_is_answered_by_an_alert_and_not_by_a_reset(on: Any) -> None:
    async def test(on: Any) -> None:
        secure = tls()
        near, far = pipe_pair()
        await near.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TlsError, match="http request"):
            await secure.wrap_server(far)
        assert secure.mib.HandshakeErrors == 1
        assert far.closed
        near, far = pipe_pair()
        await near.send_all(b"\x16\x03\x01\x00\x05hello")
        with pytest.raises(TlsError):
            await secure.wrap_server(far)
        assert (await near.receive())[:2] == b"\x15\x03"

    on.run(test)


@runtimes
def test_of_too_many_handshakes_the_oldest_is_dropped(on: Any) -> None:
    async def test(on: Any) -> None:
        secure = tls(handshakes=3)
        ends = [pipe_pair() for _ in range(5)]

        async def accept(i: int) -> Any:
            try:
                return await secure.wrap_server(ends[i][1])
            except ClosedError:
                return None

        async def open_all() -> None:
            for i, (near, _) in enumerate(ends[:4]):
                await near.send_all(b"\x16")
                await on.sleep(0.001)
                assert len(secure._shaking) == min(i + 1, 3)
            assert secure.mib.HandshakesDropped == 1
            near = await secure.wrap_client(ends[4][0], HOST)
            assert secure.mib.HandshakesDropped == 2
            assert near.version == "TLSv1.3"
            for other, _ in ends[2:4]:
                other.abort()

        results = await on.together(open_all, *(lambda i=i: accept_or_lost(accept, i) for i in range(5)))
        assert [result is not None for result in results[1:]] == [False, False, False, False, True]
        assert secure._shaking == {}
        assert secure.mib.HandshakesLost == 2

    on.run(test)


async def accept_or_lost(accept: Any, i: int) -> Any:
    try:
        return await accept(i)
    except BrokenError:
        return None


@runtimes
def test_a_cancelled_handshake_drops_the_connection(on: Any) -> None:
    async def test(on: Any) -> None:
        secure = tls()
        near, far = pipe_pair()
        await on.cancelled(lambda: secure.wrap_client(near, HOST))
        assert near.aborted
        with pytest.raises(BrokenError):
            await secure.wrap_server(far)
        near, far = pipe_pair()
        await near.send_all(b"\x16")
        await on.cancelled(lambda: secure.wrap_server(far))
        assert far.aborted
        assert secure._shaking == {}

    on.run(test)


# -- arguments ---------------------------------------------------------------------------------------------------------------------


def test_wrong_contexts_and_arguments_get_one_clear_sentence() -> None:
    async def test(on: Any) -> None:
        nothing: Any = None
        with pytest.raises(UsageError, match="client= needs"):
            Tls(nothing, client=server_context())
        with pytest.raises(UsageError, match="server= needs"):
            Tls(nothing, server=client_context())
        with pytest.raises(UsageError, match="context with a certificate"):
            await Tls(nothing, client_context()).serve_streams(nothing, 443)
        near, _ = pipe_pair()
        with pytest.raises(UsageError, match="context with a certificate"):
            await Tls(nothing, client_context()).wrap_server(near)
        with pytest.raises(UsageError, match="server_hostname"):
            await Tls(nothing).wrap_client(near, None)
        assert near.aborted
        near, _ = pipe_pair()
        with pytest.raises(UsageError, match="is no name of a server"):
            await Tls(nothing).wrap_client(near, ".example")
        assert near.aborted
        near, _ = await secured(on)
        with pytest.raises(UsageError, match="one byte or more"):
            await near.receive(0)
        with pytest.raises(UsageError, match="room"):
            await near.receive_into(bytearray())
        with pytest.raises(ValueError):
            TlsConfig(handshakes=0)

    RUNTIMES[0].run(test)


def test_one_context_serves_the_side_that_it_was_made_for() -> None:
    nothing: Any = None
    client, server = client_context(), server_context()
    assert (Tls(nothing, client)._client, Tls(nothing, client)._server) == (client, None)
    assert (Tls(nothing, server)._client, Tls(nothing, server)._server) == (None, server)
    with pytest.warns(DeprecationWarning):
        both = ssl.SSLContext(ssl.PROTOCOL_TLS)
    assert (Tls(nothing, both)._client, Tls(nothing, both)._server) == (both, both)


def test_the_logger_is_told_of_failed_handshakes_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    served: list[Any] = []

    class Stack:
        async def serve_streams(self, handler: Any, port: int, host: str = "", backlog: int = 128) -> Any:
            served.append(handler)

    async def test(on: Any) -> None:
        async def never(stream: Any) -> None:
            raise AssertionError("a handler ran without a handshake")

        stack: Any = Stack()
        await Tls(stack, server_context()).serve_streams(never, 443)
        near, far = pipe_pair()
        await near.send_all(b"garbage, garbage, garbage")
        await served[0](far)

    caplog.set_level(logging.DEBUG, "netstack.tls")
    RUNTIMES[0].run(test)
    (record,) = [record for record in caplog.records if record.name == "netstack.tls"]
    assert record.levelno == logging.DEBUG
    assert record.exc_info is None
    assert "no TLS with 192.0.2.2:50000" in record.getMessage()
