"""The proxy at work: SOCKS5 and HTTP CONNECT in front of a net."""

import asyncio
import socket

import pytest

from netstack.errors import UsageError
from netstack.runtime import socks as proxy_module
from tests.unit.runtime.forward_world import B, echo, on_loop

HELLO = b"\x05\x01\x00"
TO_B = b"\x01\x0a\x00\x00\x02"


async def say(proxy, *what):
    """Say one thing after another and read the answer to each; (bytes, length of its answer) pairs."""
    reader, writer = await asyncio.open_connection(*proxy.address)
    answers = []
    for data, n in what:
        writer.write(data)
        answers.append(await (reader.readexactly(n) if n >= 0 else reader.read()))
    return reader, writer, answers


@on_loop
async def test_connect_gives_a_tunnel_and_says_from_where(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0)
    assert proxy.address[0] == "127.0.0.1"
    reader, writer, answers = await say(proxy, (HELLO, 2), (b"\x05\x01\x00" + TO_B + b"\x00\x50", 10))
    assert answers[0] == b"\x05\x00"
    assert answers[1][:8] == b"\x05\x00\x00\x01\x0a\x00\x00\x01"
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"hello"
    writer.close()
    while proxy.open:
        await asyncio.sleep(0.001)
    assert (proxy.counts.tunnels, proxy.counts.bytes_in, proxy.counts.bytes_out) == (1, 5, 5)


@on_loop
async def test_what_is_said_in_one_breath_is_understood(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0)
    _, writer, answers = await say(proxy, (HELLO + b"\x05\x01\x00" + TO_B + b"\x00\x50early", 2 + 10 + 5))
    assert answers[0].endswith(b"early")
    writer.close()


@on_loop
async def test_names_are_those_of_the_net(a, b):
    await a.serve_streams(echo, 80)
    proxy = await a.socks5(port=0)
    request = b"\x05\x01\x00\x03\x07nowhere\x00\x50"
    _, writer, answers = await say(proxy, (HELLO, 2), (request, 10))
    assert answers[1][1] == 4  # host unreachable
    writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"\x05\x01\x00" + TO_B + b"\x00\x51", 5),  # refused
        (b"\x05\x02\x00" + TO_B + b"\x00\x50", 7),  # BIND
        (b"\x05\x09\x00" + TO_B + b"\x00\x50", 7),
        (b"\x05\x01\x00\x09" + TO_B, 8),
        (b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50", 3),  # IPv6
        (b"\x05\x01\x00" + TO_B + b"\x00\x00", 5),
    ],
)
def test_refusals_have_the_codes_of_rfc_1928(request_bytes, code):
    @on_loop
    async def run(a, b):
        proxy = await a.socks5(port=0)
        _, writer, answers = await say(proxy, (HELLO, 2), (request_bytes, -1))
        assert answers[1][:4] == bytes([5, code, 0, 1])
        assert len(answers[1]) == 10
        writer.close()
        assert proxy.counts.refused == 1

    run()


@on_loop
async def test_a_password_that_is_asked_for_is_needed(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0, user="bob", password="secret")
    _, writer, answers = await say(proxy, (HELLO, -1))
    assert answers == [b"\x05\xff"]
    writer.close()
    _, writer, answers = await say(proxy, (b"\x05\x02\x00\x02", 2), (b"\x01\x03bob\x05wrong", -1))
    assert answers == [b"\x05\x02", b"\x01\x01"]
    writer.close()
    login = b"\x01\x03bob\x06secret"
    _, writer, answers = await say(proxy, (b"\x05\x01\x02", 2), (login, 2), (b"\x05\x01\x00" + TO_B + b"\x00\x50", 10))
    assert answers[1:] == [b"\x01\x00", b"\x05\x00\x00\x01\x0a\x00\x00\x01" + answers[2][8:]]
    writer.close()
    assert proxy.counts.denied == 2
    for wrong in ({"user": "bob"}, {"password": "x"}, {"user": "a:b", "password": "x"}, {"user": "", "password": "x"}):
        with pytest.raises(UsageError):
            await a.socks5(port=0, **wrong)


@on_loop
async def test_http_connect_is_served_on_the_same_port(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0)
    ok = b"HTTP/1.1 200 Connection established\r\n\r\n"
    reader, writer, answers = await say(proxy, (f"CONNECT {B}:80 HTTP/1.1\r\nHost: {B}:80\r\n\r\n".encode(), len(ok)))
    assert answers == [ok]
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://10.0.0.2/ HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"CONNECT 10.0.0.2:81 HTTP/1.1\r\n\r\n", b"502"),
        (b"CONNECT nowhere:80 HTTP/1.1\r\n\r\n", b"502"),
    ],
)
def test_http_refusals_are_told(head, status):
    @on_loop
    async def run(a, b):
        proxy = await a.socks5(port=0)
        _, writer, answers = await say(proxy, (head, -1))
        assert answers[0].startswith(b"HTTP/1.1 " + status + b" ") and answers[0].endswith(b"\r\n\r\n")
        writer.close()

    run()


@on_loop
async def test_http_asks_for_the_password_too(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0, user="bob", password="pw")
    _, writer, answers = await say(proxy, (b"CONNECT 10.0.0.2:80 HTTP/1.1\r\n\r\n", -1))
    assert answers[0].startswith(b"HTTP/1.1 407 ") and b"\r\nProxy-Authenticate: Basic " in answers[0]
    writer.close()
    head = b"CONNECT 10.0.0.2:80 HTTP/1.1\r\nProxy-Authorization: Basic Ym9iOnB3\r\n\r\n"
    _, writer, answers = await say(proxy, (head, 12))
    assert answers[0] == b"HTTP/1.1 200"
    writer.close()


@on_loop
async def test_who_speaks_neither_or_slowly_is_reset(a, b):
    proxy = await a.socks5(port=0)
    for data in (b"\x16\x03\x01\r\n", b"\x05\x00"):
        with pytest.raises(ConnectionResetError):
            await say(proxy, (data, -1))
    patience, proxy_module.TIME = proxy_module.TIME, 0.05
    try:
        _, writer = await asyncio.open_connection(*proxy.address)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:  # a byte now and then doesn't buy time
                writer.write(b"C")
                await writer.drain()
                await asyncio.sleep(0.005)
        writer.close()
    finally:
        proxy_module.TIME = patience
    assert proxy.counts.unlawful == 3


@on_loop
async def test_no_more_clients_than_the_limit_are_served_at_a_time(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0, limit=1)
    _, first, _ = await say(proxy, (HELLO, 2))
    reader, second = await asyncio.open_connection(*proxy.address)
    second.write(HELLO)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await reader.read(2)
    first.close()
    assert await reader.read(2) == b"\x05\x00"
    second.close()


@on_loop
async def test_datagrams_are_relayed_while_their_connection_lives(a, b):
    service = await b.udp(53)
    proxy = await a.socks5(port=0)
    _, writer, answers = await say(proxy, (HELLO, 2), (b"\x05\x03\x00\x01" + bytes(6), 10))
    assert answers[1][:8] == b"\x05\x00\x00\x01\x7f\x00\x00\x01"
    relay = ("127.0.0.1", int.from_bytes(answers[1][8:]))
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(relay)
        header = b"\0\0\0" + TO_B + b"\x00\x35"
        sock.send(b"\0\0\x01" + TO_B + b"\x00\x35fragment")
        sock.send(header + b"query")
        data, peer = await service.receive()
        assert data == b"query"
        await service.send(b"answer", peer)
        assert await loop.sock_recv(sock, 100) == header + b"answer"
        assert (proxy.counts.associations, proxy.counts.dropped) == (1, 1)
        writer.close()
        while proxy.open:
            await asyncio.sleep(0.001)
        sock.send(header + b"query")
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_recv(sock, 100)


@on_loop
async def test_closing_the_net_closes_the_proxy(a, b):
    await b.serve_streams(echo, 80)
    proxy = await a.socks5(port=0)
    reader, writer, _ = await say(proxy, (HELLO, 2), (b"\x05\x01\x00" + TO_B + b"\x00\x50", 10))
    await a.aclose()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert proxy.closed and proxy.open == 0
