"""What the ground floor costs: `python tests/bench/bench_ground.py`. A script for people, never a gate.

The loops are in `netstack.testing.ports`, compiled where the rest is, so that a call from Python is not what gets measured.
Compare two builds with NETSTACK_PURE=1 in front of one.
"""

import argparse
import random
import time
from collections.abc import Callable

import netstack
from netstack import serial
from netstack.address import Mac
from netstack.const import ETH_IPV4
from netstack.ethif.arp import Arp
from netstack.ethif.core import EthifRx
from netstack.ethif.mib import LinkMib
from netstack.testing import ports
from netstack.timers import Timers

SECOND = 1_000_000_000


class NullLink:
    """A signatures.Link over a core that drops everything."""

    mac = Mac(0x020000000001)
    mtu = 1500
    offload = 0

    def __init__(self) -> None:
        self.core = ports.NullLink()

    def attach(self, ethertype: int, sink: object) -> None:
        pass


def best(call: Callable[[], object], operations: int, rounds: int) -> float:
    """Nanoseconds for one operation: the best of some rounds, since noise only adds."""
    shortest = None
    for _ in range(rounds):
        started = time.perf_counter_ns()
        call()
        took = time.perf_counter_ns() - started
        shortest = took if shortest is None else min(shortest, took)
    return (shortest or 0) / operations


def timers(count: int, spread: int) -> tuple[Timers, list[ports.NullTimer]]:
    """A wheel with `count` deadlines over the next `spread` ns, their order another than that in memory."""
    wheel = Timers(0)
    waiting = [ports.NullTimer() for _ in range(count)]
    random.Random(1).shuffle(waiting)
    for i, timer in enumerate(waiting):
        wheel.arm(timer, 1 + i * spread // count)
    return wheel, waiting


def arp_send() -> Callable[[int], object]:
    arp = Arp(NullLink(), Timers(0), random.Random(1))
    arp.add_static(0x0A000002, 0x020000000002)
    return lambda n: ports.send_many(arp.core, 0x0A000002, n, 0)


def link_input() -> Callable[[int], object]:
    rx = EthifRx(LinkMib(), 0x020000000001)
    rx.attach(ETH_IPV4, EthifRx(LinkMib(), 0x020000000001))  # any sink: this one finds the rest too short
    frame = bytes.fromhex("020000000001 020000000002 0800") + bytes(8)
    return lambda n: ports.input_many(rx, frame, n, 0)


def compare_many(n: int) -> int:
    lt = serial.lt
    found = 0
    for a in range(n):
        found += lt(a, 0x80000000)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    pure = netstack.build_info().build == "pure"
    many = 20_000 if pure else 1_000_000
    rows: list[tuple[str, float]] = []
    for count in (100, 10_000, 100_000):
        wheel, waiting = timers(count, 30 * SECOND)
        ns = best(lambda w=wheel, t=waiting[count // 2]: ports.rearm_one(w, t, 0, many, 30 * SECOND), many, rounds)
        rows.append((f"re-arm one of {count:,} deadlines, the same again and again", ns))
        loops = max(1, many // 10 // count)
        ns = best(lambda w=wheel, t=waiting, k=loops: ports.rearm(w, t, 0, k, 30 * SECOND), count * loops, rounds)
        rows.append((f"re-arm one of {count:,} deadlines, each in turn", ns))
    for size in (20, 1_460, 65_536):
        data = bytearray(random.Random(1).randbytes(size))
        n = max(1, many // max(1, size // 64) // 10)
        rows.append((f"checksum of {size:,} bytes", best(lambda d=data, k=n: ports.sum_many(d, k), n, rounds)))
    send, receive = arp_send(), link_input()
    rows.append(("ARP: find the neighbour of the packet before, and send", best(lambda: send(many), many, rounds)))
    rows.append(("Ethernet: judge a frame and hand it up", best(lambda: receive(many), many, rounds)))
    rows.append(("serial.lt, called from Python", best(lambda: compare_many(many), many, rounds)))
    info = netstack.build_info()
    print(f"{info.build} build, Python {info.python}, best of {rounds}\n")
    for name, ns in rows:
        print(f"{name:64} {ns:12,.1f} ns")


if __name__ == "__main__":
    main()
