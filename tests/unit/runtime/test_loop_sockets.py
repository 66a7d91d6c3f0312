"""The `sock_*` family, readers and writers, and sockets that a program made itself, on a loop with a net."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import tempfile
from typing import Any

import pytest
from loop_world import Recorder, echo, on_net, until

LOCAL = "127.0.0.1"


def own_socket(kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
    """As libraries make them."""
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    return sock


@on_net()
async def test_a_programs_own_socket_connects_on_the_stack() -> None:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(echo, LOCAL, 0)
    name = server.sockets[0].getsockname()
    with own_socket() as sock:
        await loop.sock_connect(sock, name)
        assert isinstance(sock, socket.socket)
        assert sock.getpeername() == name
        assert sock.fileno() >= 0
        await loop.sock_sendall(sock, b"hello" * 100_000)
        got = bytearray(500_000)
        view, n = memoryview(got), 0
        while n < len(got):
            n += await loop.sock_recv_into(sock, view[n:])
        assert got == b"hello" * 100_000
    server.close()
    await server.wait_closed()  # the program's close has closed the connection


@on_net()
async def test_a_connected_socket_becomes_a_transport_with_what_it_had_received() -> None:
    loop = asyncio.get_running_loop()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    server = await asyncio.start_server(greet, LOCAL, 0)
    sock = own_socket()
    await loop.sock_connect(sock, server.sockets[0].getsockname())
    await asyncio.sleep(0.01)  # the greeting lies in the socket, and the end behind it
    _, protocol = await loop.create_connection(Recorder, sock=sock)
    assert sock.fileno() == -1
    assert await protocol.lost is None
    assert (bytes(protocol.data), protocol.ended) == (b"220 hello\r\n", True)
    server.close()


@on_net(kernel=True)
async def test_a_connection_that_was_reset_meanwhile_is_told_to_its_protocol() -> None:
    """A listener of the program's own must not fail by it."""
    loop = asyncio.get_running_loop()
    with own_socket() as listener:
        await until_listening(listener)
        client = own_socket()
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        accepted, _ = await accepting
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await asyncio.sleep(0.01)
        _, protocol = await loop.connect_accepted_socket(Recorder, accepted)
        assert isinstance(await protocol.lost, ConnectionResetError)


async def until_listening(listener: socket.socket) -> None:
    """Bind and listen in the kernel, as libraries do, and have the loop adopt it."""
    listener.bind((LOCAL, 0))
    listener.listen(5)
    loop = asyncio.get_running_loop()
    loop.add_reader(listener, print)
    loop.remove_reader(listener)


@on_net(kernel=True)
async def test_a_programs_own_listener_accepts_on_the_stack() -> None:
    loop = asyncio.get_running_loop()
    with own_socket() as listener:
        listener.bind((LOCAL, 0))
        listener.listen(5)
        name = listener.getsockname()
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        await asyncio.sleep(0)
        _, writer = await asyncio.open_connection(*name)
        sock, address = await accepting
        assert (address, sock.getsockname()) == (writer.get_extra_info("sockname"), name)
        assert sock.gettimeout() == 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, protocol = await loop.connect_accepted_socket(Recorder, sock)
        writer.write(b"x")
        await until(lambda: protocol.data == b"x")
        writer.close()
        await protocol.lost
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*name)


@on_net(kernel=True)
async def test_a_server_on_a_programs_own_socket_serves_those_who_came_before() -> None:
    listener = own_socket()
    await until_listening(listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"early")
    await asyncio.sleep(0.01)
    server = await asyncio.start_server(echo, sock=listener)
    assert server.sockets[0].fileno() == listener.fileno()
    assert await reader.readexactly(5) == b"early"
    writer.close()
    server.close()
    assert listener.fileno() == -1
    await server.wait_closed()
    await asyncio.sleep(0.01)


@on_net(kernel=True)
async def test_a_socket_that_its_program_forgets_is_closed_on_the_stack() -> None:
    loop: Any = asyncio.get_running_loop()
    listener = own_socket()
    await until_listening(listener)
    name = listener.getsockname()
    with pytest.warns(ResourceWarning):
        del listener
        gc.collect()
    await asyncio.sleep(0.01)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*name)
    assert not loop.net.sockets.alive


@on_net(kernel=True)
async def test_datagrams_of_a_mapped_socket_have_mapped_addresses() -> None:
    """As QUIC libraries do it: one socket for both families."""
    loop = asyncio.get_running_loop()

    class Datagrams(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.got: asyncio.Future[Any] = loop.create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.got.set_result((data, addr))

    near, first = await loop.create_datagram_endpoint(Datagrams, local_addr=(LOCAL, 0))
    port = near.get_extra_info("sockname")[1]
    sock = own_socket(socket.SOCK_DGRAM, socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0, 0, 0))
    far, second = await loop.create_datagram_endpoint(Datagrams, sock=sock)
    far.set_write_buffer_limits(0)  # type: ignore[attr-defined]  # as anyio does
    assert far.get_write_buffer_size() == 0  # type: ignore[attr-defined]
    far.sendto(b"there", (f"::ffff:{LOCAL}", port, 0, 0))
    data, address = await first.got
    assert data == b"there"
    near.sendto(b"back", address)
    assert await second.got == (b"back", (f"::ffff:{LOCAL}", port, 0, 0))
    near.close()
    far.close()
    assert sock.fileno() == -1


@on_net(kernel=True)
async def test_datagrams_by_single_calls() -> None:
    loop = asyncio.get_running_loop()
    with own_socket(socket.SOCK_DGRAM) as here, own_socket(socket.SOCK_DGRAM) as there:
        here.bind((LOCAL, 0))
        await loop.sock_sendto(there, b"question", here.getsockname())
        data, address = await loop.sock_recvfrom(here, 100)
        assert data == b"question"
        await loop.sock_sendto(here, b"answer", address)
        room = bytearray(10)
        assert await loop.sock_recvfrom_into(there, room) == (6, here.getsockname())


@on_net(kernel=True)
async def test_a_cancelled_call_takes_nothing_and_leaves_the_socket_usable() -> None:
    loop = asyncio.get_running_loop()
    with own_socket() as listener, own_socket() as client:
        await until_listening(listener)
        for call in (lambda: loop.sock_accept(listener), lambda: loop.sock_accept(listener)):
            task = asyncio.ensure_future(call())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        connecting = asyncio.ensure_future(loop.sock_connect(client, listener.getsockname()))
        await asyncio.sleep(0)
        connecting.cancel()
        await loop.sock_connect(client, listener.getsockname())  # it went on connecting
        sock, _ = await loop.sock_accept(listener)
        reading = asyncio.ensure_future(loop.sock_recv(client, 100))
        await asyncio.sleep(0)
        await loop.sock_sendall(sock, b"not lost")
        reading.cancel()
        await asyncio.sleep(0.01)
        assert await loop.sock_recv(client, 100) == b"not lost"
        sock.close()
        assert await loop.sock_recv(client, 100) == b""


@on_net(kernel=True)
async def test_a_refused_connect_says_where_to() -> None:
    loop = asyncio.get_running_loop()
    with own_socket() as sock, pytest.raises(ConnectionRefusedError, match="Connect call failed") as caught:
        await loop.sock_connect(sock, (LOCAL, 9))
    assert caught.value.errno == errno.ECONNREFUSED


@on_net(kernel=True)
async def test_readers_and_writers_are_called_while_the_socket_is_ready() -> None:
    loop = asyncio.get_running_loop()
    with own_socket() as listener, own_socket() as client:
        await until_listening(listener)
        ready: list[str] = []
        loop.add_reader(listener.fileno(), ready.append, "accept")
        await asyncio.sleep(0)
        assert ready == []
        await loop.sock_connect(client, listener.getsockname())
        await until(lambda: len(ready) > 3)  # level-triggered: nobody has accepted
        assert loop.remove_reader(listener.fileno())
        assert not loop.remove_reader(listener)
        sock, _ = listener.accept()
        loop.add_writer(client, ready.append, "write")
        await until(lambda: "write" in ready)
        assert loop.remove_writer(client)
        loop.add_reader(client, ready.append, "read")
        sock.close()
        await until(lambda: "read" in ready)
        loop.remove_reader(client)


@on_net(kernel=True)
async def test_files_go_through_sockets() -> None:
    loop = asyncio.get_running_loop()
    content = bytes(range(256)) * 400
    with own_socket() as listener, own_socket() as client, tempfile.TemporaryFile() as file:
        await until_listening(listener)
        file.write(content)
        file.flush()
        await loop.sock_connect(client, listener.getsockname())
        sock, _ = await loop.sock_accept(listener)
        sending = asyncio.ensure_future(loop.sock_sendfile(client, file, 100, 50_000))
        got = b""
        while len(got) < 50_000:
            got += await loop.sock_recv(sock, 65536)
        assert await sending == 50_000
        assert got == content[100:50_100]
        sock.close()
        with pytest.raises(asyncio.SendfileNotAvailableError):
            await loop.sock_sendfile(client, file, fallback=False)


@on_net(kernel=True)
async def test_a_blocking_socket_is_refused_in_debug_mode() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    with socket.socket() as sock, pytest.raises(ValueError, match="must be non-blocking"):
        await loop.sock_recv(sock, 1)
    loop.set_debug(False)


@on_net(kernel=True)
async def test_what_is_not_the_nets_goes_to_the_base_loop() -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    await loop.sock_sendall(left, b"unix")
    assert await loop.sock_recv(right, 10) == b"unix"
    reader, writer = await asyncio.open_connection(sock=left)
    right.send(b"x")
    assert await reader.read(1) == b"x"
    writer.close()
    right.close()
    child = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
    assert (await child.communicate())[0] == b"hi\n"
    assert await loop.run_in_executor(None, lambda: 6 * 7) == 42
    # a connection that the kernel has made is the kernel's
    with socket.create_server((LOCAL, 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        sock, _ = listener.accept()
        client.setblocking(False)
        sock.send(b"kernel")
        assert await loop.sock_recv(client, 10) == b"kernel"
        assert type(client) is socket.socket
        sock.close()
