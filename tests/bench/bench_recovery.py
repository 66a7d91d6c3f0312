"""Goodput over a bad wire, ours beside the kernel's: TCP flows of both cross one `netstack wire` at the same time.

    near ---- tap left [ netstack wire: loss, delay, reordering ] tap right ---- bridge ---- far, the kernel's sockets
    (kernel)                                                                         `------ tap ---- our stack

Four groups of flows at once, all by one congestion control, so that noise of the machine falls on all of them alike:

    send     near -> far    compared with    near -> stack     the kernel sends in both: this tests our receiver
    receive  near <- far    compared with    near <- stack     this tests our recovery

The ratio is that of the mean goodputs; +- is its standard error, from the spread between flows. Each number is one
direction's goodput for each flow. `late` is how much the wire was late at the most: beyond a few milliseconds distrust the row.

Rows are chosen with --loss, --delay (one way, in ms), --reorder (percent held back by 5 ms).
"""

import argparse
import contextlib
import itertools
import json
import os
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

NEAR, FAR, STACK = "10.79.0.1", "10.79.0.3", "10.79.0.2"
SINK, SOURCE = 9, 19
TCP_CONGESTION, TCP_INFO = 13, 11
BLOCK = bytes(1 << 16)


class Flow:
    """One connection of the near kernel's, and what has crossed it."""

    def __init__(self, host: str, port: int, congestion: str) -> None:
        self.group = f"{'send' if port == SINK else 'receive'} {'kernel' if host == FAR else 'stack'}"
        self.sends = port == SINK
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, congestion.encode())
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect((host, port))
        self.bytes = 0

    def turn(self) -> None:
        if self.sends:
            self.socket.send(BLOCK)
        else:
            self.bytes += len(self.socket.recv(1 << 20))

    def finish(self) -> None:
        """What the peer has acknowledged is what has crossed: the rest waits in a buffer, or is lost."""
        if self.sends:
            info = self.socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
            self.bytes = struct.unpack_from("=Q", info, 120)[0]  # tcpi_bytes_acked
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def client(congestion: str, flows: int, seconds: float) -> None:
    """The near end: runs all flows, prints the Mbit/s of each by group."""
    selector = selectors.DefaultSelector()
    # each group by turns, so that a slow start is not shared with one's own kind alone
    ends = list(itertools.product((FAR, STACK), (SINK, SOURCE))) * flows
    started = time.monotonic()
    running = [Flow(host, port, congestion) for host, port in ends]
    for flow in running:
        selector.register(flow.socket, selectors.EVENT_WRITE if flow.sends else selectors.EVENT_READ, flow)
    end = started + seconds
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            with contextlib.suppress(BlockingIOError):
                key.data.turn()
    for flow in running:
        flow.finish()
    groups: dict[str, list[float]] = {}
    for flow in running:
        groups.setdefault(flow.group, []).append(flow.bytes * 8 / seconds / 1e6)
    print(json.dumps(groups))


def server(congestion: str) -> None:
    """The far kernel's end: reads and drops on one port, writes on the other."""
    selector = selectors.DefaultSelector()
    for port in (SINK, SOURCE):
        listener = socket.socket()
        listener.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, congestion.encode())  # inherited by what it accepts
        listener.bind(("", port))
        listener.listen(128)
        selector.register(listener, selectors.EVENT_READ, port)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            try:
                if key.data:
                    accepted, _ = peer.accept()
                    accepted.setblocking(False)
                    selector.register(accepted, selectors.EVENT_READ if key.data == SINK else selectors.EVENT_WRITE, 0)
                elif key.events == selectors.EVENT_WRITE:
                    peer.send(BLOCK)
                elif not peer.recv(1 << 20):
                    raise ConnectionResetError
            except BlockingIOError:
                pass
            except OSError:
                selector.unregister(peer)
                peer.close()


def stack(congestion: str) -> None:
    """Our end: the small servers, with the congestion control of this run."""
    import asyncio

    import netstack
    from netstack.cli.service import stop_event
    from netstack.cli.smallservers import small_servers
    from netstack.stack import StackConfig
    from netstack.tcp.config import TcpConfig

    async def serve() -> None:
        config = StackConfig(tcp=TcpConfig(congestion=congestion))
        stop = stop_event()
        async with netstack.open("tap:ours", addresses=[f"{STACK}/24"], config=config) as net, small_servers(net):
            print("ready", flush=True)
            await stop.wait()
            counters = {f"{group}.{key}": n for group, keys in net.counters().items() for key, n in keys.items() if n}
            print(json.dumps(counters))

    asyncio.run(serve())


class Place:
    """A network namespace that lives as long as this object's holder."""

    def __init__(self) -> None:
        command = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"]
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n"
        self.pid = str(self.holder.pid)
        self.prefix = ["nsenter", "--target", self.pid, "--net", "--"]
        # what was learnt from the flows before must not help: no cached ssthresh, no cached reordering
        self.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1", "net.ipv6.conf.all.disable_ipv6=1")

    def run(self, *words: str, timeout: float = 60) -> str:
        return subprocess.run([*self.prefix, *words], check=True, stdout=subprocess.PIPE, text=True, timeout=timeout).stdout

    def ip(self, text: str) -> None:
        self.run("ip", *text.split())

    def close(self) -> None:
        self.holder.communicate()


@contextlib.contextmanager
def service(prefix: list[str], *words: str) -> Iterator[list[str]]:
    """A Python program that says a line when it is ready; the list gets what it said until its end."""
    process = subprocess.Popen([*prefix, sys.executable, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said: list[str] = []
    try:
        if not process.stdout.readline():
            raise SystemExit(f"{' '.join(words)} did not start")
        yield said
    finally:
        process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=20)[0].splitlines()


def measure(faults: str, options: argparse.Namespace) -> tuple[dict[str, list[float]], str]:
    """Mbit/s of each flow by group, and how late the wire was at the most."""
    near, far = Place(), Place()
    told: list[str] = []
    me = __file__
    wire = ["-m", "netstack", "wire", "tap:left", "tap:right", "--fault", faults]
    if options.pcap:
        wire += ["--pcap", options.pcap]
    try:
        with service([], *wire) as said:
            subprocess.run(["ip", "link", "set", "left", "netns", near.pid], check=True)
            subprocess.run(["ip", "link", "set", "right", "netns", far.pid], check=True)
            near.ip(f"addr add {NEAR}/24 dev left")
            near.ip("link set left txqueuelen 10000 up")
            far.ip("link add between type bridge")
            far.ip("tuntap add dev ours mode tap")
            for port in ("right", "ours"):
                far.ip(f"link set {port} txqueuelen 10000 master between up")
            far.ip(f"addr add {FAR}/24 dev between")
            far.ip("link set between up")
            cc = options.congestion
            with contextlib.ExitStack() as services:
                services.enter_context(service(far.prefix, me, "server", cc))
                if options.twin:
                    far.ip(f"addr add {STACK}/24 dev between")
                else:
                    told = services.enter_context(service(far.prefix, me, "stack", cc))
                near.run("ping", "-q", "-c", "3", "-i", "0.2", STACK)
                near.run("ping", "-q", "-c", "3", "-i", "0.2", FAR)
                words = ("client", cc, str(options.flows), str(options.seconds))
                output = near.run(sys.executable, me, *words, timeout=options.seconds + 60)
                kernel = far.run("cat", "/proc/net/netstat", "/proc/net/snmp") if options.counters else ""
    finally:
        near.close()
        far.close()
    if options.counters:
        compare_counters(kernel, told)
    return json.loads(output), said[-1]


def compare_counters(kernel: str, told: list[str]) -> None:
    """What the far kernel and our stack counted of TCP, where either counted anything. Both had the same flows."""
    lines = [line.split() for line in kernel.splitlines()]
    theirs = {
        f"{names[0]}{name}".replace(":", "."): int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        if names[0] in ("Tcp:", "TcpExt:")
        for name, value in zip(names[1:], values[1:], strict=True)
    }
    ours = json.loads(told[-1]) if told else {}
    print(f"\n{'':42}{'kernel':>10}{'ours':>10}")
    for key in sorted({*theirs, *ours}):
        if key.startswith("Tcp") and (theirs.get(key) or ours.get(key)):
            print(f"{key:42}{theirs.get(key, '-'):>10}{ours.get(key, 0 if key in theirs else '-'):>10}")


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    """Of the means, and its standard error."""

    def relative(flows: list[float]) -> float:
        return statistics.stdev(flows) / len(flows) ** 0.5 / statistics.fmean(flows) if len(flows) > 1 else 0.0

    r = statistics.fmean(ours) / statistics.fmean(theirs)
    return r, float(r * (relative(ours) ** 2 + relative(theirs) ** 2) ** 0.5)


def main() -> int:
    if sys.argv[1:2] == ["client"]:
        client(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
        return 0
    if sys.argv[1:2] in (["server"], ["stack"]):
        (server if sys.argv[1] == "server" else stack)(sys.argv[2])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loss", type=float, nargs="+", default=[1.0, 5.0], help="percent, each way")
    parser.add_argument("--delay", type=float, nargs="+", default=[25.0, 50.0], help="milliseconds, one way")
    parser.add_argument("--reorder", type=float, nargs="+", default=[0.0, 2.0], help="percent held back by 5 ms")
    parser.add_argument("--more", default="", help="further faults: rate=20M,queue=100")
    parser.add_argument("--congestion", default="cubic")
    parser.add_argument("--flows", type=int, default=6, help="in each of the four groups")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="each with another seed")
    parser.add_argument("--pcap", help="capture of the wire, of the last round")
    parser.add_argument("--twin", action="store_true", help="a second group of the kernel's flows in place of ours: the noise")
    parser.add_argument("--counters", action="store_true", help="what the two at the far end counted")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        return subprocess.run([*apart, sys.executable, __file__, *sys.argv[1:], "--inside"]).returncode
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"], check=True)
    import netstack

    print(
        f"{netstack.build_info().build} build, {options.congestion}, {options.flows} x {options.rounds} flows of"
        f" {options.seconds:g} s in each group; Mbit/s for each flow\n"
    )
    print(f"{'loss':>5}{'delay':>8}{'reorder':>9}{'':10}{'kernel':>8}{'ours':>8}   ratio")
    for delay, loss, reorder in itertools.product(options.delay, options.loss, options.reorder):
        groups: dict[str, list[float]] = {}
        notes = []
        for seed in range(1, options.rounds + 1):
            faults = f"loss={loss}%,delay={delay}ms,reorder={reorder}%,reorder_by=5ms,seed={seed}"
            got, note = measure(",".join(filter(None, (faults, options.more))), options)
            notes.append(note)
            for name, flows in got.items():
                groups.setdefault(name, []).extend(flows)
        for direction in ("send", "receive"):
            theirs, ours = groups[f"{direction} kernel"], groups[f"{direction} stack"]
            r, error = ratio(ours, theirs)
            print(
                f"{loss:4g}%{delay:5g} ms{reorder:8g}%  {direction:8}{statistics.fmean(theirs):8.2f}{statistics.fmean(ours):8.2f}"
                f"   {r:.2f} +- {error:.2f}" + (f"   {'; '.join(notes)}" if direction == "send" else ""),
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
