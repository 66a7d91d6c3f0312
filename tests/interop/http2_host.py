"""A server of HTTP/1.1 and 2 on the kernel's sockets, on 8080 and under TLS on 8443. Says when it listens."""

import asyncio
import signal
import ssl

import trustme

import netstack
from netstack.http.serve.exchange import Exchange
from netstack.http.serve.server import HttpServer
from netstack.tls import Tls


async def application(exchange: Exchange) -> None:
    """`/N` is answered by N bytes, anything else by how many the request had; `/slow` takes a second."""
    size = 0
    while piece := await exchange.receive():
        size += len(piece)
    path = exchange.head.target
    if path == "/slow":
        await asyncio.sleep(1)
    await exchange.start(200, ((b"content-type", b"text/plain"),))
    left = int(path[1:]) if path[1:].isdigit() else 0
    while left > 0:
        block = bytes(min(left, 1 << 18))
        left -= len(block)
        await exchange.send(block)
    if not path[1:].isdigit():
        await exchange.send(b"%s had %d bytes" % (exchange.head.method.encode(), size))
    await exchange.finish()


async def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with netstack.open("posix:") as net:
        clear = HttpServer(net, application=application)
        secure = HttpServer(Tls(net, server=context), application=application)
        await clear.listen(8080, "127.0.0.1")
        await secure.listen(8443, "127.0.0.1")
        print("up", flush=True)
        await ended.wait()
        await secure.aclose()
        await clear.aclose()
    print(clear.mib.HandlerErrors + secure.mib.HandlerErrors, clear.mib.Http2, secure.mib.Http2)


netstack.run(main())
