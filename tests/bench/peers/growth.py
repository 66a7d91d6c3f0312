"""What a packet and a connection cost when there are so many of them: `growth.py CONNECTIONS`.

The crowd of bench_idle opens them: a device that remembers no peer. Bytes are what both allocators have handed out for each
connection, beyond a hundred others: that is exact for a hundred too, where resident memory has coarser steps. Time is that of a
data segment, and half an acknowledgement with it: turns of two full-sized segments of 536 bytes for one connection, which are
acknowledged together, however long it was silent, go through a random choice of connections in batches of 64 frames. All have
talked before. It prints `ready`, and measures the time again for each line that it reads.
"""

import asyncio
import ctypes
import gc
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from array import array

import netstack
from netstack import const
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from tests.bench.bench_idle import FIRST, PORT, PORTS, SERVER, TCP, WAVE, Crowd
from tests.bench.peers.services import BACKLOG, Sink

WARM = 100
TURNS = 2000  # of one measurement
REPEATS = 7
OPTIONS = b"\x01\x01\x08\x0a\0\0\x03\xe8\0\0\0\0"
PAYLOAD = bytes(536)


class Mallinfo(ctypes.Structure):
    NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES]


def allocated() -> int:
    """Bytes in use: of Python's allocator, which tells it to standard error only, and of glibc's."""
    gc.collect()
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as told:
        os.dup2(told.fileno(), 2)
        sys._debugmallocstats()
        os.dup2(standard_error, 2)
        os.close(standard_error)
        told.seek(0)
        found = re.search(rb"bytes in allocated blocks += +([\d,]+)", told.read())
    assert found is not None
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo
    info = libc.mallinfo2()
    return int(found[1].replace(b",", b"")) + int(info.uordblks) + int(info.hblkhd)


class Measured(Crowd):
    """A crowd that knows where each connection stands, in memory that was there before."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.there = array("I", bytes(4 * count))  # the server's next sequence number
        self.sent = array("I", bytes(4 * count))  # bytes
        self.deaf = False

    def transmit(self, frame: bytes, now: int) -> None:
        if self.deaf:
            return
        if frame[33] & const.SYN:
            me, port, seq = int.from_bytes(frame[16:20], "big"), *TCP.unpack_from(frame, 20)[1:3]
            self.there[(me - FIRST) * PORTS + port - 10000] = (seq + 1) & 0xFFFFFFFF
        super().transmit(frame, now)

    def turn(self, i: int) -> list[bytes]:
        """Two segments of connection `i`."""
        for _ in range(2):
            me, port, seq = FIRST + i // PORTS, 10000 + i % PORTS, i + 1 + self.sent[i]
            self.segment(me, port, seq, self.there[i], const.ACK | const.PSH, OPTIONS, PAYLOAD)
            self.sent[i] += len(PAYLOAD)
        frames = list(self.waiting)
        self.waiting.clear()
        return frames


def deliver(crowd: Measured, net: netstack.Net, frames: list[bytes]) -> int:
    """Nanoseconds it takes. What is sent meanwhile goes nowhere: no peer answers an acknowledgement."""
    batches = [frames[start : start + const.BATCH] for start in range(0, len(frames), const.BATCH)]
    now = net.now()
    crowd.deaf = True
    started = time.perf_counter_ns()
    for batch in batches:
        for frame in batch:
            crowd.receive(frame, now)
        crowd.flush(now)
    took = time.perf_counter_ns() - started
    crowd.deaf = False
    return took


def packet_time(crowd: Measured, net: netstack.Net, count: int) -> float:
    """Nanoseconds a segment: the median of some repeats."""
    times = []
    for _ in range(REPEATS):
        frames = [frame for _ in range(TURNS) for frame in crowd.turn(random.randrange(WARM, WARM + count))]
        times.append(deliver(crowd, net, frames) / len(frames))
    return statistics.median(times)


async def main(count: int) -> None:
    crowd = Measured(count + WARM)
    config = StackConfig(tcp=TcpConfig(max_connections=count + WARM))
    async with netstack.open(crowd, addresses=[SERVER], config=config) as net:
        await net.create_server(Sink, port=PORT, backlog=BACKLOG)
        tcp = net.stack.tcp

        async def reach(count: int) -> None:
            while crowd.opened < count:
                wave = range(crowd.opened, min(count, crowd.opened + WAVE))
                for i in wave:
                    crowd.open(i)
                crowd.wake()
                while tcp.mib.CurrEstab < wave.stop or crowd.waiting:
                    await asyncio.sleep(0)
                for i in wave:
                    deliver(crowd, net, crowd.turn(i))  # all have talked before
            await asyncio.sleep(0.1)

        await reach(WARM)
        before = allocated()
        await reach(WARM + count)
        each = (allocated() - before) / count
        print("ready", flush=True)
        while sys.stdin.readline():
            mib = net.stack.tcp.mib
            received, sent = mib.InSegs, mib.OutSegs
            value = packet_time(crowd, net, count)
            assert mib.InSegs - received == 2 * TURNS * REPEATS
            assert TURNS * REPEATS // 2 < mib.OutSegs - sent <= TURNS * REPEATS  # one for a turn, or for two in the same batch
            print(json.dumps({"ns": value, "bytes": each}), flush=True)


if __name__ == "__main__":
    netstack.run(main(int(sys.argv[1])))
