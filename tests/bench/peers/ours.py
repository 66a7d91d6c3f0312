"""The services on our stack: `ours.py netstack|asyncio|uvloop SPEC`, as in `ours.py netstack 'tap:tap0?address=10.79.0.2/24'`."""

import sys

import netstack
from netstack.cli.echoport import EchoPort
from netstack.errors import BrokenError
from netstack.runtime.streams import TcpStream
from netstack.signatures import Stream
from tests.bench.peers import services
from tests.bench.peers.loop import run, serve


async def sink(stream: Stream) -> None:
    try:
        while await stream.receive(services.CHUNK):
            pass
    except BrokenError:
        pass


async def view_sink(stream: Stream) -> None:
    """Whole segments as they came, which no signature but our own has."""
    assert isinstance(stream, TcpStream)
    try:
        async for _ in stream:
            pass
    except BrokenError:
        pass


async def source(stream: Stream) -> None:
    try:
        while True:
            await stream.send_all(services.DATA)
    except BrokenError:
        pass


async def main(spec: str) -> None:
    async with netstack.open(spec) as net:
        for port, protocol in services.PROTOCOLS.items():
            await net.create_server(protocol, port=port, backlog=services.BACKLOG)
        for port, handler in services.STREAMS.items():
            await net.start_server(handler, port=port, backlog=services.BACKLOG)
        await net.serve_streams(sink, services.OWN_SINK)
        await net.serve_streams(view_sink, services.OWN_VIEW_SINK)
        await net.serve_streams(source, services.OWN_SOURCE)
        await net.create_datagram_endpoint(services.UdpEcho, ("", services.ECHO))
        direct = EchoPort()
        direct.port = net.stack.udp.bind(0, services.ECHO_PORT, direct)
        await serve()


run(main(sys.argv[2]), sys.argv[1])
