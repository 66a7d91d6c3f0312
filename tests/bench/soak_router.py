"""A day of a router in a minute: `python -m tests.bench.soak_router [SECONDS]`, as root or where user namespaces are allowed.

Two guests behind `netstack-tap`, with time-outs of seconds instead of hours. Connections that come and end, stall, half-close,
are reset by either side, meet nobody; datagrams from ports that are never used again, and answers to them; echo requests; what
comes by forwards. At the end both guests vanish with hundreds of connections open: their links are cut first, so nobody says
goodbye. Then nothing is left of it: flows, descriptors, and memory within what an allocator keeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tests.netns import Namespace

TIMEOUTS = "tcp=6,tcp-transitory=3,udp=3,udp-dns=2,icmp=2"
WORLD = """
import asyncio, socket, struct
DATA = bytes(range(251)) * 800
async def page(r, w):
    await r.readline(); w.write(DATA); await w.drain(); w.close()
async def echo(r, w):
    while d := await r.read(65536): w.write(d); await w.drain()
    w.close()
async def silent(r, w):
    await asyncio.sleep(3600)
async def resets(r, w):
    await r.read(10)
    w.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); w.close()
class Answer(asyncio.DatagramProtocol):
    def connection_made(self, t): self.t = t
    def datagram_received(self, d, a): self.t.sendto(d, a)
async def main():
    for port, serve in ((8000, page), (8001, silent), (8002, echo), (8003, resets)):
        await asyncio.start_server(serve, "127.0.0.1", port, backlog=1000)
    await asyncio.get_running_loop().create_datagram_endpoint(Answer, ("127.0.0.1", 8007))
    print("ready", flush=True)
    await asyncio.Event().wait()
def quiet(loop, context): pass
asyncio.run(main())
"""
GUEST = """
import asyncio, random, socket, struct, sys, time, subprocess, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
R = random.Random(int(sys.argv[1])); SECONDS = float(sys.argv[2]); HOST = "10.0.2.2"
counts = {}
async def open_(port): return await asyncio.wait_for(asyncio.open_connection(HOST, port), 5)
def reset(w): w.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); w.close()
async def whole():
    r, w = await open_(8000); w.write(b"GET\\n"); d = await asyncio.wait_for(r.read(-1), 20); assert len(d) == 200800; w.close()
async def stalls():
    r, w = await open_(8000); w.write(b"GET\\n"); await r.read(100); await asyncio.sleep(R.random() * 3); reset(w)
async def half():
    r, w = await open_(8002); w.write(b"x" * 5000); w.write_eof()
    assert len(await asyncio.wait_for(r.read(-1), 20)) == 5000; w.close()
async def idle():
    r, w = await open_(8001); w.write(b"hello"); await asyncio.sleep(R.random() * 9); w.close()
async def was_reset():
    r, w = await open_(8003); w.write(b"hello")
    try: await r.read(10)
    except ConnectionResetError: pass
    w.close()
async def refused():
    try: await open_(8009)
    except ConnectionRefusedError: return
    raise AssertionError
async def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False); s.connect((HOST, 8007 if R.random() < .8 else 8009)); s.send(b"x" * R.randrange(1, 1400))
        try: await asyncio.wait_for(asyncio.get_running_loop().sock_recv(s, 2000), 1)
        except (TimeoutError, ConnectionRefusedError): pass
async def ping():
    words = ["ping", "-n", "-q", "-c", "1", "-W", "1", "192.0.2.77"]
    p = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL); await p.wait()
KINDS = [(whole, 20), (stalls, 20), (half, 15), (idle, 15), (was_reset, 8), (refused, 8), (datagram, 40), (ping, 1)]
async def one(kind):
    try: await kind(); what = "well"
    except Exception as e: what = type(e).__name__
    counts[kind.__name__, what] = counts.get((kind.__name__, what), 0) + 1
async def echo(r, w):
    try:
        while d := await r.read(65536): w.write(d); await w.drain()
    except OSError: pass
    w.close()
class Answer(asyncio.DatagramProtocol):
    def connection_made(self, t): self.t = t
    def datagram_received(self, d, a): self.t.sendto(d, a)
async def main():
    await asyncio.start_server(echo, "0.0.0.0", 9000)
    await asyncio.get_running_loop().create_datagram_endpoint(Answer, ("0.0.0.0", 9001))
    print("ready", flush=True)
    end = time.time() + SECONDS; tasks = set(); kinds = [k for k, n in KINDS for _ in range(n)]
    while time.time() < end:
        for _ in range(6):
            t = asyncio.create_task(one(R.choice(kinds))); tasks.add(t); t.add_done_callback(tasks.discard)
        await asyncio.sleep(0.05)
    await asyncio.wait(tasks, timeout=15)
    last = [await open_(8001) for _ in range(150)] + [await open_(8000) for _ in range(50)]
    for r, w in last: w.write(b"a word\\n")
    await asyncio.sleep(0.3)
    subprocess.run(["ip", "link", "set", "tap0", "down"], check=True)
    print({f"{k} {w}": n for (k, w), n in sorted(counts.items())}, flush=True)
asyncio.run(main())
"""
CALLER = """
import asyncio, sys, time, socket
async def stream():
    r, w = await asyncio.open_connection("127.0.0.1", 9000)
    w.write(b"y" * 20000); w.write_eof(); d = await asyncio.wait_for(r.read(-1), 10); w.close(); return len(d) == 20000
async def packet():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False); s.connect(("127.0.0.1", 9001)); s.send(b"z")
        try: return bool(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(s, 10), 1))
        except (TimeoutError, OSError): return False
async def main():
    end = time.time() + float(sys.argv[1]); well = all_ = 0
    while time.time() < end:
        for ok in await asyncio.gather(stream(), packet(), packet(), return_exceptions=True): all_ += 1; well += ok is True
        await asyncio.sleep(0.05)
    print(well, "of", all_)
asyncio.run(main())
"""


class Router:
    """`netstack-tap`, and what it has."""

    def __init__(self, host: Namespace, words: list[str], path: str) -> None:
        self.path = path
        ready, tell = os.pipe()
        command = [sys.executable, "-m", "netstack.cli.tap", *words, "--ready-fd", str(tell), "-q", "--control", path]
        self.process = host.start("env", f"PYTHONPATH={os.environ.get('PYTHONPATH', '.')}", *command, pass_fds=(tell,), stderr=None)
        os.close(tell)
        with open(ready, "rb") as file:
            assert file.read() == b"1"
        # nsenter has become env, and env python: one process all the time
        self.pid = self.process.pid

    def ask(self, what: str) -> Any:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.path)
            s.sendall(f"GET {what} HTTP/1.0\r\nHost: tap\r\n\r\n".encode())
            return json.loads(b"".join(iter(lambda: s.recv(65536), b"")).partition(b"\r\n\r\n")[2])

    def state(self) -> dict[str, int]:
        with open(f"/proc/{self.pid}/status") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return {"rss_kib": rss, "descriptors": len(os.listdir(f"/proc/{self.pid}/fd")), "flows": self.ask("/flows")["total"]}


@contextlib.contextmanager
def guest(host: Namespace) -> Iterator[tuple[str, list[str]]]:
    made = host.start("unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo ready; exec sleep 600")
    assert made.stdout is not None and made.stdout.readline() == "ready\n"
    try:
        yield str(made.pid), ["nsenter", "-t", str(made.pid), "-U", "--preserve-credentials", "-n"]
    finally:
        made.kill()
        made.communicate()


def main(seconds: float) -> int:
    host = Namespace()
    folder = tempfile.mkdtemp()
    try:
        host.run("ip", "link", "set", "lo", "up")
        host.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")  # guests ping, too
        world = host.start(sys.executable, "-c", WORLD, stderr=subprocess.DEVNULL)
        assert world.stdout is not None and world.stdout.readline() == "ready\n"
        with guest(host) as (one, first), guest(host) as (two, second):
            words = ["--netns", one, "--netns", two, "--config-net", "--map-host-loopback", "--timeouts", TIMEOUTS]
            router = Router(host, [*words, "-t", "9000:9000", "-u", "9001:9001"], f"{folder}/control")
            begun = router.state()
            print("begin", begun, flush=True)
            program = [sys.executable, "-c", GUEST]
            loads = [host.start(*there, *program, str(n), str(seconds)) for n, there in enumerate((first, second))]
            for load in loads:
                assert load.stdout is not None and load.stdout.readline() == "ready\n"
            caller = host.start(sys.executable, "-c", CALLER, str(seconds))
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(min(5.0, seconds / 4))
                print("at work", router.state(), flush=True)
            for load in loads:
                out, errors = load.communicate(timeout=60)
                print(out.strip() or errors[-500:])
            print("forwards:", caller.communicate(timeout=60)[0].strip())
            print("vanished", router.state(), flush=True)
            for _ in range(30):  # what is idle ends, within what a sweep takes and the retransmissions of what was unread
                time.sleep(1)
                if router.state()["flows"] == 0:
                    break
            time.sleep(1)
            ended = router.state()
            print("end", ended, flush=True)
            counted = router.ask("/stats")
            nat = counted["Nat"]
            print({name: value for name, value in nat.items() if value})
            router.process.send_signal(signal.SIGTERM)
            status = router.process.wait(20)
        world.kill()
        world.communicate()
        well = ended["flows"] == 0 and ended["descriptors"] <= begun["descriptors"] + 2 and status == 0
        print("well" if well else "NOT WELL", f"memory {ended['rss_kib'] - begun['rss_kib']:+} KiB, status {status}")
        return 0 if well else 1
    finally:
        host.close()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 40.0))
