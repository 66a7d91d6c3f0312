"""hypercorn on asyncio and on trio, HTTP/1.1 and HTTP/2. It binds its sockets itself, before it has a loop to ask."""

import asyncio
import contextlib
import functools
import re

from tests.compat.asgi import app
from tests.compat.harness import ADOPTED, cells, certificate, client_tls, program, task_of

program("hypercorn", "h2")
import h2.config  # noqa: E402
import h2.connection  # noqa: E402
import h2.events  # noqa: E402
from hypercorn.asyncio import serve as serve_asyncio  # noqa: E402
from hypercorn.config import Config  # noqa: E402
from hypercorn.logging import Logger  # noqa: E402
from test_compat_uvicorn import ask as ask_http1  # noqa: E402

WAY = ADOPTED


def configuration(host, certificates=None):
    config = Config()
    config.bind = [f"{host}:0"]
    config.graceful_timeout = 0.5
    config.accesslog = config.errorlog = None
    if certificates is not None:
        config.certfile, config.keyfile = str(certificates / "chain.pem"), str(certificates / "key.pem")
        certificate().private_key_pem.write_to_path(config.keyfile)
        for pem in certificate().cert_chain_pems:
            pem.write_to_path(config.certfile, append=True)
    return config


@contextlib.asynccontextmanager
async def serve(host, certificates=None):
    running = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    class Announced(Logger):
        """The port that hypercorn chose is told to its log, and to nobody else."""

        async def info(self, message, *args, **kwargs):
            if (where := re.search(r"Running on https?://[^:]+:(\d+)", message)) and not running.done():
                running.set_result(int(where[1]))

    config = configuration(host, certificates)
    config.logger_class = Announced
    async with task_of(serve_asyncio(app, config, shutdown_trigger=ended.wait)) as serving:
        await asyncio.wait({serving, running}, return_when=asyncio.FIRST_COMPLETED)
        yield running.result() if running.done() else await serving
        ended.set()
        await serving


@contextlib.asynccontextmanager
async def serve_trio(host, certificates=None):
    import trio
    from hypercorn.trio import serve as serve_hypercorn

    ended = trio.Event()
    serving = functools.partial(serve_hypercorn, app, configuration(host, certificates), shutdown_trigger=ended.wait)
    async with trio.open_nursery() as nursery:
        binds = await nursery.start(serving)
        yield int(binds[0].rpartition(":")[2])
        ended.set()


async def ask_http2(host, port):
    """Ten requests at once on one connection, with bodies beyond the first window."""
    reader, writer = await asyncio.open_connection(host, port, ssl=client_tls("h2"))
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    http.initiate_connection()
    streams = range(1, 21, 2)
    for stream in streams:
        http.send_headers(stream, [(":method", "POST"), (":path", f"/{stream}"), (":scheme", "https"), (":authority", host)])
        http.send_data(stream, bytes(4096), end_stream=True)
    answers = dict.fromkeys(streams, b"")
    open_streams = set(streams)
    while open_streams:
        writer.write(http.data_to_send())
        await writer.drain()
        for event in http.receive_data(await reader.read(65536)):
            if isinstance(event, h2.events.DataReceived):
                answers[event.stream_id] += event.data
                http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                open_streams.discard(event.stream_id)
    assert answers == {stream: f"POST /{stream}  4096 https".encode() for stream in streams}
    http.close_connection()
    writer.write(http.data_to_send())
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def ask_trio(host, port):
    import trio

    async with await trio.open_tcp_stream(host, port) as stream:
        for close in (b"", b"Connection: close\r\n"):
            await stream.send_all(b"POST /hello?a=1 HTTP/1.1\r\nHost: there\r\nContent-Length: 5\r\n" + close + b"\r\nhello")
            answer = b""
            while not answer.endswith(b"POST /hello a=1 5 http"):
                data = await stream.receive_some()
                assert data, answer
                answer += data
        assert await stream.receive_some() == b""


@cells("hypercorn", "http", "ASGI with lifespan over HTTP/1.1", way=ADOPTED, taps=("server",))
def test_http(where):
    where.run(serve, ask_http1)


@cells("hypercorn", "http2", "ten HTTP/2 streams at once over TLS", way=ADOPTED)
def test_http2(where, tmp_path):
    where.run(lambda host: serve(host, tmp_path), ask_http2)


@cells("hypercorn", "trio-http", "the same server on trio", way=ADOPTED, loops=("trio",))
def test_http_trio(where):
    where.run(serve_trio, ask_trio)
