"""Streams in bulk, beside asyncio's on kernel sockets, in one run: `bench_streams.py [SECONDS [ROUNDS [NAME …]]]`.

Each row is a service that reads to the end (`in`), sends until it is hung up on (`out`), or passes on to a second connection
(`through`), with a pump on kernel sockets at the other end: over a veth for asyncio on kernel sockets, over a tap with offload
for ours. Service and pump have a CPU each, the kernels are on reno, and rounds go through all rows before the next begins. Needs
root; traffic stays in two namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "backends")]
SINK, SOURCE, RELAY = 9, 19, 29
PORTS = {SINK: "in", SOURCE: "out", RELAY: "through"}
BLOCK = bytes(range(256)) * 1024
TAP, VETH = "10.79.0.2", "10.80.0.2"  # the services; the pump is .1
TUNE = (
    "net.ipv4.tcp_congestion_control=reno",
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv4.tcp_rmem=4096 131072 33554432",
    "net.ipv4.tcp_wmem=4096 131072 33554432",
)

# -- services ---------------------------------------------------------------------------------------------------------------------


async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    writer.close()


async def source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(BLOCK)
            await writer.drain()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on: Any) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            on[1].write(data)
            await on[1].drain()
    on[1].close()
    writer.close()


async def own_relay(stream: Any, on: Any) -> None:
    with contextlib.suppress(OSError):
        async for segment in stream:
            await on.send_all(segment)
    await on.aclose()


async def own_splice(stream: Any, on: Any) -> None:
    import netstack

    with contextlib.suppress(OSError):
        await netstack.splice(stream, on)


async def own_sink(stream: Any) -> None:
    while await stream.receive():
        pass


async def own_views(stream: Any) -> None:
    async for _segment in stream:
        pass


async def own_into(stream: Any) -> None:
    buffer = bytearray(262144)
    while await stream.receive_into(buffer):
        pass


async def own_source(stream: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            await stream.send_all(BLOCK)


async def on_kernel(reads: Callable[..., Awaitable[None]], writes: Callable[..., Awaitable[None]]) -> None:
    await asyncio.start_server(reads, VETH, SINK)
    await asyncio.start_server(writes, VETH, SOURCE)

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay(reader, writer, await asyncio.open_connection("10.80.0.1", RELAY))

    await asyncio.start_server(join, VETH, RELAY)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def on_net(
    reads: Callable[..., Awaitable[None]], writes: Callable[..., Awaitable[None]], passes: Callable[..., Awaitable[None]], own: bool
) -> None:
    import netstack

    async with netstack.open("tap:tap0?offload=1&host=10.79.0.1/24", addresses=[TAP + "/24"]) as net:
        if own:
            await net.serve_streams(reads, SINK)
            await net.serve_streams(writes, SOURCE)

            async def join_own(stream: Any) -> None:
                await passes(stream, await net.connect_stream("10.79.0.1", RELAY))

            await net.serve_streams(join_own, RELAY)
        else:
            await net.start_server(reads, port=SINK)
            await net.start_server(writes, port=SOURCE)

            async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await passes(reader, writer, await net.open_connection("10.79.0.1", RELAY))

            await net.start_server(join, port=RELAY)
        print("ready", flush=True)
        await asyncio.Event().wait()


SERVICES: dict[str, Callable[[], Awaitable[None]]] = {
    "asyncio on kernel sockets": lambda: on_kernel(sink, source),
    "asyncio-shaped on a tap": lambda: on_net(sink, source, relay, False),
    "own, receive() | splice": lambda: on_net(own_sink, own_source, own_splice, True),
    "own, async for | send_all": lambda: on_net(own_views, own_source, own_relay, True),
    "own, receive_into() | splice": lambda: on_net(own_into, own_source, own_splice, True),
}

# -- the pump ---------------------------------------------------------------------------------------------------------------------


def pump(host: str, port: int, seconds: float) -> float:
    """Gbit/s through one connection."""
    buffer = bytearray(1 << 18)
    if port == RELAY:
        return through(host, seconds)
    with socket.create_connection((host, port), timeout=10) as sock:
        start = now = time.perf_counter()
        total = 0
        while now - start < seconds:
            for _ in range(32):
                total += sock.send(buffer) if port == SINK else sock.recv_into(buffer)
            now = time.perf_counter()
    return total * 8 / (now - start) / 1e9


def through(host: str, seconds: float) -> float:
    """The same, counted where it arrives."""
    listener = socket.create_server((host[:-1] + "1", RELAY))
    if not os.fork():
        with socket.create_connection((host, RELAY), timeout=10) as sock:
            buffer = bytes(1 << 18)
            with contextlib.suppress(OSError):
                while True:
                    sock.send(buffer)
        os._exit(0)
    listener.settimeout(10)
    sock, _ = listener.accept()
    sock.settimeout(10)
    room = bytearray(1 << 18)
    start = now = time.perf_counter()
    total = 0
    while now - start < seconds:
        for _ in range(32):
            total += sock.recv_into(room)
        now = time.perf_counter()
    return total * 8 / (now - start) / 1e9


# -- the run ----------------------------------------------------------------------------------------------------------------------


def sh(command: str) -> None:
    subprocess.run(command, shell=True, check=True, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Two of them, joined by a veth: the pump's, which has the tap as well, and the kernel service's."""
    near, far = f"bs{os.getpid()}a", f"bs{os.getpid()}b"
    try:
        for name in (near, far):
            sh(f"ip netns add {name} && ip -n {name} link set lo up")
            for setting in TUNE:
                sh(f"ip netns exec {name} sysctl -qw '{setting}'")
        sh(f"ip link add v{near} netns {near} type veth peer name v{far} netns {far}")
        sh(f"ip -n {near} addr add 10.80.0.1/24 dev v{near} && ip -n {near} link set v{near} up")
        sh(f"ip -n {far} addr add {VETH}/24 dev v{far} && ip -n {far} link set v{far} up")
        yield near, far
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], check=False)


@contextlib.contextmanager
def service(name: str, namespace: str) -> Iterator[None]:
    command = ["ip", "netns", "exec", namespace, "taskset", "-c", "0", sys.executable, __file__, "--serve", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise SystemExit(f"{name!r} did not start")
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def measure(name: str, spaces: tuple[str, str], port: int, seconds: float) -> float:
    near, far = spaces
    kernel = "kernel" in name
    with service(name, far if kernel else near):
        command = ["ip", "netns", "exec", near, "taskset", "-c", "1", sys.executable, __file__, "--pump"]
        command += [VETH if kernel else TAP, str(port), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(seconds: float, rounds: int, chosen: list[str]) -> None:
    names = [name for name in SERVICES if not chosen or any(word in name for word in chosen)]
    figures: dict[tuple[str, int], list[float]] = {(name, port): [] for name in names for port in PORTS}
    with namespaces() as spaces:
        for _ in range(rounds):
            for name, port in figures:
                figures[name, port].append(measure(name, spaces, port, seconds))
    base = {port: statistics.median(figures[names[0], port]) for port in PORTS}
    print(f"{'Gbit/s, one stream':28}" + "".join(f"{verb:>22}{'ratio':>7}" for verb in PORTS.values()))
    for name in names:
        row = f"{name:28}"
        for port in PORTS:
            all_of = figures[name, port]
            middle = statistics.median(all_of)
            row += f"{middle:8.1f} [{min(all_of):.1f} - {max(all_of):.1f}]".rjust(22) + f"{middle / base[port]:7.2f}"
        print(row)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(SERVICES[sys.argv[2]]())  # type: ignore[arg-type]  # they are coroutine functions
    elif sys.argv[1:2] == ["--pump"]:
        print(pump(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    else:
        given = sys.argv[1:]
        main(float(given[0]) if given else 1.0, int(given[1]) if len(given) > 1 else 3, given[2:])
