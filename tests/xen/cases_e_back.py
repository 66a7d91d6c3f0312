"""Our netback on Xen, in domain 0 with itself: against Linux's netfront, and against ours. The kernel's own is away meanwhile."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from netstack_xen.back import XenBack
from netstack_xen.simulated import toolstack

import netstack

from .harness import NUMBERS, Bench, lasting, say, until

SIZE = 1_000_000
DATA = random.Random(1).randbytes(SIZE)


def vif(bench: Bench) -> int:
    """The number of an interface between domain 0 and itself, which no driver of the kernel's serves."""
    handle = next(NUMBERS)
    bench.tools  # noqa: B018  # opened first, so closed last
    bench.shell("rmmod xen-netback")
    bench.stack.callback(bench.shell, "insmod /modules/xen-netback.ko")
    folders = toolstack.add_vif(bench.tools.store, 0, handle, hotplug=False)
    bench.stack.callback(toolstack.remove_vif, bench.tools.store, folders)
    return handle


async def exchange(connect: "Callable[[int], Any]", serve: "Callable[..., Any]") -> None:
    """Both ways at once, by a connection of asyncio's shape; either end compares what came."""
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(DATA)
        heard = await reader.readexactly(SIZE)
        await writer.drain()
        done.set_result(heard)

    await serve(answer, 7000)
    reader, writer = await connect(7000)
    writer.write(DATA)
    assert hashlib.sha256(await reader.readexactly(SIZE)).digest() == hashlib.sha256(DATA).digest()
    assert await asyncio.wait_for(done, 40) == DATA
    writer.close()


def figures(net: Any) -> "dict[str, int]":
    return {name: value for name, value in net.netif.mib.snapshot().items() if value}


def is_well(counted: "dict[str, int]") -> bool:
    return not any(name.startswith(("Fatal", "InBad", "OutBad", "Refusals")) for name in counted)


@asynccontextmanager
async def kernels_netfront(bench: Bench, handle: int, address: str) -> AsyncIterator[str]:
    """Linux's, with an address; its interface."""
    await asyncio.to_thread(bench.shell, "insmod /modules/xen-netfront.ko")
    try:
        folder = Path(f"/sys/bus/xen/devices/vif-{handle}/net")
        await asyncio.to_thread(until, lambda: folder.exists() and list(folder.iterdir()), "the kernel's netfront appears")
        device = next(folder.iterdir()).name
        Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
        await asyncio.to_thread(bench.shell, f"ip addr add {address}/24 dev {device} && ip link set {device} up")
        yield device
    finally:
        unbind = f"echo vif-{handle} > /sys/bus/xen/drivers/vif/unbind"  # who is bound holds the module
        await asyncio.to_thread(bench.shell, f"{unbind}; rmmod xen-netfront")


@lasting(120)
def our_netback_serves_linuxs_netfront(bench: Bench) -> None:
    handle = vif(bench)
    here, there = f"10.97.{handle}.1", f"10.97.{handle}.2"

    async def main() -> None:
        async with netstack.open(f"xenback:0/{handle}?address={here}/24") as net, kernels_netfront(bench, handle, there):
            await net.ping(there, timeout=20.0)
            await exchange(
                lambda port: net.open_connection(there, port), lambda answer, port: asyncio.start_server(answer, there, port)
            )
            counted = figures(net)
            say({name: counted.get(name, 0) for name in ("InFrames", "InGso", "InBlank", "OutFrames", "OutGso", "OutBlank")})
            assert counted["InGso"] and counted["OutGso"] and is_well(counted), counted

    asyncio.run(main())


@lasting(120)
def our_netback_serves_our_netfront(bench: Bench) -> None:
    handle = vif(bench)
    here, there = f"10.97.{handle}.1", f"10.97.{handle}.2"

    async def main() -> None:
        async with (
            netstack.open(f"xenback:0/{handle}?address={here}/24") as host,
            netstack.open(f"xen:{handle}?address={there}/24&queues=2") as guest,
        ):
            await host.ping(there, timeout=20.0)
            await exchange(
                lambda port: host.open_connection(there, port), lambda answer, port: guest.start_server(answer, there, port)
            )
            counted = figures(host)
            say({name: counted.get(name, 0) for name in ("InFrames", "InGso", "OutFrames", "OutGso", "ControlRequests")})
            assert counted["InGso"] and counted["OutGso"] and counted["ControlRequests"] and is_well(counted), counted
            assert isinstance(host.netif, XenBack) and len(host.netif.lanes) == 2

    asyncio.run(main())
