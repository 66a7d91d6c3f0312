"""Who takes part: the kernel's sockets, our stack, and others like it, each ready to be asked by the same client."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from . import programs
from .measure import Entrant, Run
from .peers import dnszone, services
from .place import READY, Absent, Failed, Lab, Namespace, Process

HOST, STACK = "10.79.0.1", "10.79.0.2"  # the two ends of a tap: the kernel, and who is measured
VETH = "10.78.0.2"  # the far end of a veth
SLACK = 15.0  # seconds that a client may take beyond its time
CLUSTER = 300.0  # seconds until all connections of a cluster have been open for half a virtual minute, or one more has passed
GROWTH = 60.0  # seconds until a hundred thousand connections are open


@attrs.frozen
class Job:
    """What the client does: its mode, the port, and what it wants to know besides. `pinned`: on one CPU with the server."""

    mode: str
    port: int
    words: tuple[str, ...] = ()
    pinned: bool = False

    def on(self, port: int) -> Job:
        """The same at another door."""
        return attrs.evolve(self, port=port)

    def ask(self, lab: Lab, namespace: Namespace, host: str) -> Run:
        """A run of the client from `namespace`."""

        def run(seconds: float) -> Mapping[str, float]:
            return lab.call(self.command(lab, host, seconds), namespace, cpu=self.cpu(lab), timeout=seconds + SLACK)

        return run

    def command(self, lab: Lab, host: str, seconds: float) -> list[str]:
        return [str(lab.programs / "client"), self.mode, host, str(self.port), str(seconds), *self.words]

    def cpu(self, lab: Lab) -> int:
        return lab.server_cpu if self.pinned else lab.client_cpu


def check_loop(loop: str) -> None:
    """Raises Absent. `netstack` is our own loop, `netstack.run`."""
    if importlib.util.find_spec(loop) is None:
        raise Absent(f"{loop} (pip install {loop})")


def python_server(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.peers.{name}", *words]


# -- the kernel's sockets, over a veth ---------------------------------------------------------------------------------


def kernel(name: str, job: Job, loop: str = "asyncio") -> Entrant:
    """Python on the kernel's sockets."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        near, far = lab.pair()
        lab.start(python_server("kernel", loop), far)
        return job.ask(lab, near, VETH)

    return Entrant(name, enter)


def c_server(name: str, job: Job, kind: str) -> Entrant:
    """server.c on the kernel's sockets."""

    def enter(lab: Lab) -> Run:
        near, far = lab.pair()
        lab.start([str(lab.programs / "server"), kind, str(job.port)], far)
        return job.ask(lab, near, VETH)

    return Entrant(name, enter)


# -- user space, over a tap --------------------------------------------------------------------------------------------


def tap_spec(offload: bool) -> str:
    return f"tap:tap0?host={HOST}/24&address={STACK}/24&offload={'yes' if offload else 'no'}"


def start_ours(lab: Lab, loop: str, offload: bool, pure: bool) -> tuple[Process, Namespace]:
    check_loop(loop)
    inside = lab.namespace()
    environment = {"NETSTACK_PURE": "1" if pure else "0"}
    return lab.start(python_server("ours", loop, tap_spec(offload)), inside, environment=environment), inside


def ours(name: str, job: Job, loop: str = "netstack", *, offload: bool = True, pure: bool = False) -> Entrant:
    """Our stack."""

    def enter(lab: Lab) -> Run:
        _, inside = start_ours(lab, loop, offload, pure)
        return job.ask(lab, inside, STACK)

    return Entrant(name, enter, own=True)


def uvicorn(name: str, job: Job, loop: str, *, own: bool) -> Entrant:
    """An unchanged uvicorn, on our stack or on the kernel's sockets; `loop` is the one below in either case."""

    def enter(lab: Lab) -> Run:
        for needed in ("uvicorn", "httptools", loop):
            check_loop(needed)
        if own:
            inside = lab.namespace()
            environment = {"NETSTACK": tap_spec(True), "NETSTACK_LOOP": loop}
            lab.start(python_server("webapp", "netstack"), inside, environment=environment)
            return job.ask(lab, inside, STACK)
        near, far = lab.pair()
        lab.start(python_server("webapp", loop), far)
        return job.ask(lab, near, VETH)

    return Entrant(name, enter, own=own)


def pump(name: str, job: Job, *, offload: bool) -> Entrant:
    """tappump.c: what any TCP over a tap could reach."""

    def enter(lab: Lab) -> Run:
        inside = lab.namespace()
        lab.start([str(lab.programs / "tappump"), "tap0", STACK, "gso" if offload else "plain"], inside)
        inside.ip("address", "add", f"{HOST}/24", "dev", "tap0")
        inside.ip("link", "set", "tap0", "txqueuelen", "4000", "up")
        return job.ask(lab, inside, STACK)

    return Entrant(name, enter)


def lwip(name: str, job: Job) -> Entrant:
    """lwip.c: lwIP as the system packages it, with windows of 64 KiB and frames of 1500 bytes."""

    def enter(lab: Lab) -> Run:
        program = programs.built(lab.programs, "lwip", "liblwip-dev")
        inside = lab.namespace()
        lab.start([program, "tap0", STACK], inside)
        inside.ip("address", "add", f"{HOST}/24", "dev", "tap0")
        inside.ip("link", "set", "tap0", "up")
        return job.ask(lab, inside, STACK)

    return Entrant(name, enter)


def pmd(name: str, job: Job) -> Entrant:
    """pmd-pytcp, from the package index."""

    def enter(lab: Lab) -> Run:
        python = programs.pmd_python()
        inside = lab.namespace()
        inside.ip("tuntap", "add", "tap0", "mode", "tap")
        inside.ip("address", "add", f"{HOST}/24", "dev", "tap0")
        inside.ip("link", "set", "tap0", "up")
        script = Path(__file__).resolve().parent / "peers" / "pmd.py"
        lab.start([str(python), str(script), "tap0", f"{STACK}/24"], inside)
        return job.ask(lab, inside, STACK)

    return Entrant(name, enter)


# -- servers of names ---------------------------------------------------------------------------------------------------

DNS = 5300  # their port


def names_served(lab: Lab) -> Path:
    """The folder with the zone, what is asked, and settings for those who want a file."""
    folder = lab.programs / "dns"
    dnszone.write(folder)
    return folder


def ask_names(lab: Lab, namespace: Namespace, host: str, queries: str) -> Run:
    """dnsperf from `namespace`. Raises Absent without it."""
    programs.find("dnsperf", "dnsperf")
    names = lab.programs / "dns" / queries

    def run(seconds: float) -> Mapping[str, float]:
        words = python_server("dnsload", host, str(DNS), str(names), str(seconds))
        return lab.call(words, namespace, cpu=lab.client_cpu, timeout=seconds + SLACK)

    return run


def dns_ours(name: str, loop: str = "netstack", *, queries: str = "queries") -> Entrant:
    """Ours over a tap."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        inside = lab.namespace()
        lab.start(python_server("dnsours", loop, str(names_served(lab)), str(DNS), tap_spec(True)), inside)
        return ask_names(lab, inside, STACK, queries)

    return Entrant(name, enter, own=True)


def dns_sockets(name: str, program: str, *words: str, loop: str, queries: str = "queries", own: bool = False) -> Entrant:
    """A server in Python on the kernel's sockets, over a veth."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        if program == "dnspy":
            check_loop("dns")  # dnspython
        near, far = lab.pair()
        lab.start(python_server(program, loop, str(names_served(lab)), str(DNS), *words), far)
        return ask_names(lab, near, VETH, queries)

    return Entrant(name, enter, own=own)


def dns_c(name: str, package: str, program: str, *words: str, queries: str = "queries") -> Entrant:
    """nsd or knot, one worker, over a veth. They don't say when they are ready: it is asked until it answers."""

    def enter(lab: Lab) -> Run:
        path = programs.find(program, package)
        folder = names_served(lab)
        near, far = lab.pair()
        lab.start([path, *words, "-c", str(folder / f"{package}.conf")], far, ready=None)
        run = ask_names(lab, near, VETH, queries)
        lab.call(python_server("dnsload", VETH, str(DNS), "wait", str(READY)), near, cpu=lab.client_cpu, timeout=READY + SLACK)
        return run

    return Entrant(name, enter)


# -- HTTP servers ---------------------------------------------------------------------------------------------------------

FILE = 1 << 20  # bytes: large enough that heads don't count, small enough that opening does
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 80 backlog=4096; root {folder}/www; }}
}}
"""


def files_served(lab: Lab) -> Path:
    """A folder with `www/file`, and nginx's settings."""
    folder = lab.programs / "www-bench"
    (folder / "www").mkdir(parents=True, exist_ok=True)
    file = folder / "www" / "file"
    if not file.exists() or file.stat().st_size != FILE:
        file.write_bytes(bytes(range(256)) * (FILE // 256))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return folder


def load_pages(lab: Lab, namespace: Namespace, host: str, path: str, connections: int) -> Run:
    """wrk from `namespace`. Raises Absent without it."""
    programs.find("wrk", "wrk")

    def run(seconds: float) -> Mapping[str, float]:
        words = python_server("wrk", "load", host, str(services.HTTP), path, str(seconds), str(connections))
        return lab.call(words, namespace, cpu=lab.client_cpu, timeout=seconds + SLACK)

    return run


def asgi_ours(name: str, job: Job, loop: str = "netstack", *, tap: bool = True) -> Entrant:
    """Our HTTP server with an ASGI application, on our stack over a tap or on the kernel's sockets over a veth."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        namespace, host = start_http(lab, tap, "hello", loop)
        return job.ask(lab, namespace, host)

    return Entrant(name, enter, own=True)


def load_http2(lab: Lab, namespace: Namespace, host: str) -> Run:
    """h2load from `namespace`. Raises Absent without it."""
    programs.find("h2load", "nghttp2-client")

    def run(seconds: float) -> Mapping[str, float]:
        words = python_server("h2load", host, str(services.HTTP), str(seconds))
        return lab.call(words, namespace, cpu=lab.client_cpu, timeout=seconds + SLACK)

    return run


def http2_ours(name: str, loop: str = "netstack", *, tap: bool = True) -> Entrant:
    """Our HTTP server with an ASGI application, asked by HTTP/2."""

    def enter(lab: Lab) -> Run:
        for needed in ("h2", loop):
            check_loop(needed)
        return load_http2(lab, *start_http(lab, tap, "hello", loop))

    return Entrant(name, enter, own=True)


def hypercorn(name: str, loop: str) -> Entrant:
    """An unchanged hypercorn on the kernel's sockets."""

    def enter(lab: Lab) -> Run:
        for needed in ("hypercorn", loop):
            check_loop(needed)
        near, far = lab.pair()
        lab.start(python_server("hyperapp", loop), far)
        return load_http2(lab, near, VETH)

    return Entrant(name, enter)


def static_ours(name: str, loop: str = "netstack", *, tap: bool = True) -> Entrant:
    """Our HTTP server with a folder."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        namespace, host = start_http(lab, tap, "static", loop, str(files_served(lab) / "www"))
        return load_pages(lab, namespace, host, "/file", 64)

    return Entrant(name, enter, own=True)


def start_http(lab: Lab, tap: bool, what: str, loop: str, *words: str) -> tuple[Namespace, str]:
    """Where to ask it from, and by which address."""
    if tap:
        inside = lab.namespace()
        lab.start(python_server("httpours", what, loop, tap_spec(True), *words), inside)
        return inside, STACK
    near, far = lab.pair()
    lab.start(python_server("httpours", what, loop, "posix:", *words), far)
    return near, VETH


def nginx(name: str) -> Entrant:
    """One worker, sendfile, over a veth. It doesn't say when it is ready: it is asked until it listens."""

    def enter(lab: Lab) -> Run:
        path = programs.find("nginx", "nginx-light")
        folder = files_served(lab)
        near, far = lab.pair()
        lab.start([path, "-p", str(folder), "-c", str(folder / "nginx.conf")], far, ready=None)
        run = load_pages(lab, near, VETH, "/file", 64)
        words = python_server("wrk", "wait", VETH, str(services.HTTP), str(READY))
        lab.call(words, near, cpu=lab.client_cpu, timeout=READY + SLACK)
        return run

    return Entrant(name, enter)


# -- our stack, in measurements that need no peer -----------------------------------------------------------------------


def memory(name: str, face: str) -> Entrant:
    """Two of our stacks in one process."""

    def enter(lab: Lab) -> Run:
        inside = lab.namespace()

        def run(seconds: float) -> Mapping[str, float]:
            words = python_server("memory", face, str(seconds))
            return lab.call(words, inside, cpu=lab.server_cpu, timeout=seconds + SLACK)

        return run

    return Entrant(name, enter, own=True)


def xen(name: str, way: str) -> Entrant:
    """Our stack on netfront and netback over a simulated hypervisor, in one process."""

    def enter(lab: Lab) -> Run:
        inside = lab.namespace()

        def run(seconds: float) -> Mapping[str, float]:
            return lab.call(python_server("xenring", way, str(seconds)), inside, cpu=lab.server_cpu, timeout=seconds + SLACK)

        return run

    return Entrant(name, enter, own=True)


def growth(name: str, connections: int) -> Entrant:
    """Our stack with so many connections on it."""

    def enter(lab: Lab) -> Run:
        process = lab.start(python_server("growth", str(connections)), lab.namespace(), timeout=GROWTH)
        return lambda _: process.ask("measure", SLACK)

    return Entrant(name, enter, own=True)


def cluster(name: str, way: str, hosts: int, connections: int) -> Entrant:
    """A whole cluster in virtual time, in one process."""

    def enter(lab: Lab) -> Run:
        words = python_server("cluster", way, str(hosts), str(connections))
        process = lab.start(words, lab.namespace(), timeout=CLUSTER)
        return lambda seconds: process.ask(str(60 * seconds), CLUSTER)

    return Entrant(name, enter, own=True)


def idle(name: str, what: str, connections: int) -> Entrant:
    """Connections of readers who think, on our HTTP server or on the stack alone."""

    def enter(lab: Lab) -> Run:
        process = lab.start(python_server("idle", what, str(connections)), lab.namespace(), timeout=GROWTH)
        return lambda _: process.ask("measure", SLACK)

    return Entrant(name, enter, own=True)


def first(name: str) -> Entrant:
    """Our stack from its start to its first page."""

    def enter(lab: Lab) -> Run:
        def run(_: float) -> Mapping[str, float]:
            with Lab(lab.programs) as fresh:  # the device is a new one each time
                words = python_server("first", str(lab.programs / "client"), tap_spec(offload=True), STACK)
                return fresh.call(words, fresh.namespace(), cpu=None, timeout=SLACK)

        return run

    return Entrant(name, enter, own=True)


# -- many connections: what both sides take of the processor --------------------------------------------------------------


def crowd(name: str, job: Job, loop: str, *, own: bool) -> Entrant:
    """Processor time while many connections send a little."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        if own:
            server, near = start_ours(lab, loop, offload=True, pure=False)
            host = STACK
        else:
            near, far = lab.pair()
            server = lab.start(python_server("kernel", loop), far)
            host = VETH

        client = lab.start(job.command(lab, host, 0), near, cpu=job.cpu(lab), timeout=GROWTH)

        def run(seconds: float) -> Mapping[str, float]:
            start, of_server, of_client = time.monotonic(), server.cpu(), client.cpu()
            client.ask(str(seconds), seconds + SLACK)
            lasted = time.monotonic() - start
            used, asked = server.cpu() - of_server, client.cpu() - of_client
            return {"server": 100 * used / lasted, "both": 100 * (used + asked) / lasted}

        return run

    return Entrant(name, enter, own)


# -- user-mode networks for namespaces: a kernel inside, their TCP, sockets of a kernel outside --------------------------


def _outside(lab: Lab, job: Job, kind: str) -> Namespace:
    """A host with a server, on the processor of the job's choice, and a default route that leads nowhere: they look for one. With
    large buffers they stall more."""
    host, _ = lab.pair(buffers=False)
    host.ip("route", "add", "default", "via", VETH)
    lab.start([str(lab.programs / "server"), kind, str(job.port)], host, cpu=job.cpu(lab))
    return host


def wait_for_device(guest: Namespace) -> None:
    """Until somebody has given it an address: these programs don't say when they have."""
    end = time.monotonic() + READY
    while not guest.has_address():
        if time.monotonic() > end:
            raise Failed("it made no device in the namespace that it was given")
        time.sleep(0.02)


def router(name: str, job: Job, kind: str, loop: str = "netstack") -> Entrant:
    """Our router, a guest's kernel on its tap at an MTU of 1500 bytes."""

    def enter(lab: Lab) -> Run:
        check_loop(loop)
        host, guest = _outside(lab, job, kind), lab.namespace(buffers=False)
        lab.start(python_server("router", loop), host)
        hang_up(host, guest)
        return job.ask(lab, guest, "10.0.2.2")

    return Entrant(name, enter, own=True)


def hang_up(host: Namespace, guest: Namespace) -> None:
    """The tap of a router becomes the guest's."""
    host.ip("link", "set", "tap0", "netns", guest.path)
    guest.ip("address", "add", "10.0.2.100/24", "dev", "tap0")
    guest.ip("link", "set", "tap0", "up")


def natpump(name: str, job: Job, kind: str) -> Entrant:
    """natpump.c: the system calls that any router to sockets makes, and nothing else."""

    def enter(lab: Lab) -> Run:
        host, guest = _outside(lab, job, kind), lab.namespace(buffers=False)
        lab.start([str(lab.programs / "natpump"), "tap0"], host)
        hang_up(host, guest)
        return job.ask(lab, guest, "10.0.2.2")

    return Entrant(name, enter)


def pasta(name: str, job: Job, kind: str, mtu: int = 65520) -> Entrant:
    def enter(lab: Lab) -> Run:
        path = programs.find("pasta", "passt")
        host, guest = _outside(lab, job, kind), lab.namespace(buffers=False)
        words = [path, "--foreground", "--stderr", "--ipv4-only", "--runas", "0", "--mtu", str(mtu), "--config-net"]
        words += ["--address", "10.78.0.50", "--netmask", "24", "--gateway", "10.78.0.1"]
        words += ["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"]
        words += ["--netns", lab.mounted(guest)]
        lab.start(words, host, ready=None)
        wait_for_device(guest)
        return job.ask(lab, guest, "10.78.0.1")

    return Entrant(name, enter)


def slirp(name: str, job: Job, kind: str, mtu: int = 65520) -> Entrant:
    def enter(lab: Lab) -> Run:
        path = programs.find("slirp4netns", "slirp4netns")
        host, guest = _outside(lab, job, kind), lab.namespace(buffers=False)
        lab.start([path, "--configure", "--mtu", str(mtu), "--netns-type=path", lab.mounted(guest), "tap0"], host, ready=None)
        wait_for_device(guest)
        return job.ask(lab, guest, "10.0.2.2")

    return Entrant(name, enter)
