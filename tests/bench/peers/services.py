"""What the servers under test do. The same classes run on the kernel's sockets and on our stack, so that only the stack differs."""

import asyncio
from typing import Any, cast

ECHO, SINK, SOURCE, BUFFERED_SINK, STREAM_SINK, STREAM_SOURCE, HTTP = 7, 9, 19, 29, 39, 49, 80
# of our stack alone: its own stream, and datagrams answered below the event loop
OWN_SINK, OWN_VIEW_SINK, OWN_SOURCE, ECHO_PORT = 59, 60, 69, 77
BACKLOG = 4096

CHUNK = 256 * 1024  # of a write or read in bulk
DATA = bytes(CHUNK)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n"


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        self.write(data)


class Sink(asyncio.Protocol):
    def data_received(self, data: bytes) -> None: ...


class BufferedSink(asyncio.BufferedProtocol):
    room = memoryview(bytearray(CHUNK))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.room

    def buffer_updated(self, nbytes: int) -> None: ...


class Source(asyncio.Protocol):
    """Writes as much as the transport takes; the transport says when to stop."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.resume_writing()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        while not self.paused and not self.transport.is_closing():
            self.transport.write(DATA)


class Http(asyncio.Protocol):
    """No parser: an answer for each end of a request, which is the most that one callback for each segment can give."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        self.write(PAGE * data.count(b"\r\n\r\n"))


class UdpEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.sendto = cast(asyncio.DatagramTransport, transport).sendto

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.sendto(data, addr)


async def stream_sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(CHUNK):
            pass
    except ConnectionError:
        pass
    writer.close()


async def stream_source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            writer.write(DATA)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


PROTOCOLS = {ECHO: Echo, SINK: Sink, BUFFERED_SINK: BufferedSink, SOURCE: Source, HTTP: Http}
STREAMS = {STREAM_SINK: stream_sink, STREAM_SOURCE: stream_source}
