"""A driver domain in Python: two guests, each on a netfront of ours, and between them a router of ours on two netbacks."""

import asyncio

from netstack_xen.back import XenBack
from netstack_xen.front import Xen
from netstack_xen.simulated import Machine, toolstack

import netstack
from netstack.instant import Instant

SIZE = 3_000_000


def test_a_driver_domain_routes_between_two_guests():
    async def main(machine):
        now = Instant(asyncio.get_running_loop().time() * 1e9)
        tools = machine.domain(0)
        backs, fronts = [], []
        for domid in (3, 4):
            toolstack.add_vif(tools.store, domid, back=1, hotplug=False, mac=f"00:16:3e:00:00:0{domid}")
            backs.append(XenBack(machine.domain(1), domid, now=now, own=True))
            fronts.append(Xen(machine.domain(domid), now=now, own=True))
        ways = {"a": ["10.0.3.1/24"], "b": ["10.0.4.1/24"]}
        async with (
            netstack.open_router(dict(zip("ab", backs, strict=True)), addresses=ways),
            netstack.open(fronts[0], addresses=["10.0.3.2/24"], gateway="10.0.3.1") as client,
            netstack.open(fronts[1], addresses=["10.0.4.2/24"], gateway="10.0.4.1") as server,
        ):
            while not all(front.up for front in fronts):
                await asyncio.sleep(0)

            async def send(reader, writer):
                writer.write(bytes(SIZE))
                await writer.drain()
                writer.close()

            await server.start_server(send, port=80)
            reader, writer = await client.open_connection("10.0.4.2", 80)
            assert len(await reader.read(-1)) == SIZE
            writer.close()
            while any(conn.lingers() for conn in client.stack.tcp.connections()):  # else leaving waits for a server that has left
                await asyncio.sleep(0)
            # super-segments went through as they came, checksums undone: nobody has cut or summed anything
            assert backs[1].mib.InGso and backs[0].mib.OutGso and not backs[0].mib.OutCut
        tools.close()

    with Machine() as machine:
        netstack.run(asyncio.wait_for(main(machine), 20))
        machine.books.assert_even()
