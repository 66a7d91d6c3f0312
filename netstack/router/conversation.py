"""What is known of one conversation of a guest: `Flow`, which flow.py speaks of. Each SYN makes one, in C."""

from __future__ import annotations

from typing import Literal

from ..address import Ip4
from ..instant import Instant

Proto = Literal["tcp", "udp", "icmp"]
State = Literal["new", "connecting", "open", "closing", "denied", "failed", "over"]


class Flow:
    """`src` is the guest's, `dst` what it asked for, wherever that is redirected; `src_int` and `dst_int` are the same as plain
    ints. Bytes are of payload, from and to the guest."""

    __slots__ = (
        "began", "dst_int", "dst_port", "guest", "hostname", "inbound", "last", "names", "note", "proto", "rate", "received",
        "sent", "src_int", "src_port", "state",
    )  # fmt: skip

    def __init__(
        self, proto: Proto, src: Ip4 | int, src_port: int, dst: Ip4 | int, dst_port: int, now: Instant, guest: str = ""
    ) -> None:
        self.proto: Proto = proto
        self.src_int = int(src)
        self.src_port = src_port
        self.dst_int = int(dst)
        self.dst_port = dst_port
        self.guest = guest  # its name; "" where there is but one
        self.began = now
        self.last = now
        self.state: State = "new"
        self.names: tuple[str, ...] = ()  # for which this guest was given `dst` by our own DNS, newest first
        self.hostname = ""  # what it said itself (TLS SNI, HTTP Host), else the newest of `names`
        self.note = ""  # why it was denied or failed
        self.rate: int | None = None  # bytes a second, each way
        self.inbound = False  # begun from outside, by a port forward
        self.sent = 0
        self.received = 0

    @property
    def src(self) -> Ip4:
        return Ip4(self.src_int)

    @property
    def dst(self) -> Ip4:
        return Ip4(self.dst_int)

    def __repr__(self) -> str:
        name = f" ({self.hostname})" if self.hostname else ""
        return f"<Flow {self.proto} {self.src}:{self.src_port} -> {self.dst}:{self.dst_port}{name}, {self.state}>"
