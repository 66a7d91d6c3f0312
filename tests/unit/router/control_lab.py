"""A control socket in front of a world of parts, for tests of the API and of its clients."""

import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path

import netstack
from netstack.address import Cidr, Ip4
from netstack.dhcp.server import DhcpConfig
from netstack.errors import UsageError
from netstack.http.client.client import HttpClient
from netstack.router.flow import Flow
from netstack.router.services.capture import Recorder
from netstack.router.services.control import Control
from netstack.router.services.dhcp import DhcpService
from netstack.router.services.forwards import Forwards
from netstack.router.services.names import LocalNames
from netstack.router.services.unixdoor import UnixStreams
from netstack.testing.wire import Wire

sys.path.insert(0, str(Path(__file__).parent.parent / "runtime"))
from forward_world import free_port as free_port

OWN = Cidr.parse("10.0.2.2/24")


class Policy:
    """As much of one as the API asks."""

    def __init__(self):
        self.default = "deny"
        self.rules = []

    def allow(self, where):
        self.rules.append(f"allow {where}")

    def deny(self, where):
        if where == "nonsense":
            raise UsageError("'nonsense' is no rule")
        self.rules.append(f"deny {where}")

    def remove(self, rule):
        self.rules.remove(rule)

    def denials(self):
        return ("10.0.2.100 -> 192.0.2.1:80",)


class Lab:
    def __init__(self, client, net, control, flows, path):
        self.client, self.net, self.control, self.flows, self.path = client, net, control, flows, path

    async def get(self, path, status=200):
        response = await self.client.get("http://router" + path)
        body = await response.read()
        assert response.status == status, body
        return json.loads(body) if response.headers.get("content-type") == "application/json" else body.decode()

    async def post(self, path, said, status=200, method="POST"):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        response = await self.client.request(method, "http://router" + path, body=body)
        text = (await response.read()).decode()
        assert response.status == status, text
        return text


def lab(test):
    async def main():
        wire = Wire()
        async with asyncio.timeout(20):
            async with netstack.open(wire.port("router"), addresses=[str(OWN)], seed=1) as net:
                config = DhcpConfig(own=OWN, first=Ip4.parse("10.0.2.100"), last=Ip4.parse("10.0.2.110"))
                dhcp = DhcpService(net, config)
                dhcp.start()
                forwards = Forwards(net, gateway=OWN.address, default_guest=lambda: Ip4.parse("10.0.2.100"))
                flows = [Flow("tcp", Ip4.parse("10.0.2.100"), 40000, Ip4.parse("192.0.2.1"), 443, net.now())]
                control = Control(
                    net,
                    flows=lambda: flows,
                    forwards=forwards,
                    dhcp=dhcp,
                    names=LocalNames(OWN.address, OWN, leased=dhcp.address_of),
                    recorder=Recorder(net.stack, "router"),
                    policy=Policy(),
                )
                with tempfile.TemporaryDirectory() as folder:
                    path = f"{folder}/control.sock"
                    await control.listen(path)
                    assert oct(Path(path).stat().st_mode & 0o777) == "0o600"
                    try:
                        async with HttpClient(UnixStreams(path)) as client:
                            await test(Lab(client, net, control, flows, path))
                    finally:
                        await control.aclose()
                        await forwards.aclose()
                        dhcp.close()
                    assert not Path(path).exists()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def run():
        asyncio.run(main())
        gc.collect()

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
