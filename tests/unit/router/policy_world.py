"""A guest, a router and a site in a world of virtual time. The router accepts what the guest sends to it as NAT would: it asks the
policy, connects to the site, and lets the decision have its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import trustme
from policy_words import GUEST, SITE

import netstack
from netstack.address import Ip4
from netstack.http.client.client import HttpClient
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND, SECOND
from netstack.router.flow import Flow
from netstack.router.policy.policy import Policy
from netstack.router.policy.pump import pass_through
from netstack.testing.net import World
from netstack.tls.stack import Tls

SITES = trustme.CA(organization_name="sites")


def trusting(*authorities: bytes) -> Any:
    """A context of a client that trusts these, in PEM."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for pem in authorities:
        context.load_verify_locations(cadata=pem.decode())
    return context


SITES_PEM = SITES.cert_pem.bytes()


def site_context(*names: str) -> Any:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    SITES.issue_cert(*names).configure_cert(context)
    return context


class Scene:
    """Everybody, while `visit` runs. `flows` are those that the guest began, `seen` what the site was asked."""

    def __init__(self, policy: Policy, world: World) -> None:
        self.policy = policy
        self.world = world
        self.guest, self.router, self.site = (world.host(name) for name in ("guest", "router", "site"))
        world.link(self.guest, self.router, delay=MILLISECOND)
        world.link(self.router, self.site, delay=5 * MILLISECOND)
        self.flows: list[Flow] = []
        self.seen: list[Request] = []
        self.bodies: list[bytes] = []
        self.handler: Callable[[Request], Awaitable[Response]] = self.answer

    async def answer(self, request: Request) -> Response:
        self.seen.append(request)
        self.bodies.append(await request.body.read(1 << 24))
        return Response.text(f"{request.method} {request.target}\n")

    async def nat(self, guest: Any) -> None:
        """One connection of the guest's, which asked for SITE on the port that it came to."""
        port = guest.local_address[1]
        flow = Flow("tcp", Ip4.parse(GUEST), guest.remote_address[1], Ip4.parse(SITE), port, self.policy.clock())
        self.flows.append(flow)
        decision = self.policy.decide(flow)
        try:
            if decision.action == "deny":
                guest.abort()
                return
            far = await self.router.net.connect_stream(str(self.site.address.address), port)
            if decision.handler is not None:
                await decision.handler(flow, guest, far)
                return
            first = b""
            if decision.inspect is not None:
                while (said := decision.inspect(flow, first, False)) is None:
                    first += await guest.receive()
                if not said:
                    guest.abort()
                    far.abort()
                    return
            await pass_through(guest, far, first)
        finally:
            self.policy.over(flow)

    def client(self, context: Any = None, **more: Any) -> HttpClient[Any]:
        async def resolve(host: str, port: int) -> list[tuple[str, int]]:
            return [(str(self.router.address.address), port)]

        return HttpClient(self.guest.net, resolve, context=context, decode=False, **more)

    async def stream(self, port: int = 80) -> Any:
        return await self.guest.net.connect_stream(str(self.router.address.address), port)

    async def talk(self, data: bytes, port: int = 80) -> bytes:
        """Send it on a connection of its own, and receive to the end."""
        stream = await self.stream(port)
        await stream.send_all(data)
        await stream.send_eof()
        answer = b""
        try:
            while more := await stream.receive():
                answer += more
        finally:
            await stream.aclose()
        return answer


def run_scene(policy: Policy, visit: Callable[[Scene], Awaitable[Any]], *names: str, serve: Any = None) -> Any:
    """`visit(scene)`, where the site is called `names` under TLS. `serve(stream)` in place of its server in the clear."""

    async def main() -> Any:
        world = World(seed=5)
        scene = Scene(policy, world)
        async with netstack.open_world(world), AsyncExitStack() as stack:
            server = HttpServer(scene.site.net, lambda request: scene.handler(request))
            stack.push_async_callback(server.aclose, 0 * SECOND)
            if serve is None:
                await server.listen(80)
                await server.listen(9000)
            else:
                await scene.site.net.serve_streams(serve, 80)
            if names:
                secure = HttpServer(Tls(scene.site.net, site_context(*names)), lambda request: scene.handler(request))
                stack.push_async_callback(secure.aclose, 0 * SECOND)
                await secure.listen(443)
                await secure.listen(9443)
            for port in (80, 443, 9000, 9443):
                await scene.router.net.serve_streams(scene.nat, port)
            return await visit(scene)

    return netstack.run_virtual(main())
