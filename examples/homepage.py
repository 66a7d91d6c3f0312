"""A homepage that is a machine of its own: an address, a DNS name, a site over HTTP/1.1, HTTP/2 and TLS.

    python examples/homepage.py SPEC FOLDER NAME [CERTIFICATE KEY]
    python examples/homepage.py 'tap:tap0?host=10.79.0.1/24&address=10.79.0.2/24' site/ www.example

    dig @10.79.0.2 www.example          curl http://10.79.0.2/          curl --resolve www.example:443:10.79.0.2 https://www.example/

It runs on any SPEC that `netstack.open` takes, `posix:` as well. The rest of the name's zone can be delegated to it.
"""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import netstack
from netstack.dns.name import parse
from netstack.http import HttpServer, StaticFiles

HTTP2 = ["h2"] if find_spec("h2") and find_spec("netstack.http.serve.session2") else []


@asynccontextmanager
async def homepage(net: Any, site: Any, name: str, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """`site` on ports 80 and, with `context`, 443, and `name` on port 53, for as long as the block runs."""
    zone = netstack.Zone(parse(name))
    zone.add("@", "SOA", 300, "@ hostmaster 1 7200 3600 1209600 60")
    zone.add("@", "NS", 300, "@")
    for address in net.addresses:
        zone.add("@", "A", 300, address.partition("/")[0])
    servers = [(HttpServer(net, site), 80)]
    if context is not None:
        context.set_alpn_protocols([*HTTP2, "http/1.1"])
        servers.append((HttpServer(netstack.Tls(net, context), site), 443))
    async with netstack.serve_dns(net, zone):
        try:
            for server, port in servers:
                await server.listen(port)
            yield
        finally:
            for server, _ in servers:
                await server.aclose()


async def main(spec: str, site: Any, name: str, *certificate: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
    if context is not None:
        context.load_cert_chain(*certificate)
    async with netstack.open(spec) as net, homepage(net, site, name, context):
        print(f"{name} is {', '.join(net.addresses)}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    netstack.run(main(sys.argv[1], StaticFiles(sys.argv[2], listing=False), *sys.argv[3:]))
