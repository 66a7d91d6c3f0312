"""The socket that a transport shows."""

import asyncio
import errno
import socket

import pytest

import netstack
from netstack.testing.cord import Cord


def on_a_cord(work):
    async def main():
        cord = Cord()
        async with netstack.open(cord.a, addresses=["10.0.0.1/24"]) as a, netstack.open(cord.b, addresses=["10.0.0.2/24"]) as b:
            await work(a, b)

    asyncio.run(main())


def test_a_transport_s_socket_has_names_and_options():
    async def work(a, b):
        server = await b.create_server(asyncio.Protocol, port=80)
        transport, _ = await a.create_connection(asyncio.Protocol, "10.0.0.2", 80)
        sock = transport.get_extra_info("socket")
        assert sock.getpeername() == ("10.0.0.2", 80) and sock.getsockname()[0] == "10.0.0.1"
        assert (sock.family, sock.type, sock.proto, sock.fileno()) == (socket.AF_INET, socket.SOCK_STREAM, 0, -1)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 7)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"
        with pytest.raises(OSError) as caught:
            sock.setsockopt(socket.IPPROTO_TCP, 999, 1)
        assert caught.value.errno == errno.ENOPROTOOPT
        sock.setblocking(False)
        with pytest.raises(ValueError, match="blocking"):
            sock.setblocking(True)
        with pytest.raises(OSError, match="duplicated"):
            sock.dup()
        with pytest.raises(OSError) as caught:
            server.sockets[0].getpeername()
        assert caught.value.errno == errno.ENOTCONN
        transport.close()
        server.close()

    on_a_cord(work)


def test_a_datagram_transport_s_socket_joins_groups():
    async def work(a, b):
        got = asyncio.get_running_loop().create_future()

        class Hears(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                got.set_result(data)

        transport, _ = await b.create_datagram_endpoint(Hears, ("0.0.0.0", 5353))
        sock = transport.get_extra_info("socket")
        request = socket.inet_aton("224.0.0.251") + bytes(4)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        sender, _ = await a.create_datagram_endpoint(asyncio.DatagramProtocol)
        sender.sendto(b"query", ("224.0.0.251", 5353))
        assert await got == b"query"
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, request)

    on_a_cord(work)
