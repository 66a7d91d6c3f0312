"""What tests of policies share: flows of a guest, and ClientHellos made byte by byte."""

from __future__ import annotations

from typing import Any

from netstack.address import Ip4
from netstack.instant import SECOND, Instant
from netstack.router.flow import Decision, Flow
from netstack.router.policy.policy import Policy

GUEST = "10.0.2.100"
SITE = "93.184.216.34"
NETWORK = "10.0.2.0/24"


class Clock:
    def __init__(self) -> None:
        self.now = Instant(1000 * SECOND)

    def __call__(self) -> int:
        return self.now


def make_policy(default: str = "deny", **more: Any) -> Policy:
    clock = more.pop("clock", None) or Clock()
    return Policy(default, network=more.pop("network", NETWORK), clock=clock, wall=lambda: 1_700_000_000.0, **more)


def make_flow(
    dst: str = SITE, port: int = 443, proto: Any = "tcp", *, src: str = GUEST, guest: str = "", now: int = 1000 * SECOND
) -> Flow:
    return Flow(proto, Ip4.parse(src), 40000, Ip4.parse(dst), port, Instant(now), guest)


def decide(policy: Policy, flow: Flow) -> Decision:
    decision = policy.decide(flow)
    assert isinstance(decision, Decision)
    return decision


def verdict(policy: Policy, *where: Any, **more: Any) -> str:
    """ "connect", or why it was denied."""
    flow = make_flow(*where, **more)
    before = policy.mib.Denied
    decision = decide(policy, flow)
    policy.over(flow)
    assert policy.mib.Denied - before == (decision.action == "deny")
    return policy.denials()[-1].why if decision.action == "deny" else decision.action


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def names(*hosts: bytes, kind: int = 0) -> bytes:
    """A server_name extension (RFC 6066 3)."""
    entries = b"".join(bytes([kind]) + len(host).to_bytes(2, "big") + host for host in hosts)
    return extension(0, len(entries).to_bytes(2, "big") + entries)


def hello_body(*extensions: bytes) -> bytes:
    """RFC 8446 4.1.2."""
    block = b"".join(extensions)
    return (
        b"\x03\x03" + bytes(32) + b"\x20" + bytes(32) + b"\x00\x02\x13\x01" + b"\x01\x00"
        + (len(block).to_bytes(2, "big") + block if extensions else b"")
    )  # fmt: skip


def message(body: bytes) -> bytes:
    return b"\x01" + len(body).to_bytes(3, "big") + body


def records(data: bytes, size: int = 1 << 14) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def hello(host: str | None, *more: bytes, size: int = 1 << 14) -> bytes:
    """The first flight of a client that wants `host`."""
    own = () if host is None else (names(host.encode()),)
    return records(message(hello_body(extension(0x0A0A, b""), *own, *more)), size)
