"""Time for a segment as connections grow: one byte to each of N connections in turn, and one byte back.

Each segment is for another connection than the one before, so nothing of it is in the cache: look-up, state, queues, timers. The
peer is a second stack on a patch cord, which pays the same; `each` is a segment there and a segment back in both stacks, and the
crank. `ratio` is to the first row: what growing costs. The clock is a virtual one on which a round takes 10 ms, however many
connections there are: so all do the same work, and no timer fires.
"""

import argparse
import gc
import random
import statistics
import sys
import time

import netstack
from netstack.address import Cidr
from netstack.instant import MILLISECOND, SECOND, Instant
from netstack.stack import Stack, StackConfig
from netstack.tcp.config import TcpConfig
from netstack.testing.cord import Cord
from netstack.testing.load import Echo, Quiet

PORT = 7
BATCH = 32
PEERS = 8  # addresses of the peer: each gives 16,384 ports


def measure(count: int, rounds: int) -> float:
    """Microseconds for an echo."""
    cord = Cord()
    now = Instant(SECOND)
    config = StackConfig(tcp=TcpConfig(max_connections=count + 10, max_half_open=100_000))
    there = [Cidr.parse(f"10.0.0.{i}/8") for i in range(2, 2 + PEERS)]
    a = Stack(cord.a, now=now, rng=random.Random(1), addresses=there, config=config)
    b = Stack(cord.b, now=now, rng=random.Random(2), addresses=[Cidr.parse("10.0.0.1/8")], config=config)

    def accept(conn: object) -> Echo:
        echo = Echo()
        echo.bind(conn)
        return echo

    b.tcp.listen(0, PORT, accept, count)

    def turn() -> None:
        a.run(now)
        b.run(now)

    users = []
    while len(users) < count:
        some = [Quiet() for _ in range(min(BATCH, count - len(users)))]
        for user in some:
            local = int(there[len(users) % PEERS].address)
            user.bind(a.tcp.connect(local, 0, 0x0A000001, PORT, user, now))
            users.append(user)
        while not all(user.opened for user in some):
            turn()
    conns = [user.conn for user in users]
    random.Random(3).shuffle(conns)
    gc.collect()
    gc.freeze()
    message = b"x"
    step = 10 * MILLISECOND * BATCH // count
    spent = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        for at in range(0, count, BATCH):
            now = Instant(now + step)
            for conn in conns[at : at + BATCH]:
                conn.write(message, now)
            cord.b.poll(now)
            cord.a.poll(now)
        spent.append((time.perf_counter() - begin) / count * 1e6)
    assert sum(user.received for user in users) == count * (rounds + 1) and not a.tcp.mib.RetransSegs + b.tcp.mib.RetransSegs
    return statistics.median(spent[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="*", default=[100, 1000, 10_000, 100_000])
    options = parser.parse_args()
    print(f"{netstack.build_info().build} build")
    first = 0.0
    for count in options.counts:
        got = measure(count, max(5, 100_000 // count))
        first = first or got
        print(f"{count:9,} connections {got:7.2f} us each   ratio {got / first:.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
