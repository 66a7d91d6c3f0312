"""What a segment of a flood costs: `python tests/bench/bench_floods.py`. A script for people, never a gate.

TCP alone, on an internet layer that is a Python function and counts what leaves: the cost of that function, about 2 us for each
segment that is answered, is in the figures. Compare two builds with NETSTACK_PURE=1 in front of one.
"""

import argparse
import random
import time

import netstack
from netstack import const
from netstack.tcp.config import TcpConfig
from netstack.tcp.tcp import Tcp
from netstack.tcp.wire import Segment, mss_option, timestamps_option
from netstack.testing.loopip import LoopIp, Packet
from netstack.timers import Timers

SECOND = 1_000_000_000
Flood = list[tuple[int, bytes]]


def segments(count: int, flags: int, port: int, local: int, rng: random.Random) -> Flood:
    made = []
    for _ in range(count):
        source = 0x0B000000 | rng.getrandbits(24)
        ack = rng.getrandbits(32) if flags & const.ACK else 0
        options = mss_option(1460) + timestamps_option(1, 0) if flags & const.SYN else b""
        segment = Segment(rng.randrange(1, 65536), port, rng.getrandbits(32), ack, flags, 65535, options)
        made.append((source, segment.encode(source, local)))
    return made


class Target:
    """A listener on port 80 that refuses whoever gets through."""

    def __init__(self, **config: object) -> None:
        self.sent: list[bytes] = []
        self.out = 0
        self.timers = Timers(0)
        self.ip = LoopIp("10.0.0.1", self._wire)
        self.ip.trusted = True
        self.keep = False
        self.tcp = Tcp(self.ip, self.timers, random.Random(1), TcpConfig(**config))  # type: ignore[arg-type]  # by name
        self.tcp.listen(0, 80, lambda conn: None)
        self.now = 1000 * SECOND

    def _wire(self, packet: Packet, now: int) -> None:
        self.out += 1
        if self.keep:
            self.sent.append(packet.data)

    def strike(self, flood: Flood) -> float:
        """Nanoseconds for each, in batches of 64."""
        local, inject, flush, now = self.ip.address, self.ip.inject, self.ip.flush, self.now
        begun = time.perf_counter_ns()
        for i, (source, data) in enumerate(flood):
            inject(source, local, const.PROTO_TCP, data, now)
            if i & 63 == 63:
                flush(now)
        flush(now)
        return (time.perf_counter_ns() - begun) / len(flood)


def show(what: str, ns: float) -> None:
    print(f"{what:58s} {ns / 1000:7.2f} us   {1e6 / ns:8.0f} thousand/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=0, help="segments in each flood (20000 compiled, 4000 pure)")
    count = parser.parse_args().count or (20000 if netstack.build_info().compiled else 4000)
    print(netstack.build_info().build)
    rng = random.Random(1)
    local = int(LoopIp("10.0.0.1", print).address)
    syns = segments(count, const.SYN, 80, local, rng)

    kinds = ("never", "always") if hasattr(TcpConfig(), "syn_cookies") else ("",)
    for kind in kinds:
        target = Target(**({"syn_cookies": kind} if kind else {}))
        target.strike(syns[:2048])
        show(f"SYN to a full table, cookies {kind or 'unknown'}", min(target.strike(syns) for _ in range(3)))

    target = Target()
    show("ACK for nobody, reset or limited", min(target.strike(segments(count, const.ACK, 80, local, rng)) for _ in range(3)))
    if kinds != ("",):
        target = Target(syn_cookies="always")
        target.strike(syns[:64])
        acks = segments(count, const.ACK, 80, local, rng)
        show("ACK that is no cookie's, while cookies are in use", min(target.strike(acks) for _ in range(3)))
        target.keep = True
        target.strike(syns)
        answers: Flood = []
        for (source, syn), raw in zip(syns, target.sent, strict=True):
            asked, answer = Segment.decode(syn), Segment.decode(raw)
            tsval = int.from_bytes(answer.options[8:12], "big")
            options = timestamps_option(2, tsval)
            ack = Segment(asked.sport, 80, (asked.seq + 1) & const.M32, (answer.seq + 1) & const.M32, const.ACK, 500, options)
            answers.append((source, ack.encode(source, local)))
        target.keep = False
        show("ACK of a cookie: a connection is made, and refused", target.strike(answers))
        assert target.tcp.ext.SyncookiesRecv == count


if __name__ == "__main__":
    main()
