"""httpx over anyio: on asyncio against uvicorn, on trio against a server of a few lines; HTTP/1.1, HTTP/2 and TLS."""

import contextlib
import functools

from tests.compat.harness import FACTORY, NATIVE, cells, client_tls, program, server_tls

httpx = program("httpx", "h11")
import h11  # noqa: E402
import test_compat_hypercorn as hypercorn  # noqa: E402
import test_compat_uvicorn as uvicorn  # noqa: E402

BODY = bytes(range(256)) * 1024


async def ask(host, port, scheme="http", **options):
    async with httpx.AsyncClient(base_url=f"{scheme}://{host}:{port}", trust_env=False, **options) as client:
        for body in (b"", BODY):
            answer = await client.post("/hello", params={"a": "1"}, content=body)
            assert answer.text == f"POST /hello a=1 {len(body)} {scheme}"
        async with client.stream("GET", "/hello") as answer:
            assert b"".join([piece async for piece in answer.aiter_bytes()]).startswith(b"GET /hello")
    return answer


async def ask_http2(host, port):
    answer = await ask(host, port, "https", http1=False, http2=True, verify=client_tls())
    assert answer.http_version == "HTTP/2"


@contextlib.asynccontextmanager
async def serve_trio(host, tls=None):
    """HTTP by h11 over trio's listeners: the same answers as the application of the other servers."""
    import trio

    async with trio.open_nursery() as nursery:
        handler = functools.partial(attend, scheme="https" if tls else "http")
        if tls is None:
            listeners = await nursery.start(functools.partial(trio.serve_tcp, handler, 0, host=host))
            listener = listeners[0]
        else:
            listeners = await nursery.start(
                functools.partial(trio.serve_ssl_over_tcp, handler, 0, tls, host=host, https_compatible=True)
            )
            listener = listeners[0].transport_listener
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def attend(stream, scheme):
    import trio

    async with stream:
        http = h11.Connection(h11.SERVER)
        try:
            while True:
                request, size = None, 0
                while True:
                    event = http.next_event()
                    if event is h11.NEED_DATA:
                        http.receive_data(await stream.receive_some(65536))
                    elif isinstance(event, h11.Request):
                        request = event
                    elif isinstance(event, h11.Data):
                        size += len(event.data)
                    else:
                        break
                if not isinstance(event, h11.EndOfMessage):
                    return  # the client has closed
                path, _, query = request.target.decode().partition("?")
                text = f"{request.method.decode()} {path} {query} {size} {scheme}".encode()
                for event in (
                    h11.Response(status_code=200, headers=[("content-length", str(len(text)))]),
                    h11.Data(data=text),
                    h11.EndOfMessage(),
                ):
                    await stream.send_all(http.send(event))
                http.start_next_cycle()
        except trio.BrokenResourceError:
            pass


@cells("httpx", "http", "HTTP/1.1 against uvicorn, streamed answers", way=NATIVE, taps=("client",))
def test_http(where):
    where.run(lambda host: uvicorn.serve(host, "h11"), ask)


@cells("httpx", "trio-http", "HTTP/1.1 against h11 on `trio.serve_tcp`", way=FACTORY, loops=("trio",), taps=("server", "client"))
def test_http_trio(where):
    where.run(serve_trio, ask)


@cells("httpx", "trio-tls", "the same over TLS (`trio.serve_ssl_over_tcp`)", way=FACTORY, loops=("trio",))
def test_tls_trio(where):
    where.run(
        lambda host: serve_trio(host, server_tls()),
        functools.partial(ask, scheme="https", verify=client_tls()),
    )


@cells("httpx", "http2", "HTTP/2 over TLS against hypercorn", way=hypercorn.WAY)
def test_http2(where, tmp_path):
    where.run(lambda host: hypercorn.serve(host, certificates=tmp_path), ask_http2)
