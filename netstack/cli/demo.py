"""`netstack demo`: a stack with a page on it, and a fetch of that page through the kernel.

Three ways, the first that this machine allows:

    tap       with CAP_NET_ADMIN: a tap device, the kernel at one end and our stack at the other
    rootless  the same in a user and network namespace of our own; whoever wants to look at it enters the namespace
    memory    two of our stacks on a wire in memory: no kernel, no privilege, the same page

The tap goes when the process does, whatever ends it.
"""

import argparse
import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import attrs

from ..address import Cidr, Ip4, ip4_text
from ..errors import UsageError
from ..runtime.loop import KERNEL
from ..runtime.loop import run as run_loop
from .namespace import enter_rootless, may_configure_network
from .service import stop_event, stop_without_device
from .web import about_build, dashboard_server

if TYPE_CHECKING:
    from ..runtime.asyncio import Net

MODES = ("tap", "rootless", "memory")
SHOWN_LINES = 8  # of the page's text: enough to recognise it
WIDTH = 100  # of a line of the answer

# A client of the kernel's in a process of its own, for where curl is missing; it prints what `curl -i` prints.
CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=10)
connection.request("GET", "/")
response = connection.getresponse()
body = response.read()
print(f"HTTP/{response.version // 10}.{response.version % 10} {response.status} {response.reason}")
for name, value in response.getheaders():
    print(f"{name}: {value}")
print(flush=True)
sys.stdout.buffer.write(body)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after one fetch; exit status 0 when the page came complete")
    parser.add_argument("--mode", choices=MODES, help="which way (default: the first that works here)")
    parser.add_argument("--tap", metavar="NAME", default="nstap0", help="name of the device (nstap0)")
    parser.add_argument("--net", metavar="CIDR", default="10.79.0.0/24", help="its network (10.79.0.0/24)")
    parser.add_argument("--pcap", metavar="FILE", help="write every frame that the stack sees to FILE, as pcapng")


def run(args: argparse.Namespace) -> int:
    plan = Plan.make(args)
    mode = args.mode
    if mode is None:
        mode = "tap" if may_configure_network() else "rootless"
    try:
        try:
            if mode == "rootless":
                enter_rootless()
            if mode != "memory":
                check_free(plan)
                return run_loop(on_a_tap(plan, rootless=mode == "rootless"), net=KERNEL[0])
        except OSError as error:
            if args.mode is not None or error.filename is not None:  # the file of --pcap, which memory would not help
                raise
            print(f"No tap device here: {error.strerror or error}\n")
        return run_loop(in_memory(plan), net=KERNEL[0])
    except Gone as error:
        print(f"netstack: {error}", file=sys.stderr)
        return 1


@attrs.frozen
class Plan:
    """Who is where."""

    tap: str
    kernel: Cidr
    stack: Cidr
    once: bool
    pcap: str | None

    @classmethod
    def make(cls, args: argparse.Namespace) -> "Plan":
        net = Cidr.parse(args.net)
        if net.length > 30:
            raise UsageError(f"--net {args.net} has no room for two hosts: give one with a prefix of up to /30")
        if not 1 <= net.network >> 24 <= 223 or net.network >> 24 == 127:
            raise UsageError(f"--net {args.net} has no addresses for hosts: give a private one, like 10.79.0.0/24")
        hosts = [Cidr(Ip4(net.network + n), net.length) for n in (1, 2)]
        return cls(args.tap, hosts[0], hosts[1], args.once, args.pcap)


def check_free(plan: Plan) -> None:
    """Raise UsageError when the demo's names are somebody's already."""
    if plan.tap in (name for _, name in socket.if_nameindex()):
        raise UsageError(f"there is an interface {plan.tap} already: choose another name with --tap NAME")
    try:
        with open("/proc/net/route") as routes:
            lines = [line.split() for line in routes][1:]
    except OSError:
        return  # no such file, no such check
    for device, destination, *fields in lines:
        mask = socket.ntohl(int(fields[5], 16))
        network = socket.ntohl(int(destination, 16))
        narrower = mask & plan.kernel.mask
        if mask and network & narrower == plan.kernel.network & narrower:
            taken = f"{ip4_text(network)}/{mask.bit_count()}"
            raise UsageError(f"{taken} on {device} overlaps with the demo's network: choose another with --net CIDR")


# -- through the kernel ------------------------------------------------------------------------------------------------------


async def on_a_tap(plan: Plan, rootless: bool) -> int:
    from ..runtime.asyncio import open as open_

    stop = stop_event()
    host = str(plan.stack.address)
    async with (
        open_(f"tap:{plan.tap}?host={plan.kernel}", addresses=[str(plan.stack)], pcap=plan.pcap) as net,
        dashboard_server(net, 80),
    ):
        where = "in a namespace of our own" if rootless else "on this machine"
        print(f"{net.netif.name}, a tap device {where}: the kernel is {plan.kernel.address}, our stack is {host}")
        print(f"(the {about_build()})\n", flush=True)
        answer = await fetch_or_stop(stop, fetch_through_kernel(host, rootless))
        if answer is None:
            return 0
        print(answer.report(), flush=True)
        if plan.once:
            return 0 if answer.complete else 1
        print(what_to_try(host, rootless), flush=True)
        stop_without_device(net, stop)
        await show_counters(net, stop)
        if net.failure is not None:
            raise Gone(f"the demo ends: {net.failure.strerror or net.failure}")
    return 0


async def fetch_or_stop(stop: asyncio.Event, work: Coroutine[Any, Any, "Answer"]) -> "Answer | None":
    """What `work` gives; None when the user has had enough before that."""
    fetching, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({fetching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not fetching.done():
        fetching.cancel()
        await asyncio.wait({fetching})
        return None
    stopping.cancel()
    return fetching.result()


async def fetch_through_kernel(host: str, prefer_curl: bool) -> "Answer":
    """GET / by a program that knows nothing of us. Raises NoPage."""
    url = f"http://{host}/"
    curl = shutil.which("curl") if prefer_curl else None
    if curl:
        print(f"$ curl -i {url}\n", flush=True)
        command = [curl, "--silent", "--show-error", "--include", "--max-time", "10", "--noproxy", "*", url]
    else:
        print(f"GET {url} through the kernel's sockets:\n", flush=True)
        command = [sys.executable, "-I", "-c", CLIENT, host]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        reason = (err.decode(errors="replace").strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise NoPage(f"the page did not come: {reason}")
    return Answer.parse(out)


def what_to_try(host: str, rootless: bool) -> str:
    lines = [f"ping {host}", f"curl http://{host}/"]
    if rootless:
        lines.insert(0, f"nsenter --target {os.getpid()} --user --net --preserve-credentials   # the way in; then there:")
        title = "Try it from another terminal:"
    else:
        lines.append(f"a browser at http://{host}/")
        title = "Try it, from here or any other terminal of this machine:"
    return "\n  ".join([title, *lines]) + "\n\nEnd with Ctrl-C."


async def show_counters(net: "Net", stop: asyncio.Event) -> None:
    """Until `stop`: one line renewed each second on a terminal, a line every ten seconds elsewhere."""
    terminal = sys.stdout.isatty()
    while not stop.is_set():
        print(f"\r\x1b[K{counters_line(net)}" if terminal else counters_line(net), end="" if terminal else "\n", flush=True)
        try:
            async with asyncio.timeout(1 if terminal else 10):
                await stop.wait()
        except TimeoutError:
            pass
    if terminal:
        print()


def counters_line(net: "Net") -> str:
    groups = net.counters()
    ip, icmp, tcp = groups["Ip"], groups["Icmp"], groups["Tcp"]
    return (
        f"packets in {ip['InReceives']} out {ip['OutRequests']}  pings answered {icmp['OutEchoReps']}  "
        f"TCP: open {len(net.connections())} segments in {tcp['InSegs']} out {tcp['OutSegs']} again {tcp['RetransSegs']}"
    )


# -- in memory -----------------------------------------------------------------------------------------------------------------


async def in_memory(plan: Plan) -> int:
    from ..runtime.asyncio import open as open_
    from ..testing.wire import Wire

    stop = stop_event()
    wire = Wire()
    server, client = wire.port("server"), wire.port("client")
    host = str(plan.stack.address)
    async with (
        open_(server, addresses=[str(plan.stack)], pcap=plan.pcap) as ours,
        open_(client, addresses=[str(plan.kernel)]) as theirs,
        dashboard_server(ours, 80),
    ):
        print(f"A wire in memory: a client at {plan.kernel.address}, our stack at {host}, and no kernel in between")
        print(f"(the {about_build()})\n\nGET http://{host}/ across the wire:\n", flush=True)
        answer = await fetch_or_stop(stop, fetch_across(theirs, host))
        if answer is None:
            return 0
        print(answer.report())
        print("Nobody else can reach it here; with a tap device they could: netstack doctor says what is missing.", flush=True)
    return 0 if answer.complete else 1


async def fetch_across(net: "Net", host: str) -> "Answer":
    try:
        async with asyncio.timeout(10):
            reader, writer = await net.open_connection(host, 80)
            writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            raw = await reader.read()
            writer.close()
    except OSError as error:
        raise NoPage(f"the page did not come: {error.strerror or error}") from error
    return Answer.parse(raw)


# -- the page ------------------------------------------------------------------------------------------------------------------


class Gone(Exception):
    """The demo can't go on; the message says why."""


class NoPage(Gone):
    """The client got no answer."""


@attrs.frozen
class Answer:
    """A response, taken apart no further than showing it needs."""

    status: str
    headers: tuple[str, ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Answer":
        """Of `curl -i`, our CLIENT, or a connection's bytes. Raises NoPage."""
        head, *rest = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
        if not rest:
            raise NoPage(f"the page did not come: {len(raw)} bytes without the end of a header section")
        body = rest[0]
        status, *headers = head.decode("latin-1").splitlines()
        return cls(status, tuple(headers), body)

    @property
    def complete(self) -> bool:
        """A 200, and all the bytes that it announced."""
        lengths = [header.partition(":")[2].strip() for header in self.headers if header.lower().startswith("content-length:")]
        return self.status.split()[1:2] == ["200"] and bool(self.body) and lengths in ([], [str(len(self.body))])

    def report(self) -> str:
        text = [line for line in self.body.decode(errors="replace").splitlines() if line.strip()]
        shown = [self.status, *self.headers, "", *text[:SHOWN_LINES], *(["…"] if len(text) > SHOWN_LINES else [])]
        verdict = "the whole page" if self.complete else "NOT the whole page"
        lines = "\n".join(f"  {line if len(line) <= WIDTH else line[:WIDTH] + '…'}".rstrip() for line in shown)
        return f"{lines}\n\n{verdict}: {len(self.body)} bytes\n"
