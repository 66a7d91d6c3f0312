"""A descriptor into the stack: what a C library sees, and what Python asks of a socket."""

import asyncio
import gc
import hashlib
import http.client
import os
import select
import socket

import pytest

from netstack.errors import Refused
from tests.unit.runtime.forward_world import B, echo, on_loop

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))  # 1 MiB


async def in_thread(work, *args):
    return await asyncio.get_running_loop().run_in_executor(None, work, *args)


@on_loop
async def test_a_descriptor_carries_bytes_and_ends_both_ways(a, b):
    await b.serve_streams(echo, 80)
    sock = await a.dial_fd(B, 80)

    def talk(fd):
        """As a C library would: by the number, and blocking."""
        got = bytearray()
        sent = 0
        while sent < len(BIG):
            _, writable, _ = select.select([], [fd], [], 5)
            assert writable
            sent += os.write(fd, BIG[sent : sent + 65536])
            while select.select([fd], [], [], 0)[0]:
                got += os.read(fd, 65536)
        sock.shutdown(socket.SHUT_WR)
        while data := os.read(fd, 65536):
            got += data
        return got

    assert await in_thread(talk, sock.fileno()) == BIG
    sock.close()


@on_loop
async def test_it_answers_as_the_socket_of_its_connection(a, b):
    await b.serve_streams(echo, 80)
    sock = await a.dial_fd(B, 80)
    assert isinstance(sock, socket.socket)
    assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
    assert sock.getpeername() == (B, 80)
    assert sock.getsockname()[0] == "10.0.0.1"
    assert sock.gettimeout() is None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 4) == b"\1\0\0\0"
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    await asyncio.sleep(0)
    (conn,) = a.stack.tcp.connections()
    assert conn.nodelay
    twin = sock.dup()
    assert twin.getpeername() == (B, 80)
    sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        sock.getpeername()
    await in_thread(twin.sendall, b"still here")
    assert await in_thread(twin.recv, 100) == b"still here"
    twin.close()


@on_loop
async def test_a_refusal_comes_from_the_call(a, b):
    with pytest.raises(Refused):
        await a.dial_fd(B, 81)


@on_loop
async def test_a_reset_is_a_reset(a, b):
    async def slam(stream):
        await stream.receive()
        stream.abort()

    await b.serve_streams(slam, 80)
    with await a.dial_fd(B, 80) as sock:
        sock.send(b"x")
        with pytest.raises(ConnectionResetError):
            await in_thread(sock.recv, 1)


@on_loop
async def test_what_is_dropped_ends_the_connection(a, b):
    ended = asyncio.Event()

    async def wait_for_end(stream):
        assert await stream.receive() == b""
        ended.set()

    await b.serve_streams(wait_for_end, 80)
    os.close((await a.dial_fd(B, 80)).detach())
    gc.collect()
    await ended.wait()


@on_loop
async def test_closing_the_net_ends_it_for_who_waits(a, b):
    await b.serve_streams(echo, 80)
    sock = await a.dial_fd(B, 80)
    waiting = asyncio.ensure_future(in_thread(sock.recv, 1))
    await asyncio.sleep(0.01)
    await a.aclose()
    with pytest.raises(ConnectionResetError):
        await waiting
    sock.close()


@on_loop
async def test_http_client_runs_on_it(a, b):
    async def page(stream):
        assert (await stream.receive()).startswith(b"GET / HTTP/1.1\r\n")
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    await b.serve_streams(page, 80)
    client = http.client.HTTPConnection("ignored")
    client.sock = await a.dial_fd(B, 80)

    def fetch():
        client.request("GET", "/")
        return client.getresponse().read()

    assert await in_thread(fetch) == b"hi"
    client.close()
