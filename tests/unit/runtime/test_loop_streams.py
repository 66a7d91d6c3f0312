"""Connections and servers by the loop's own verbs, as unchanged programs use them."""

from __future__ import annotations

import asyncio
import errno
import socket
import tempfile
from typing import Any

import pytest
from loop_world import Recorder, echo, on_net, until

from netstack.errors import AddressInUse

LOCAL = "127.0.0.1"


@on_net()
async def test_streams_of_asyncio_run_on_the_stack() -> None:
    server = await asyncio.start_server(echo, LOCAL, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello" * 100_000)
    writer.write_eof()
    assert await reader.read() == b"hello" * 100_000
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


@on_net()
async def test_a_refusal_is_the_kernels_by_number() -> None:
    with pytest.raises(ConnectionRefusedError) as caught:
        await asyncio.open_connection(LOCAL, 9)
    assert caught.value.errno == errno.ECONNREFUSED


@on_net()
async def test_the_protocol_is_made_when_there_is_a_connection() -> None:
    made = []
    loop = asyncio.get_running_loop()
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(lambda: made.append(1), LOCAL, 9)  # type: ignore[arg-type, return-value, func-returns-value]
    assert not made


@on_net()
async def test_a_factory_that_fails_costs_the_connection_and_no_more() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, LOCAL, 0)
    with pytest.raises(ZeroDivisionError):
        await loop.create_connection(lambda: 1 // 0, *server.sockets[0].getsockname())  # type: ignore[arg-type, return-value]
    server.close()
    await server.wait_closed()


@on_net()
async def test_what_the_server_says_first_comes_after_connection_made() -> None:
    """A greeting may be here before the program has its protocol."""
    loop = asyncio.get_running_loop()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    server = await asyncio.start_server(greet, LOCAL, 0)
    transport, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
    assert transport.get_extra_info("peername") == server.sockets[0].getsockname()
    assert await protocol.lost is None
    assert bytes(protocol.data) == b"220 hello\r\n"
    server.close()


@on_net()
async def test_local_addresses_are_bound_and_refused_as_asyncio_says_it() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, LOCAL, 0)
    name = server.sockets[0].getsockname()
    transport, _ = await loop.create_connection(Recorder, *name, local_addr=(LOCAL, 40_001))
    assert transport.get_extra_info("sockname") == (LOCAL, 40_001)
    with pytest.raises(OSError, match="error while attempting to bind on address") as caught:
        await loop.create_connection(Recorder, *name, local_addr=name)
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match=r"192\.0\.2\.1") as caught:
        await loop.create_connection(Recorder, *name, local_addr=("192.0.2.1", 0))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    transport.close()
    server.close()


@on_net(hosts={"twice": ["127.0.0.2", "127.0.0.3"], "once": "127.0.0.3"})
async def test_addresses_are_tried_in_turn_and_all_failures_told() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, "once", 0)
    port = server.sockets[0].getsockname()[1]
    for options in ({}, {"happy_eyeballs_delay": 0.01}):
        transport, _ = await loop.create_connection(Recorder, "twice", port, **options)
        assert transport.get_extra_info("peername") == ("127.0.0.3", port)
        transport.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(Recorder, "twice", port)
    with pytest.raises(ExceptionGroup) as caught:
        await loop.create_connection(Recorder, "twice", port, all_errors=True)
    assert len(caught.value.exceptions) == 2


@on_net()
async def test_contradicting_arguments_get_asyncios_sentences() -> None:
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    with pytest.raises(ValueError, match="host/port and sock can not be specified at the same time"):
        await loop.create_connection(Recorder, LOCAL, 1, sock=sock)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="host and port was not specified and no sock specified"):
        await loop.create_connection(Recorder)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="Neither host/port nor sock were specified"):
        await loop.create_server(Recorder)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="server_hostname is only meaningful with ssl"):
        await loop.create_connection(Recorder, LOCAL, 1, server_hostname="x")
    sock.close()


@on_net()
async def test_a_server_on_several_hosts_listens_on_each_once() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, [LOCAL, "127.0.0.2", LOCAL], 4000)
    assert [sock.getsockname() for sock in server.sockets] == [(LOCAL, 4000), ("127.0.0.2", 4000)]
    with pytest.raises(AddressInUse, match=r"127\.0\.0\.2"):
        await loop.create_server(Recorder, ["127.0.0.3", "127.0.0.2"], 4000)
    again = await loop.create_server(Recorder, "127.0.0.3", 4000)  # what was bound before the failure is free
    for each in (server, again):
        each.close()
        await each.wait_closed()
    assert server.sockets == ()


@on_net()
async def test_a_server_may_begin_to_serve_later() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, LOCAL, 0, start_serving=False)
    name = server.sockets[0].getsockname()
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*name)
    await server.start_serving()
    assert server.is_serving()
    with pytest.raises(AddressInUse):
        await loop.create_server(Recorder, *name)
    _, writer = await asyncio.open_connection(*name)
    writer.close()
    server.close()
    with pytest.raises(RuntimeError, match="is closed"):
        await server.serve_forever()


@on_net()
async def test_serving_for_ever_ends_with_its_task_and_waits_for_connections() -> None:
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder())
        return made[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, LOCAL, 0)
    name = server.sockets[0].getsockname()
    task = asyncio.create_task(server.serve_forever())
    _, writer = await asyncio.open_connection(*name)
    await until(lambda: bool(made))
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    assert not server.is_serving()
    server.close_clients()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer.close()


@on_net()
async def test_clients_of_a_server_can_be_dropped() -> None:
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder())
        return made[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, LOCAL, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await until(lambda: bool(made))
    server.close()
    server.abort_clients()
    await server.wait_closed()
    assert await made[0].lost is None
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@on_net()
async def test_files_are_sent_and_their_position_follows() -> None:
    loop = asyncio.get_running_loop()
    content = bytes(range(256)) * 1000
    server = await loop.create_server(Recorder, LOCAL, 0)
    made: asyncio.Future[Recorder] = loop.create_future()

    def make() -> Recorder:
        recorder = Recorder()
        made.set_result(recorder)
        return recorder

    server.close()
    server = await loop.create_server(make, LOCAL, 0)
    transport, _ = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        assert await loop.sendfile(transport, file, 1000, 200_000) == 200_000
        assert file.tell() == 201_000
    transport.close()
    recorder = await made
    await recorder.lost
    assert bytes(recorder.data) == content[1000:201_000]
    server.close()


@on_net()
async def test_bytes_of_a_half_closed_connection_still_arrive() -> None:
    async def answer_at_eof(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        writer.write(question.upper())
        writer.close()

    server = await asyncio.start_server(answer_at_eof, LOCAL, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"HELLO"
    writer.close()
    server.close()


@on_net()
async def test_options_of_a_server_are_those_that_were_asked_for() -> None:
    loop = asyncio.get_running_loop()
    for reuse in (False, True):
        server: Any = await loop.create_server(Recorder, LOCAL, 0, reuse_port=reuse)
        assert bool(server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)) is reuse
        assert server.sockets[0].family == socket.AF_INET
        server.close()


@on_net()
async def test_a_connection_that_is_given_up_leaves_nothing() -> None:
    loop: Any = asyncio.get_running_loop()
    attempt = asyncio.create_task(asyncio.open_connection(LOCAL, 9))
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert not loop.net.clients.alive
    assert loop.net.connections() == []


@on_net()
async def test_a_protocol_is_resumed_as_often_as_it_is_paused_though_a_file_is_sent_between() -> None:
    class Strict(Recorder):
        paused = False

        def pause_writing(self) -> None:
            assert not self.paused
            self.paused = True

        def resume_writing(self) -> None:
            assert self.paused
            self.paused = False

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, LOCAL, 0)
    transport, protocol = await loop.create_connection(Strict, *server.sockets[0].getsockname())
    with tempfile.TemporaryFile() as file:
        file.write(bytes(3_000_000))
        file.seek(0)
        assert await loop.sendfile(transport, file) == 3_000_000
    transport.write(bytes(3_000_000))
    await until(lambda: not protocol.paused and transport.get_write_buffer_size() == 0)
    transport.close()
    server.close()


@on_net()
async def test_limits_of_nothing_leave_the_room_that_a_kernels_socket_has() -> None:
    class Noting(Recorder):
        pauses = 0

        def pause_writing(self) -> None:
            self.pauses += 1

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, LOCAL, 0)
    transport, protocol = await loop.create_connection(Noting, *server.sockets[0].getsockname())
    transport.set_write_buffer_limits(0)
    assert transport.get_write_buffer_limits() == (0, 0)  # type: ignore[attr-defined]  # not in the types of 3.11
    transport.write(bytes(1000))
    assert (protocol.pauses, transport.get_write_buffer_size()) == (0, 0)
    transport.write(bytes(1_000_000))
    assert protocol.pauses == 1
    assert transport.get_write_buffer_size() > 0
    transport.abort()
    server.close()
