"""Run in a namespace by test_dhcp_peers.py: `server` leases addresses on tap0 until it is ended, `client` has itself configured."""

import asyncio
import json
import sys

import netstack
from netstack.address import Cidr, Ip4
from netstack.dhcp.onstack import ServerOnStack
from netstack.dhcp.server import DhcpConfig
from netstack.instant import SECOND, Duration


async def serve() -> None:
    own = Cidr.parse("10.0.2.2/24")
    config = DhcpConfig(
        own=own,
        first=Ip4.parse("10.0.2.100"),
        last=Ip4.parse("10.0.2.199"),
        router=own.address,
        dns=(Ip4.parse("10.0.2.3"),),
        domain="lan",
        search=("lan", "example.org"),
        mtu=1400,
        routes=((Cidr.parse("10.9.0.0/16"), Ip4.parse("10.0.2.9")),),
        lease=Duration(3600 * SECOND),
    )
    async with netstack.open("tap:tap0?address=10.0.2.2/24") as net:
        server = ServerOnStack(
            net.stack,
            net.turn,
            config,
            on_change=lambda each: print(Ip4(each.address), each.hostname, each.state.value, flush=True),
        )
        server.start()
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.close()


async def be_served() -> None:
    async with netstack.open("tap:tap0?ip=dhcp") as net:
        assert net.dhcp is not None
        lease = net.dhcp.lease
        assert lease is not None
        said = {
            "addresses": net.addresses,
            "routes": [str(route) for route in net.stack.ip.route_table],
            "dns": [str(each) for each in lease.dns],
            "search": lease.search,
            "domain": lease.domain,
            "mtu": net.stack.ip.interfaces[0].mtu,
            "rtt": await net.ping("10.79.0.1", timeout=5),
        }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "server" else be_served())
