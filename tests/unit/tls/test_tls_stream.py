"""TLS streams over pipes in memory, on asyncio and on trio: what each call promises, whatever the stream below can do."""

from __future__ import annotations

import hashlib
import ssl
from typing import Any

import pytest
from tls_pipe import GatheringStream, PipeStream, pipe_pair
from tls_runtimes import RUNTIMES, secured, tls
from tls_world import HOST, VERSIONS, client_context, server_context

from netstack.errors import BrokenError, BusyError, ClosedError, TimedOut
from netstack.instant import MILLISECOND, Duration
from netstack.tls import TlsError, TruncatedError

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))  # 1 MiB
SOON = Duration(20 * MILLISECOND)
KINDS = [PipeStream, GatheringStream]

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda runtime: runtime.name)
kinds = pytest.mark.parametrize("kind", KINDS, ids=["plain", "gathering"])
versions = pytest.mark.parametrize("version", VERSIONS)


async def drain(stream: Any) -> bytes:
    got = bytearray()
    async for piece in stream:
        got += piece
    return bytes(got)


@runtimes
@kinds
@versions
@pytest.mark.parametrize("bound", [100, 30_000])
def test_megabytes_go_both_ways_at_once_through_a_narrow_pipe(on: Any, kind: Any, version: str, bound: int) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on, kind, bound, tls(client_context(version), server_context(version)))
        data = BIG if bound > 1000 else BIG[:100_000]

        async def send(stream: Any) -> None:
            await stream.send_all(memoryview(data)[:50_000])
            await stream.send_all([data[50_000:70_000], bytearray(data[70_000:])])
            await stream.send_eof()
            await stream.send_eof()
            with pytest.raises(ClosedError, match="send_eof"):
                await stream.send_all(b"x")

        async def receive_into(stream: Any) -> bytes:
            got, room = bytearray(), bytearray(33_333)
            while n := await stream.receive_into(room):
                got += room[:n]
            return bytes(got)

        results = await on.together(lambda: send(near), lambda: drain(far), lambda: send(far), lambda: receive_into(near))
        assert results[1] == results[3] == data
        assert await near.receive() == b""
        await near.aclose()
        await far.aclose()
        assert near.lower.closed
        assert far.lower.closed

    on.run(test)


@runtimes
def test_what_a_stream_tells(on: Any) -> None:
    async def test(on: Any) -> None:
        client, server = client_context(own="me.example"), server_context(ask=True)
        client.set_alpn_protocols(["http/1.1", "h2"])
        server.set_alpn_protocols(["h2"])
        asked: list[str] = []
        server.sni_callback = lambda sslobj, name, context: asked.append(name)
        near, far = await secured(on, secure=tls(client, server))
        assert asked == [HOST]
        assert near.server_name == far.server_name == HOST
        assert near.version == far.version == "TLSv1.3"
        assert near.cipher == far.cipher
        assert near.selected_alpn_protocol == far.selected_alpn_protocol == "h2"
        assert ("DNS", HOST) in near.peer_certificate["subjectAltName"]
        assert ("DNS", "me.example") in far.peer_certificate["subjectAltName"]
        assert near.local_address == near.lower.local_address
        assert far.remote_address == far.lower.remote_address
        assert near.ssl_object.version() == "TLSv1.3"
        near.abort()
        far.abort()
        assert near.closed

    on.run(test)


@runtimes
def test_a_context_of_another_name_can_be_chosen_by_the_callback(on: Any) -> None:
    async def test(on: Any) -> None:
        server, other = server_context(names=("first.example",)), server_context(names=("second.example",))

        def choose(sslobj: ssl.SSLObject, name: str, context: ssl.SSLContext) -> None:
            if name == "second.example":
                sslobj.context = other

        server.sni_callback = choose
        secure = tls(server=server)
        for name in ("first.example", "second.example", "second.example."):
            near, far = pipe_pair()
            await on.together(lambda: secure.wrap_client(near, name), lambda: secure.wrap_server(far))  # noqa: B023 (awaited)

    on.run(test)


# -- one user for each direction, and giving up ------------------------------------------------------------------------------------


@runtimes
@kinds
def test_a_second_user_of_a_direction_is_told_at_once(on: Any, kind: Any) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on, kind)

        async def second() -> None:
            await on.sleep(0.01)
            with pytest.raises(BusyError):
                await near.receive()
            near.lower.out.stalled = True
            await far.send_all(b"x")

        async def third() -> None:
            await on.sleep(0.05)
            with pytest.raises(BusyError):
                await near.send_all(b"y")
            near.lower.out.stalled = False
            near.lower.out.stir()

        async def stalled() -> None:
            await on.sleep(0.03)
            await near.send_all(b"z")

        results = await on.together(near.receive, second, stalled, third)
        assert results[0] == b"x"
        assert await far.receive() == b"z"

    on.run(test)


@runtimes
@kinds
def test_a_cancelled_or_timed_out_receive_loses_nothing(on: Any, kind: Any) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on, kind)
        with pytest.raises(TimedOut):
            await far.receive(timeout=SOON)
        pipe = far.lower.into
        await near.send_all(BIG[:1000])
        record = b"".join(pipe.chunks)
        pipe.chunks.clear()
        for i in range(0, len(record), 100):
            pipe.chunks.append(record[i : i + 100])
            if i + 100 < len(record):  # it isn't whole
                if i % 200:
                    await on.cancelled(far.receive, 0.002)
                else:
                    with pytest.raises(TimedOut):
                        await far.receive(timeout=Duration(2 * MILLISECOND))
        assert await far.receive() == BIG[:1000]
        await on.cancelled(far.receive)
        await near.send_all(b"more")
        assert await far.receive() == b"more"

    on.run(test)


@runtimes
@kinds
@pytest.mark.parametrize("how", ["cancelled", "timed out"])
@pytest.mark.parametrize("size", [5, len(BIG)])
def test_what_a_send_was_given_counts_as_sent_though_it_was_given_up(on: Any, kind: Any, how: str, size: int) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on, kind)
        near.lower.out.stalled = True
        if how == "cancelled":
            await on.cancelled(lambda: near.send_all(BIG[:size]))
        else:
            with pytest.raises(TimedOut):
                await near.send_all(BIG[:size], SOON)
        near.lower.out.stalled = False
        near.lower.out.stir()

        async def go_on() -> None:
            await near.send_all(b"second")
            await near.send_eof()

        results = await on.together(go_on, lambda: drain(far))
        assert results[1] == BIG[:size] + b"second"

    on.run(test)


@runtimes
@kinds
@pytest.mark.parametrize("gives_up", [False, True])
def test_an_end_follows_what_another_task_is_sending(on: Any, kind: Any, gives_up: bool) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on, kind)
        near.lower.out.stalled = True

        async def send() -> None:
            if gives_up:
                await on.cancelled(lambda: near.send_all(BIG), 0.05)
            else:
                await near.send_all(BIG)

        async def end() -> None:
            await on.sleep(0.02)
            await near.send_eof()
            await near.send_eof()
            with pytest.raises((ClosedError, BusyError)):
                await near.send_all(b"x")
            await on.sleep(0.05)
            near.lower.out.stalled = False
            near.lower.out.stir()

        results = await on.together(send, end, lambda: drain(far))
        assert results[2] == BIG
        assert near.lower.out.ended

    on.run(test)


@runtimes
def test_closing_while_another_task_sends_is_a_cut_and_looks_like_one(on: Any) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on)
        near.lower.out.stalled = True

        async def send() -> None:
            with pytest.raises(ClosedError):
                await near.send_all(BIG)

        async def close() -> None:
            await on.sleep(0.01)
            await near.aclose()

        async def receive() -> None:
            got = bytearray()
            with pytest.raises(TruncatedError):
                async for piece in far:
                    got.extend(piece)
            assert BIG.startswith(got)

        await on.together(send, close, receive)

    on.run(test)


@runtimes
@kinds
def test_what_waits_to_be_sent_is_bounded(on: Any, kind: Any) -> None:
    async def test(on: Any) -> None:
        near, _ = await secured(on, kind)

        async def look() -> None:
            await on.sleep(0.01)
            assert near.lower.out.held <= 2 * 65536 + 2000
            assert not near._engine.outgoing
            near.abort()

        async def send() -> None:
            with pytest.raises(ClosedError):
                await near.send_all(BIG)

        await on.together(send, look)

    on.run(test)


# -- the end -----------------------------------------------------------------------------------------------------------------------


@runtimes
@kinds
def test_closing_says_goodbye_and_waits_for_nobody(on: Any, kind: Any) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on, kind)
        await near.send_all(b"bye")
        await near.aclose()
        await near.aclose()
        assert await far.receive() == b"bye"
        assert await far.receive() == b""
        with pytest.raises(ClosedError):
            await near.receive()
        with pytest.raises(ClosedError):
            await near.send_all(b"x")
        await far.aclose()

        near, far = await secured(on, kind)
        near.lower.out.stalled = True
        await near.aclose()
        assert near.lower.closed
        assert await far.receive() == b""

    on.run(test)


@runtimes
def test_closing_wakes_whoever_receives(on: Any) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on)

        async def receive() -> None:
            with pytest.raises(ClosedError):
                await near.receive()

        async def close() -> None:
            await on.sleep(0.01)
            await near.aclose()

        await on.together(receive, close)
        assert await far.receive() == b""

    on.run(test)


@runtimes
@pytest.mark.parametrize("minds", [True, False])
def test_an_end_without_goodbye_is_an_error_unless_nobody_minds(on: Any, minds: bool) -> None:
    async def test(on: Any) -> None:
        secure = tls(truncation=minds)
        near, far = await secured(on, secure=secure)
        await near.send_all(b"hello")
        await near.lower.send_eof()
        assert await far.receive() == b"hello"
        if minds:
            for _ in range(2):
                with pytest.raises(TruncatedError, match="close_notify"):
                    await far.receive()
            assert secure.mib.Truncated == 1
        else:
            assert await far.receive() == b""
            await far.send_all(b"go on")
            assert await near.receive() == b"go on"

    on.run(test)


@runtimes
def test_a_reset_below_is_raised_as_it_is_and_stays(on: Any) -> None:
    async def test(on: Any) -> None:
        near, far = await secured(on)
        far.lower.abort()
        for _ in range(2):
            with pytest.raises(BrokenError, match="reset"):
                await near.receive()
        with pytest.raises(BrokenError, match="reset"):
            await near.send_all(b"x")
        with pytest.raises(BrokenError, match="nothing can be sent any more: the stream below is gone: reset"):
            await near.send_all(b"x")
        await near.aclose()

    on.run(test)


@runtimes
def test_a_changed_record_is_counted_and_the_peer_is_told_on_closing(on: Any) -> None:
    async def test(on: Any) -> None:
        secure = tls()
        near, far = await secured(on, secure=secure)
        await near.send_all(b"hello")
        chunk = bytearray(far.lower.into.chunks[-1])
        chunk[-1] ^= 1
        far.lower.into.chunks[-1] = bytes(chunk)
        with pytest.raises(TlsError, match=r"bad record mac|record layer failure"):
            await far.receive()
        with pytest.raises(TlsError):
            await far.send_all(b"x")
        await far.aclose()
        with pytest.raises(TlsError, match="alert"):
            await near.receive()
        assert secure.mib.Broken == 2

    on.run(test)
