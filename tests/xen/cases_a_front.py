"""Our netfront against Linux's netback, in domain 0 with itself: no guest is needed for that, and nothing is simulated."""

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import netstack

from .harness import Bench, Vif, case, lasting, say, until
from .sniffer import sniffing

MEGABYTE = 1_000_000


async def connected(net: Any, seconds: float = 40.0) -> None:
    """What is sent before is dropped, as on a cable that isn't plugged in."""
    end = time.monotonic() + seconds
    while not net.netif.up:
        assert time.monotonic() < end, f"no connection in {seconds:g} s: {list(net.netif.events)}"
        await asyncio.sleep(0.02)


async def fetched(net: Any, vif: Vif, size: int, port: int = 7000) -> None:
    """`size` bytes from the kernel's socket to ours, and back: both ends compare a digest."""
    data = random.Random(size).randbytes(size)
    digest = hashlib.sha256(data).digest()
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        sum_of = hashlib.sha256()
        while chunk := await reader.read(1 << 18):
            sum_of.update(chunk)
        heard.set_result(sum_of.digest())
        writer.close()

    await connected(net)
    server = await asyncio.start_server(serve, vif.peer, port, limit=1 << 20)
    async with server:
        stream = await net.connect_stream(vif.peer, port)
        began = time.monotonic()
        ours = hashlib.sha256()
        got = 0
        while got < size:
            chunk = await stream.receive(1 << 18)
            assert chunk, f"the stream ended after {got} bytes"
            ours.update(chunk)
            got += len(chunk)
        assert ours.digest() == digest, "what came is not what was sent"
        middle = time.monotonic()
        await stream.send_all(data)
        await stream.send_eof()
        assert await asyncio.wait_for(heard, 60) == digest, "what the kernel received is not what was sent"
        ended = time.monotonic()
        assert await stream.receive() == b""
        await stream.aclose()
    say(f"{size} bytes: {8 * size / (middle - began) / 1e6:.0f} Mbit/s in, {8 * size / (ended - middle) / 1e6:.0f} out")


@case
def a_handshake_then_arp_then_pings_of_eight_to_sixty_thousand_bytes(bench: Bench) -> None:
    vif = bench.vif()

    async def main() -> None:
        async with netstack.open(vif.spec()) as net:
            await connected(net)
            for size in (8, 56, 1400, 6000, 60_000):
                took = await net.ping(vif.peer, size=size, timeout=20.0)
                say(f"a ping of {size} bytes: {took / 1e6:.1f} ms")
            assert net.netif.mib.Connects == 1 and net.netif.steered is False
            pinging = asyncio.to_thread(bench.shell, f"ping -c 3 -i 0.2 -s 1000 -W 3 {vif.ours}")
            assert "0% packet loss" in await pinging
            assert vif.states() == ("4", "4")
        assert vif.states() == ("6", "6"), f"after closing: {vif.states()}"

    asyncio.run(main())


@lasting(120)
def ten_megabytes_either_way_with_sums_and_segments_left_to_the_other_end(bench: Bench) -> None:
    vif = bench.vif()
    Path("/proc/sys/net/ipv4/tcp_min_tso_segs").write_text("40")  # not smaller because everything here is slow

    async def main() -> None:
        async with netstack.open(vif.spec()) as net:
            await connected(net)
            with sniffing(vif.device) as seen:
                await fetched(net, vif, 10 * MEGABYTE)
            mib = net.netif.mib
            say("to us:", seen.to_us)
            say("from us:", seen.from_us)
            for way in (seen.to_us, seen.from_us):
                assert way.cut_later > 50 and way.blank >= way.cut_later and way.largest > 30_000, seen
            assert mib.InFrames < 5 * MEGABYTE / 1500 and mib.OutFrames < 5 * MEGABYTE / 1500, "super-segments were cut on the way"
            assert mib.OutErrors == mib.InErrors == mib.OutNoRoom == mib.Losses == 0
            assert net.counters()["Tcp"]["InErrs"] == 0

    asyncio.run(main())


@lasting(120)
def without_offloads_every_frame_is_whole_and_summed(bench: Bench) -> None:
    vif = bench.vif()

    async def main() -> None:
        async with netstack.open(vif.spec(offload="no")) as net:
            await connected(net)
            with sniffing(vif.device) as seen:
                await fetched(net, vif, MEGABYTE)
            for way in (seen.to_us, seen.from_us):
                assert way.cut_later == way.blank == 0 and way.largest <= 1514, seen

    asyncio.run(main())


@lasting(120)
def two_queues_with_split_channels_and_a_control_ring(bench: Bench) -> None:
    vif = bench.vif()

    async def main() -> None:
        async with netstack.open(vif.spec(queues=2, split="yes", steer="yes")) as net:
            await connected(net)
            await net.ping(vif.peer, timeout=20.0)
            store = bench.tools.store
            names = set(store.list(vif.folders.frontend) or ())
            assert {"queue-0", "queue-1", "ctrl-ring-ref", "event-channel-ctrl"} <= names
            assert "event-channel-tx" in (store.list(f"{vif.folders.frontend}/queue-1") or ())
            end = time.monotonic() + 10
            while not net.netif.steered and time.monotonic() < end:
                await asyncio.sleep(0.05)
            assert net.netif.steered, "the control ring did not answer"
            for port in range(7000, 7008):
                await fetched(net, vif, 50_000, port)
            for queue in net.netif.queues:  # all the flows of one queue alone: once in 128 of such runs, for each direction
                say(f"requests of a queue: {queue.tx.req_prod} sent, {queue.rx.rsp_cons} received")

    asyncio.run(main())


CHILD = """
import asyncio, sys, netstack
async def main():
    async with netstack.open(sys.argv[1]) as net:
        while not net.netif.up:
            await asyncio.sleep(0.02)
        await net.ping(sys.argv[2], timeout=20.0)
        print("connected", flush=True)
        while True:
            await net.ping(sys.argv[2], timeout=20.0)
asyncio.run(main())
"""


@lasting(120)
def a_killed_program_leaves_the_interface_to_the_next(bench: Bench) -> None:
    vif = bench.vif()
    child = subprocess.Popen([sys.executable, "-c", CHILD, vif.spec(), vif.peer], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"connected\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    assert vif.states() == ("4", "4")  # nobody has told the back end

    async def main() -> None:
        async with netstack.open(vif.spec()) as net:
            await connected(net)
            await net.ping(vif.peer, timeout=20.0)
            await fetched(net, vif, 100_000)

    asyncio.run(main())
    assert vif.states() == ("6", "6")


@case
def closing_gives_every_page_back(bench: Bench) -> None:
    limit = Path("/sys/module/xen_gntalloc/parameters/limit")
    before = limit.read_text()
    vif = bench.vif()

    async def main() -> None:
        async with netstack.open(vif.spec()) as net:
            await connected(net)
            await net.ping(vif.peer, timeout=20.0)

    limit.write_text("700")  # not enough for two connections at once
    try:
        for _ in range(4):
            asyncio.run(main())
    finally:
        limit.write_text(before)


@lasting(120)
def a_back_end_that_is_restarted_is_connected_to_again(bench: Bench) -> None:
    vif = bench.vif()

    async def main() -> None:
        async with netstack.open(vif.spec()) as net:
            await connected(net)
            await net.ping(vif.peer, timeout=20.0)
            driver, device = Path("/sys/bus/xen-backend/drivers/vif"), f"vif-0-{vif.handle}"
            await asyncio.to_thread((driver / "unbind").write_text, device)  # rmmod would need all interfaces to be closed
            until(lambda: not Path("/sys/class/net", vif.device).exists(), f"{vif.device} disappears")
            await asyncio.to_thread((driver / "bind").write_text, device)
            await asyncio.to_thread(vif.ready)
            end = time.monotonic() + 60
            while net.netif.mib.Connects < 2:
                assert time.monotonic() < end, f"states {vif.states()}, {list(net.netif.events)}"
                await asyncio.sleep(0.1)
            await connected(net)
            await net.ping(vif.peer, timeout=20.0)

    asyncio.run(main())


@lasting(120)
def an_interface_is_taken_over_from_the_kernels_netfront(bench: Bench) -> None:
    bench.shell("insmod /modules/xen-netfront.ko")
    bench.stack.callback(bench.shell, "rmmod xen-netfront")
    vif = bench.vif()
    until(lambda: vif.states() == ("4", "4"), "the kernel connects to itself")

    async def main() -> None:
        async with netstack.open(vif.spec(takeover="yes")) as net:
            await connected(net)
            await net.ping(vif.peer, timeout=20.0)
            await fetched(net, vif, 100_000)

    asyncio.run(main())
