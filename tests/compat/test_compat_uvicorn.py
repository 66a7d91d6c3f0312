"""uvicorn with each of its HTTP parsers, as a library and from its command line with nothing changed but `--loop`."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.asgi import app
from tests.compat.harness import LOCAL, NATIVE, OURS, TAP, cells, certificate, client_tls, program, task_of

uvicorn = program("uvicorn", "httptools", "h11")

ROOT = Path(__file__).resolve().parents[2]


@contextlib.asynccontextmanager
async def serve(host, http, **options):
    config = uvicorn.Config(app, host, 0, http=http, ws="none", lifespan="on", log_config=None, access_log=False, **options)
    server = uvicorn.Server(config)
    async with task_of(server.serve()) as serving:
        while not server.started:
            await asyncio.sleep(0.001)
            if serving.done():
                await serving
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        await serving


async def ask(host, port, tls=None):
    """HTTP by hand: two requests on one connection, the second with a body in chunks."""
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    writer.write(b"GET /hello?a=1 HTTP/1.1\r\nHost: there\r\n\r\n")
    head, body = await answer(reader)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"GET /hello a=1 0 " + (b"https" if tls else b"http")
    writer.write(b"POST /hello HTTP/1.1\r\nHost: there\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for _ in range(20):
        writer.write(b"8000\r\n" + bytes(0x8000) + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    _, body = await answer(reader)
    assert body == b"POST /hello  655360 " + (b"https" if tls else b"http")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return head, await reader.readexactly(size)


@cells("uvicorn", "h11", "ASGI with lifespan, keep-alive, bodies in chunks; parser h11", way=NATIVE)
def test_h11(where):
    where.run(lambda host: serve(host, "h11"), ask)


@cells("uvicorn", "httptools", "the same; parser httptools", way=NATIVE, taps=("server",))
def test_httptools(where):
    where.run(lambda host: serve(host, "httptools"), ask)


@cells("uvicorn", "tls", "the same over TLS", way=NATIVE)
def test_tls(where, tmp_path):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate().private_key_pem.write_to_path(key)
    for pem in certificate().cert_chain_pems:
        pem.write_to_path(chain, append=True)
    where.run(
        lambda host: serve(host, "httptools", ssl_certfile=chain, ssl_keyfile=key),
        lambda host, port: ask(host, port, client_tls()),
    )


# -- the command -----------------------------------------------------------------------------------------------------------------

OURS_FOR_UVICORN = "netstack.runtime.loop:new_event_loop"
LOOPS = {  # what the command and its environment say
    ("kernel", "std"): ("asyncio", ""),
    ("kernel", "uvloop"): ("uvloop", ""),
    ("tap-server", "std"): (OURS_FOR_UVICORN, "asyncio"),
    ("tap-server", "uvloop"): (OURS_FOR_UVICORN, "uvloop"),
}


@pytest.mark.needs("curl", "ss")
@cells(
    "uvicorn",
    "command",
    "`NETSTACK=tap:… uvicorn --loop netstack.runtime.loop:new_event_loop app:app`, asked by curl",
    way=NATIVE,
    stack=False,
    taps=("server",),
)
def test_command(where, netns):
    host = LOCAL if where.net == "kernel" else OURS
    loop, base = LOOPS[where.net, where.loop]
    command = ["-m", "uvicorn", "--loop", loop, "--host", host, "--port", "8000", "tests.compat.asgi:app"]
    path = os.pathsep.join((str(ROOT), str(ROOT / "backends")))
    environment = {**os.environ, "PYTHONPATH": path, "NETSTACK": TAP, "NETSTACK_LOOP": base}
    with netns.start(sys.executable, *command, env=environment, cwd=ROOT) as uvicorn:
        try:
            said = ""
            while "Uvicorn running on" not in said:
                line = uvicorn.stderr.readline()
                assert line, said
                said += line
            # a body of 2 MiB, and another request on the same connection
            curl = ["curl", "-sS", "--max-time", "15", "--data-binary", "@-", f"http://{host}:8000/a", f"http://{host}:8000/b"]
            done = subprocess.run([*netns.prefix, *curl], input=bytes(2 << 20), capture_output=True)
            assert done.stdout == b"POST /a  2097152 http" + b"POST /b  2097152 http", done.stderr
            listening = netns.run("ss", "-Hltn", check=True).stdout
            assert (f"{host}:8000" in listening) == (where.net == "kernel"), listening
        finally:
            uvicorn.send_signal(signal.SIGINT)
            _, rest = uvicorn.communicate(timeout=15)
        said += rest
    assert "Finished server process" in said, said
    assert "Traceback" not in said, said
