"""Run in a namespace by test_ip_udp_kernel.py: a host with ARP, IPv4 and UDP on a tap, whose other end is the kernel.

Echoes on UDP port 7, then does what its argument says, prints what came of it, and ends after a quiet time or when told.
"""

import os
import random
import select
import sys
import time
from collections.abc import Callable

from netstack_tuntap import Tap

from netstack.adapters import PyDatagramUser
from netstack.address import Cidr, Ip4, Mac
from netstack.ethif.arp import Arp
from netstack.ethif.ethif import Ethif
from netstack.ipv4.ipv4 import Ipv4
from netstack.timers import Timers
from netstack.udp import Udp

KERNEL = int(Ip4.parse("10.79.0.1"))


class Echo:
    def __init__(self, udp: Udp) -> None:  # type: ignore[type-arg]
        self.port = udp.bind(0, 7, PyDatagramUser(self))
        self.groups = [int(Ip4.parse("239.1.2.3"))]
        for group in self.groups:
            self.port.join(group)

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        self.port.send(data, address, port, now)

    def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
        print(f"error {type(error).__name__} {Ip4(address)} {port}", flush=True)


def main(task: str) -> None:
    offload = os.environ.get("OFFLOAD", "yes")
    tap = Tap("tap0", host=Cidr.parse("10.79.0.1/24"), mac=Mac.parse("02:00:00:00:79:02"), offload=offload)
    now = time.monotonic_ns()
    timers = Timers(now)
    rng = random.Random(1)
    eth = Ethif(tap)
    arp = Arp(eth, timers, rng, now=now)
    ip = Ipv4(eth, arp, timers, rng)
    cidr = Cidr.parse("10.79.0.2/24")
    ip.add_address(cidr)
    arp.add_address(int(cidr.address), now, probe=False)
    arp.on_unreachable = ip.neighbour_failed
    udp = Udp(ip, rng)
    echo = Echo(udp)
    print("ready", flush=True)
    answers: list[int] = []

    def ping(size: int) -> None:
        ip.icmp.on_echo_reply(size & 0xFFFF, lambda src, seq, payload, ttl, t: answers.append(len(payload)))
        ip.icmp.ping(KERNEL, size & 0xFFFF, 1, bytes(size), time.monotonic_ns())

    tasks: dict[str, Callable[[], None]] = {
        "serve": lambda: None,
        "ping": lambda: [ping(size) for size in (0, 1, 1472, 1473, 60_000)] and None,
        "refused": lambda: echo.port.send(b"anybody?", KERNEL, 9, time.monotonic_ns()),
        "many": lambda: echo.port.send_many(bytes(range(250)) * 200, 1000, KERNEL, 5000, time.monotonic_ns()) and None,
        "nobody": lambda: echo.port.send(b"anybody?", KERNEL + 98, 9, time.monotonic_ns()),
    }
    tasks[task]()
    descriptor = tap.fileno()
    end = time.monotonic() + float(os.environ.get("SECONDS", "30"))
    while time.monotonic() < end:
        wait = min(timers.next_deadline() - time.monotonic_ns(), 100_000_000) / 1e9
        ready, _, _ = select.select([descriptor, 0], [], [], max(wait, 0))
        now = time.monotonic_ns()
        timers.run(now)
        if 0 in ready:
            break
        while tap.poll(now):
            pass
        if task == "ping" and len(answers) == 5:
            break
    print("answers", *sorted(answers), flush=True)
    for group in (ip.mib, ip.icmp.mib, udp.mib, tap.mib):
        print({name: value for name, value in group.snapshot().items() if value}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
