"""The table: what is measured, against whom, and what is to be reached. The order is that of the report."""

from __future__ import annotations

from .booting import debian, image
from .entrants import (
    Job,
    asgi_ours,
    c_server,
    cluster,
    crowd,
    dns_c,
    dns_ours,
    dns_sockets,
    first,
    growth,
    http2_ours,
    hypercorn,
    idle,
    kernel,
    lwip,
    memory,
    natpump,
    nginx,
    ours,
    pasta,
    pmd,
    pump,
    router,
    slirp,
    static_ours,
    uvicorn,
    xen,
)
from .measure import Entrant, Goal, Row
from .peers import services
from .routed import routed_kernel, routed_ours

RECEIVE, SEND = Job("bulk", services.SINK, ("send",)), Job("bulk", services.SOURCE, ("receive",))
PINNED_RECEIVE = Job("bulk", services.SINK, ("send",), pinned=True)
PINNED_SEND = Job("bulk", services.SOURCE, ("receive",), pinned=True)
PING = Job("ping", services.ECHO, pinned=True)
CONNECT = Job("connect", services.ECHO, pinned=True)
UDP = Job("udp", services.ECHO, ("32", "64"))
HTTP = Job("http", services.HTTP, ("64",))
CROWD = Job("crowd", services.SINK, ("10000", "1024"))

GBIT, RATE = {"gbit": "Gbit/s"}, {"per_second": "/s"}


def at_most(text: str, key: str, own: str, peer: str | None, limit: float) -> Goal:
    return Goal(text, key, own, peer, limit, at_least=False)


def on_all_loops(job: Job, what: str) -> list[Entrant]:
    """The same protocol on our stack and on the kernel's sockets. Where ours names no loop, it is our own (`netstack.run`)."""
    return [
        ours(f"ours, {what}", job),
        kernel(f"kernel, {what}", job),
        ours(f"ours, {what}, asyncio's loop", job, "asyncio"),
        ours(f"ours, {what}, uvloop", job, "uvloop"),
        kernel(f"kernel, {what}, uvloop", job, "uvloop"),
    ]


def routers(way: str, job: Job, kind: str) -> list[Row]:
    """What a guest moves through a router: at an MTU of 1500 bytes, and the others also at the largest that they know."""
    entrants = [
        router("ours", job, kind),
        router("ours, uvloop", job, kind, "uvloop"),
        pasta("pasta, 1500", job, kind, 1500),
        slirp("slirp4netns, 1500", job, kind, 1500),
        pasta("pasta, 65520", job, kind),
        slirp("slirp4netns, 65520", job, kind),
        routed_kernel("kernel, nft", job, kind),
    ]
    text = f"A guest that {way}s in bulk through a router to the host's own sockets; ours at an MTU of 1500, others as they say."
    goals = [
        Goal(f"a guest {way}s, to pasta at 1500", "gbit", "ours", "pasta, 1500", 10),
        Goal(f"a guest {way}s, to slirp4netns at 1500", "gbit", "ours", "slirp4netns, 1500", 10),
        Goal(f"a guest {way}s, to pasta at 65520", "gbit", "ours", "pasta, 65520", 1.0),
        Goal(f"a guest {way}s, to slirp4netns at 65520", "gbit", "ours", "slirp4netns, 65520", 1.0),
        Goal(f"a guest {way}s, to the kernel's forwarding and NAT", "gbit", "ours", "kernel, nft", 0.5),
    ]
    return [Row(f"router-{way}", text, GBIT, entrants, goals, runs=9)]  # the figures of each move by half, and more


ROWS = [
    Row(
        "bulk-receive",
        "Bulk receive: a kernel sends as fast as it can. Kernels meet over a veth, user-space stacks over a tap.",
        GBIT,
        [
            *on_all_loops(RECEIVE, "Protocol"),
            c_server("kernel, C", RECEIVE, "sink"),
            ours("ours, BufferedProtocol", RECEIVE.on(services.BUFFERED_SINK)),
            kernel("kernel, BufferedProtocol", RECEIVE.on(services.BUFFERED_SINK)),
            pump("C pump, 64 KiB", RECEIVE, offload=True),
            pasta("pasta", RECEIVE, "sink"),
            slirp("slirp4netns", RECEIVE, "sink"),
        ],
        [
            Goal("bulk receive, Protocol, to the kernel's C sink", "gbit", "ours, Protocol", "kernel, C", 0.70),
            Goal("bulk receive, BufferedProtocol, to the kernel's C sink", "gbit", "ours, BufferedProtocol", "kernel, C", 0.70),
        ],
    ),
    Row(
        "bulk-send",
        "Bulk send: a kernel reads as fast as it can.",
        GBIT,
        [
            *on_all_loops(SEND, "Protocol"),
            c_server("kernel, C", SEND, "source"),
            pump("C pump, 64 KiB", SEND, offload=True),
            pasta("pasta", SEND, "source"),
            slirp("slirp4netns", SEND, "source"),
        ],
        [Goal("bulk send, Protocol, to the kernel's C source", "gbit", "ours, Protocol", "kernel, C", 0.85)],
    ),
    Row(
        "streams-receive",
        "Bulk receive through streams: our own, and those of asyncio's shape.",
        GBIT,
        [
            ours("ours, own stream", RECEIVE.on(services.OWN_VIEW_SINK)),
            ours("ours, own stream, bytes", RECEIVE.on(services.OWN_SINK)),
            ours("ours, asyncio-shaped", RECEIVE.on(services.STREAM_SINK)),
            kernel("kernel, asyncio streams", RECEIVE.on(services.STREAM_SINK)),
            kernel("kernel, asyncio streams, uvloop", RECEIVE.on(services.STREAM_SINK), "uvloop"),
        ],
        [
            Goal("bulk receive, own stream, to asyncio", "gbit", "ours, own stream", "kernel, asyncio streams", 3.0),
            Goal("bulk receive, asyncio-shaped, to asyncio", "gbit", "ours, asyncio-shaped", "kernel, asyncio streams", 1.5),
        ],
    ),
    Row(
        "streams-send",
        "Bulk send through streams.",
        GBIT,
        [
            ours("ours, own stream", SEND.on(services.OWN_SOURCE)),
            ours("ours, asyncio-shaped", SEND.on(services.STREAM_SOURCE)),
            kernel("kernel, asyncio streams", SEND.on(services.STREAM_SOURCE)),
            kernel("kernel, asyncio streams, uvloop", SEND.on(services.STREAM_SOURCE), "uvloop"),
        ],
    ),
    Row(
        "plain-receive",
        "Bulk receive on a plain tap: a frame for each segment, checksums in software.",
        GBIT,
        [
            ours("ours, plain tap", RECEIVE, offload=False),
            pump("C pump, 1460 bytes", RECEIVE, offload=False),
            lwip("lwIP", RECEIVE),
        ],
        [Goal("plain tap, bulk receive, to the C pump", "gbit", "ours, plain tap", "C pump, 1460 bytes", 0.6)],
    ),
    Row(
        "plain-send",
        "Bulk send on a plain tap.",
        GBIT,
        [ours("ours, plain tap", SEND, offload=False), pump("C pump, 1460 bytes", SEND, offload=False), lwip("lwIP", SEND)],
        [Goal("plain tap, bulk send, to the C pump", "gbit", "ours, plain tap", "C pump, 1460 bytes", 0.6)],
    ),
    Row(
        "pure-receive",
        "Bulk receive of the pure-Python build; all at an MTU of 1500 bytes.",
        GBIT,
        [
            ours("ours, pure", RECEIVE, pure=True),
            c_server("kernel, C", RECEIVE, "sink"),
            ours("ours, pure, plain tap", RECEIVE, pure=True, offload=False),
            pmd("pmd-pytcp", RECEIVE),
        ],
        [
            Goal("pure, bulk receive, to the kernel's C sink", "gbit", "ours, pure", "kernel, C", 0.30),
            Goal("pure, bulk receive, to pmd-pytcp", "gbit", "ours, pure", "pmd-pytcp", 100),
        ],
    ),
    Row(
        "pure-send",
        "Bulk send of the pure-Python build.",
        GBIT,
        [
            ours("ours, pure", SEND, pure=True),
            c_server("kernel, C", SEND, "source"),
            ours("ours, pure, plain tap", SEND, pure=True, offload=False),
            pmd("pmd-pytcp", SEND),
        ],
        [
            Goal("pure, bulk send, to the kernel's C source", "gbit", "ours, pure", "kernel, C", 0.30),
            Goal("pure, bulk send, to pmd-pytcp", "gbit", "ours, pure", "pmd-pytcp", 100),
        ],
    ),
    Row(
        "ping",
        "One byte there and back, client and server on one CPU: the median turn. The C pump makes a stack's system calls over the "
        "same tap, and nothing else (tappump.c): what there is to gain.",
        {"us": "us", "p99": "us, p99"},
        [
            *on_all_loops(PING, "Protocol"),
            c_server("kernel, C", PING, "echo"),
            pump("C pump", PING, offload=True),
            lwip("lwIP", PING),
            ours("ours, pure", PING, pure=True),
        ],
        [at_most("1-byte ping-pong, time, to asyncio", "us", "ours, Protocol", "kernel, Protocol", 0.6)],
    ),
    Row(
        "connect",
        "Connections a second: open, one byte each way, close, on one CPU. The C pump makes a stack's system calls over the same "
        "tap, and nothing else (tappump.c): what there is to gain.",
        RATE,
        [
            *on_all_loops(CONNECT, "Protocol"),
            c_server("kernel, C", CONNECT, "echo"),
            pump("C pump", CONNECT, offload=True),
            lwip("lwIP", CONNECT),
        ],
        [Goal("connections a second, to asyncio", "per_second", "ours, Protocol", "kernel, Protocol", 3.0)],
    ),
    Row(
        "udp",
        "Datagrams of 64 bytes there and back, 32 on the way.",
        RATE,
        [
            *on_all_loops(UDP, "DatagramProtocol"),
            c_server("kernel, C", UDP, "udpecho"),
            lwip("lwIP", UDP),
            ours("ours, below the loop", UDP.on(services.ECHO_PORT)),
        ],
        [
            Goal("UDP echo, to asyncio", "per_second", "ours, DatagramProtocol", "kernel, DatagramProtocol", 15),
            Goal("UDP echo, to a C server", "per_second", "ours, DatagramProtocol", "kernel, C", 1.0),
        ],
    ),
    Row(
        "http",
        "Minimal HTTP at 64 connections: requests a second, the same protocol on all.",
        RATE,
        on_all_loops(HTTP, "Protocol"),
        [
            Goal("HTTP requests a second, to uvloop", "per_second", "ours, Protocol", "kernel, Protocol, uvloop", 1.3),
            Goal("HTTP requests a second, both on uvloop", "per_second", "ours, Protocol, uvloop", "kernel, Protocol, uvloop", 1.3),
        ],
    ),
    Row(
        "uvicorn",
        "An unchanged uvicorn (httptools) at 64 connections: requests a second, on the same base loop with and without our stack.",
        RATE,
        [
            uvicorn("ours, asyncio's loop", HTTP, "asyncio", own=True),
            uvicorn("kernel, asyncio's loop", HTTP, "asyncio", own=False),
            uvicorn("ours, uvloop", HTTP, "uvloop", own=True),
            uvicorn("kernel, uvloop", HTTP, "uvloop", own=False),
        ],
        [
            Goal("uvicorn's requests, on asyncio's loop", "per_second", "ours, asyncio's loop", "kernel, asyncio's loop", 1.0),
            Goal("uvicorn's requests, on uvloop", "per_second", "ours, uvloop", "kernel, uvloop", 1.0),
        ],
    ),
    Row(
        "asgi",
        "A hello-world in ASGI at 64 connections, on our HTTP server and on uvicorn (httptools).",
        RATE,
        [
            asgi_ours("ours, tap", HTTP),
            asgi_ours("ours, tap, uvloop", HTTP, "uvloop"),
            asgi_ours("ours, sockets, uvloop", HTTP, "uvloop", tap=False),
            asgi_ours("ours, sockets, asyncio", HTTP, "asyncio", tap=False),
            uvicorn("uvicorn, uvloop", HTTP, "uvloop", own=False),
        ],
        [
            Goal("ASGI hello over a tap, to uvicorn with uvloop", "per_second", "ours, tap", "uvicorn, uvloop", 1.2),
            Goal("ASGI hello on sockets, to uvicorn with uvloop", "per_second", "ours, sockets, uvloop", "uvicorn, uvloop", 1.0),
        ],
    ),
    Row(
        "http2",
        "A hello-world in ASGI by HTTP/2, 8 connections of 32 requests at once (h2load): our HTTP server and hypercorn.",
        RATE,
        [
            http2_ours("ours, tap"),
            http2_ours("ours, sockets, asyncio", "asyncio", tap=False),
            http2_ours("ours, sockets, uvloop", "uvloop", tap=False),
            hypercorn("hypercorn, asyncio", "asyncio"),
            hypercorn("hypercorn, uvloop", "uvloop"),
        ],
        [
            Goal("HTTP/2, to hypercorn, both on asyncio", "per_second", "ours, sockets, asyncio", "hypercorn, asyncio", 1.5),
            Goal("HTTP/2, to hypercorn, both on uvloop", "per_second", "ours, sockets, uvloop", "hypercorn, uvloop", 1.5),
        ],
        seconds=1.0,
    ),
    Row(
        "static",
        "A file of 1 MiB at 64 connections, by wrk: our HTTP server over a tap and on the kernel's sockets, nginx on the kernel's.",
        {"gbit": "Gbit/s", "per_second": "/s"},
        [
            static_ours("ours, tap"),
            static_ours("ours, tap, uvloop", "uvloop"),
            static_ours("ours, sockets, uvloop", "uvloop", tap=False),
            nginx("nginx"),
        ],
        [
            Goal("files of 1 MiB over a tap, to nginx", "gbit", "ours, tap", "nginx", 0.5),
            Goal("files of 1 MiB on sockets, to nginx", "gbit", "ours, sockets, uvloop", "nginx", 0.5),
        ],
        seconds=1.0,
    ),
    *routers("send", RECEIVE, "sink"),
    *routers("receive", SEND, "source"),
    Row(
        "router-ping",
        "A guest's byte through a router to a server on the host and back, all on one CPU: the median turn. MTU 1500.",
        {"us": "us", "p99": "us, p99"},
        [router("ours", PING, "echo"), pasta("pasta", PING, "echo", 1500), slirp("slirp4netns", PING, "echo", 1500)],
        [at_most("ping-pong through a router, time, to slirp4netns", "us", "ours", "slirp4netns", 1.5)],
    ),
    Row(
        "router-connect",
        "Connections a second through a router: open, one byte each way, close, all on one CPU. MTU 1500. The last is a "
        "program in C that makes a router's system calls and does nothing else (natpump.c): what there is to gain.",
        RATE,
        [
            router("ours", CONNECT, "echo"),
            pasta("pasta", CONNECT, "echo", 1500),
            slirp("slirp4netns", CONNECT, "echo", 1500),
            natpump("the system calls", CONNECT, "echo"),
        ],
        [Goal("connections a second through a router, to slirp4netns", "per_second", "ours", "slirp4netns", 1.5)],
        runs=9,
    ),
    Row(
        "idle",
        "What each of 10,000 keep-alive connections occupies between two requests: all told, and of the stack alone.",
        {"bytes": "bytes"},
        [idle("HTTP", "http", 10_000), idle("TCP alone", "stack", 10_000)],
        [at_most("memory of an idle keep-alive connection", "bytes", "HTTP", None, 4096)],
        runs=1,
    ),
    Row(
        "dns",
        "DNS, a zone of 10,000 names: answers a second, one core; ours over a tap, C servers on kernel's sockets over a veth.",
        RATE,
        [
            dns_ours("ours"),
            dns_ours("ours, asyncio's loop", "asyncio"),
            dns_ours("ours, uvloop", "uvloop"),
            dns_c("nsd", "nsd", "nsd", "-d"),
            dns_c("knot", "knot", "knotd"),
        ],
        [
            Goal("DNS over a tap, answers a second, to nsd", "per_second", "ours", "nsd", 1.0),
            Goal("DNS over a tap, answers a second, to knot", "per_second", "ours", "knot", 0.8),
        ],
        runs=7,
    ),
    Row(
        "dns-sockets",
        "The same on the kernel's sockets.",
        RATE,
        [
            dns_sockets("ours, uvloop", "dnsours", "socket", loop="uvloop", own=True),
            dns_sockets("ours, asyncio", "dnsours", "socket", loop="asyncio", own=True),
            dns_sockets("ours, uvloop's transport", "dnsours", "transport", loop="uvloop", own=True),
            dns_sockets("asyncio and dnspython", "dnspy", loop="asyncio"),
            dns_sockets("uvloop and dnspython", "dnspy", loop="uvloop"),
        ],
        [Goal("DNS on sockets, uvloop, to asyncio and dnspython", "per_second", "ours, uvloop", "asyncio and dnspython", 20)],
        runs=7,
    ),
    Row(
        "dns-strangers",
        "A flood of names that are not there, none of them twice.",
        RATE,
        [
            dns_ours("ours", queries="strangers"),
            dns_c("nsd", "nsd", "nsd", "-d", queries="strangers"),
            dns_c("knot", "knot", "knotd", queries="strangers"),
        ],
        [Goal("DNS over a tap, names that are not there, to nsd", "per_second", "ours", "nsd", 1.0)],
    ),
    Row(
        "routed-there",
        "A router that translates between two kernels, MTU 1500: bulk from inside. The kernel's router is a third kernel with nft.",
        GBIT,
        [routed_ours("ours", RECEIVE, "sink"), routed_kernel("kernel, nft", RECEIVE, "sink")],
        [
            Goal("routed and translated, from inside, to the kernel's", "gbit", "ours", "kernel, nft", 0.5),
            Goal("routed and translated, from inside", "gbit", "ours", None, 10),
        ],
    ),
    Row(
        "routed-back",
        "The same from outside.",
        GBIT,
        [routed_ours("ours", SEND, "source"), routed_kernel("kernel, nft", SEND, "source")],
        [Goal("routed and translated, from outside, to the kernel's", "gbit", "ours", "kernel, nft", 0.5)],
    ),
    Row(
        "memory",
        "Two stacks joined in memory, in one process on one core: bulk.",
        GBIT,
        [memory("ours, Protocol", "protocol"), memory("ours, no loop", "core")],
        [
            Goal("two stacks in memory, bulk, Protocol", "gbit", "ours, Protocol", None, 20),
            Goal("two stacks in memory, bulk, without a loop", "gbit", "ours, no loop", None, 20),
        ],
    ),
    Row(
        "xen",
        "The ring of Xen's network, over a hypervisor that is simulated, beside a tap: bulk, a Protocol, all of it on one core.",
        GBIT,
        [
            xen("xen, receive", "receive"),
            ours("tap, receive", PINNED_RECEIVE),
            xen("xen, send", "send"),
            ours("tap, send", PINNED_SEND),
        ],
        [
            Goal("netfront, bulk receive on one core, to a tap", "gbit", "xen, receive", "tap, receive", 0.8),
            Goal("netfront, bulk send on one core, to a tap", "gbit", "xen, send", "tap, send", 0.8),
        ],
    ),
    Row(
        "crowd",
        "10,000 connections that send 1 KiB a second each: how much of a core the server takes, and with it the client in C.",
        {"server": "% of a core", "both": "%, both"},
        [
            crowd("ours, Protocol", CROWD, "netstack", own=True),
            crowd("kernel, Protocol", CROWD, "asyncio", own=False),
            crowd("ours, Protocol, uvloop", CROWD, "uvloop", own=True),
            crowd("kernel, Protocol, uvloop", CROWD, "uvloop", own=False),
        ],
        [
            at_most("10,000 connections, processor of the server, to asyncio", "server", "ours, Protocol", "kernel, Protocol", 0.7),
            at_most("10,000 connections, of server and client, to asyncio", "both", "ours, Protocol", "kernel, Protocol", 0.7),
        ],
        seconds=1.0,
        runs=3,
    ),
    Row(
        "growth",
        "What a data segment takes, and a connection occupies, while so many connections are open.",
        {"ns": "ns", "bytes": "bytes"},
        [growth(f"ours, {count:,}", count) for count in (100, 1_000, 10_000, 100_000)],
        [
            at_most("time of a packet, 100,000 connections to 100", "ns", "ours, 100,000", "ours, 100", 1.3),
            at_most("memory of a connection, 100,000 to 100", "bytes", "ours, 100,000", "ours, 100", 1.3),
        ],
    ),
    Row(
        "cluster",
        "A virtual hour of 100 hosts behind routers, 10,000 connections that talk every ten seconds, 1 % loss: by a minute of it.",
        {"hour": "s, an hour", "per_second": "packets/s", "exchanges": "/s, virtual", "bytes": "bytes"},
        [cluster("cores", "cores", 100, 10_000), cluster("asyncio streams", "streams", 100, 10_000)],
        [
            at_most("an hour of a cluster, without a loop, seconds", "hour", "cores", None, 600),
            at_most("an hour of a cluster, asyncio streams, seconds", "hour", "asyncio streams", None, 1200),
        ],
        seconds=1.0,
        runs=1,
    ),
    Row(
        "startup",
        "From the call of netstack.open to the first SYN answered, and to the first page; the client asks when the server listens.",
        {"syn": "ms, SYN", "http": "ms, page", "open": "ms, open", "asked": "ms, asked"},
        [first("ours")],
        [
            at_most("from netstack.open to the first SYN answered", "syn", "ours", None, 2.0),
            at_most("from netstack.open to the first HTTP response", "http", "ours", None, 10.0),
        ],
    ),
    Row(
        "image",
        "From QEMU's start (emulated, one processor) to the first byte of a page, and all that it boots from; the machine's own"
        " clock at our marks: Python runs, the stack is imported, there is an address. booting.py says what the peers are.",
        {
            "page": "s, page",
            "cpu": "s, processor",
            "size": "MB",
            "python": "s, python",
            "stack": "s, stack",
            "network": "s, network",
        },
        [
            image("ours"),
            image("ours, quickest", packed=False, pure=True),
            image("ours, smallest", packing="zstd"),
            debian("debian, lean"),
            debian("debian, minbase"),
        ],
        [
            at_most("an image's first page, to minimal Debian's", "page", "ours", "debian, minbase", 1.0),
            at_most("an image's size, to minimal Debian's", "size", "ours", "debian, minbase", 1.0),
            at_most("the smallest image, to Debian with nothing but Python", "size", "ours, smallest", "debian, lean", 1.0),
            at_most("an image's first page, to that of Debian with nothing but Python", "page", "ours", "debian, lean", 1.0),
        ],
        seconds=15.0,
        runs=1,
    ),
]
