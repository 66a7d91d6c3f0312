"""Two stacks in one process on a patch cord: what TCP and UDP cost by themselves, without a kernel, a loop or an application.

    bulk      one connection, Gbit/s; `copy`: the receiver takes the bytes out of the slab, as a program that keeps them must
    echo      a byte there and a byte back, microseconds for both stacks and the turns of their crank
    connect   connections a second, one after the other: open, a byte each way, close; `32 at once`: as many under way
    udp       datagrams of 64 bytes answered a second

Each figure is the median of --runs, with the lowest and the highest. `--only` chooses, `--count` fixes the work for a profiler.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable

import netstack
from netstack.address import Cidr
from netstack.instant import MILLISECOND, Instant
from netstack.stack import Stack, StackConfig
from netstack.tcp.config import TcpConfig
from netstack.testing.cord import OFFLOAD, Cord
from netstack.testing.load import Bounce, Echo, Once, Pinger, Quiet, Sink, Source

A, B = Cidr.parse("10.0.0.1/24"), Cidr.parse("10.0.0.2/24")


class Pair:
    """Two stacks and their crank, on the machine's clock."""

    def __init__(self, offload: int, config: TcpConfig | None = None) -> None:
        self.cord = Cord(offload=offload)
        now = Instant(time.monotonic_ns())
        settings = StackConfig(tcp=config or TcpConfig())
        self.a = Stack(self.cord.a, now=now, rng=random.Random(1), addresses=[A], config=settings)
        self.b = Stack(self.cord.b, now=now, rng=random.Random(2), addresses=[B], config=settings)

    def run(self, goal: Callable[[], object]) -> None:
        clock = time.monotonic_ns
        timers_a, timers_b = self.a.timers, self.b.timers
        poll_a, poll_b = self.cord.a.poll, self.cord.b.poll
        while not goal():
            for _ in range(64):
                now = clock()
                timers_a.run(now)
                poll_a(now)
                timers_b.run(now)
                poll_b(now)

    def listen(self, port: int, make: Callable[[], Quiet]) -> None:
        def accept(conn: object) -> Quiet:
            user = make()
            user.bind(conn)
            return user

        self.b.tcp.listen(0, port, accept, 1000)

    def connect(self, port: int, user: Quiet) -> None:
        user.bind(self.a.tcp.connect(0, 0, int(B.address), port, user, time.monotonic_ns()))

    def open(self, port: int, user: Quiet) -> None:
        self.connect(port, user)
        self.run(lambda: user.opened)


def bulk(offload: int, copy: bool, count: int) -> float:
    pair = Pair(offload)
    sinks: list[Sink] = []

    def make() -> Sink:
        sinks.append(Sink(copy))
        return sinks[-1]

    pair.listen(9, make)
    warm = Source(bytes(65536), 1 << 60)
    pair.open(9, warm)
    sink = sinks[0]
    pair.run(lambda: sink.received > 64 << 20)
    begin, before = time.perf_counter(), sink.received
    pair.run(lambda: sink.received - before >= count)
    spent = time.perf_counter() - begin
    return (sink.received - before) * 8 / spent / 1e9


def echo(offload: int, count: int) -> float:
    pair = Pair(offload)
    pair.listen(7, Echo)
    ping = Pinger(b"x", count)
    pair.open(7, ping)
    begin = time.perf_counter()
    ping.kick(time.monotonic_ns())
    pair.run(lambda: ping.received >= count)
    return (time.perf_counter() - begin) / count * 1e6


def connect(offload: int, count: int, width: int, reset: bool = True) -> float:
    pair = Pair(offload, TcpConfig(time_wait=MILLISECOND))
    pair.listen(7, Echo)
    state = [0, 0]
    open_ones: list[Once] = []

    def go_on() -> bool:
        for i in range(len(open_ones) - 1, -1, -1):
            if open_ones[i].ended:
                del open_ones[i]
                state[1] += 1
        while len(open_ones) < width and state[0] < count:
            state[0] += 1
            user = Once(b"x", reset)
            pair.connect(7, user)
            open_ones.append(user)
        return state[1] >= count

    def turn() -> None:
        clock = time.monotonic_ns
        timers_a, timers_b = pair.a.timers, pair.b.timers
        poll_a, poll_b = pair.cord.a.poll, pair.cord.b.poll
        while not go_on():
            for _ in range(3):
                now = clock()
                timers_a.run(now)
                poll_a(now)
                timers_b.run(now)
                poll_b(now)

    begin = time.perf_counter()
    turn()
    return count / (time.perf_counter() - begin)


def udp(offload: int, count: int, width: int) -> float:
    pair = Pair(offload)
    there, here = Bounce(), Bounce()
    there.bind(pair.b.udp.bind(0, 7, there))
    here.bind(pair.a.udp.bind(0, 0, here))
    for _ in range(width):
        here.port.send(bytes(64), int(B.address), 7, time.monotonic_ns())
    begin = time.perf_counter()
    pair.run(lambda: there.received >= count)
    return there.received / (time.perf_counter() - begin)


FIGURES: dict[str, tuple[str, int, Callable[[int], float]]] = {
    "bulk": ("Gbit/s", 2 << 30, lambda n: bulk(OFFLOAD, False, n)),
    "bulk-copy": ("Gbit/s", 2 << 30, lambda n: bulk(OFFLOAD, True, n)),
    "bulk-plain": ("Gbit/s", 256 << 20, lambda n: bulk(0, True, n)),
    "echo": ("us", 100_000, lambda n: echo(OFFLOAD, n)),
    "echo-plain": ("us", 100_000, lambda n: echo(0, n)),
    "connect": ("/s", 20_000, lambda n: connect(OFFLOAD, n, 1)),
    "connect-32": ("/s", 20_000, lambda n: connect(OFFLOAD, n, 32)),
    "connect-fin": ("/s", 10_000, lambda n: connect(OFFLOAD, n, 32, False)),
    "udp": ("/s", 200_000, lambda n: udp(OFFLOAD, n, 32)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--count", type=int)
    options = parser.parse_args()
    print(f"{netstack.build_info().build} build")
    for name in options.only:
        unit, count, measure = FIGURES[name]
        if netstack.build_info().build == "pure":
            count //= 16
        got = sorted(measure(options.count or count) for _ in range(options.runs))
        middle = statistics.median(got)
        digits = 0 if middle >= 1000 else 2
        print(f"{name:12} {middle:11,.{digits}f} {unit:7} [{got[0]:,.{digits}f} - {got[-1]:,.{digits}f}]", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
