"""The small services over a tap, the kernel as client: what a program gets out of the stack. Compiled with offloads and without
(`plain`: each segment is a frame of its own, as on a wire), and pure with offloads.

    receive    discard: the client sends as fast as it can          send    the character generator: it reads as fast as it can
    echo       both at once, bytes counted once                     turn    one byte there and back, the next one after it
    udp        datagrams of 64 bytes there and back, 32 on the way  connect open, one byte there and back, close

Client and server share the machine's cores, in two processes. It runs in a network namespace of its own.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

STACK, KERNEL = "10.79.0.2", "10.79.0.1"
SPEC = f"tap:bench0?host={KERNEL}/24&address={STACK}/24&offload="
SECONDS = 1.0


def connect(port: int) -> socket.socket:
    stream = socket.create_connection((STACK, port), timeout=10)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def receive() -> float:
    """Gbit/s."""
    with connect(9) as stream:
        data = bytes(1 << 20)
        count = 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            count += stream.send(data)
    return count * 8 / SECONDS / 1e9


def send() -> float:
    """Gbit/s."""
    with connect(19) as stream:
        room = bytearray(1 << 20)
        count = 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            count += stream.recv_into(room)
    return count * 8 / SECONDS / 1e9


def echo() -> float:
    """Gbit/s."""
    with connect(7) as stream:
        stream.setblocking(False)
        data, room = bytes(1 << 18), bytearray(1 << 20)
        count = 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            readable, writable, _ = select.select([stream], [stream], [], 1)
            if writable:
                stream.send(data)
            if readable:
                count += stream.recv_into(room)
    return count * 8 / SECONDS / 1e9


def turn() -> float:
    """Microseconds."""
    with connect(7) as stream:
        count = 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            stream.send(b"x")
            stream.recv(1)
            count += 1
    return SECONDS / count * 1e6


def udp() -> float:
    """Thousands a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(1)
        peer.connect((STACK, 7))
        for _ in range(32):
            peer.send(bytes(64))
        count = 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            peer.recv(100)
            peer.send(bytes(64))
            count += 1
    return count / SECONDS / 1e3


def connections() -> float:
    """A second."""
    count = 0
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        with connect(7) as stream:
            stream.send(b"x")
            stream.recv(1)
            # a reset instead of TIME-WAIT, or the client runs out of ports
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        count += 1
    return count / SECONDS


ROWS: list[tuple[str, str, Callable[[], float]]] = [
    ("receive", "Gbit/s", receive),
    ("send", "Gbit/s", send),
    ("echo", "Gbit/s", echo),
    ("turn", "us", turn),
    ("udp", "thousand/s", udp),
    ("connect", "/s", connections),
]


def measure(build: str, offload: str) -> list[float]:
    environment = {**os.environ, "NETSTACK_PURE": "1" if build == "pure" else "0"}
    command = [sys.executable, "-m", "netstack", "smallservers", "--netif", SPEC + offload]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        if not server.stdout.readline():
            raise SystemExit(f"the {build} servers did not start")
        return [sorted(row() for _ in range(3))[1] for _, _, row in ROWS]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(10)


def main() -> int:
    if "--inside" not in sys.argv:
        apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        return subprocess.run([*apart, sys.executable, __file__, "--inside"]).returncode
    # the machine's default may be a model-based one, which paces: not what is measured here
    subprocess.run(["sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno"], check=True)
    columns = [measure("compiled", "yes"), measure("compiled", "no"), measure("pure", "yes")]
    print(f"{'':10}{'compiled':>12}{'plain':>12}{'pure':>12}")
    for (name, unit, _), *values in zip(ROWS, *columns, strict=True):
        print(f"{name:10}" + "".join(f"{value:12.2f}" for value in values) + f"  {unit}")
    return 0


sys.exit(main())
