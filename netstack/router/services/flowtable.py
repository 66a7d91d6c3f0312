"""Flows as rows, for JSON and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...instant import SECOND, Instant
from ..flow import Flow

MOST = 10_000  # rows in one answer: a table of flows may have a hundred thousand


def row(flow: Flow, now: Instant) -> dict[str, object]:
    """Times in seconds; `sent` and `received` are bytes from and to the guest."""
    return {
        "id": f"{flow.proto}:{flow.src}:{flow.src_port}-{flow.dst}:{flow.dst_port}@{flow.began}",
        "proto": flow.proto,
        "src": str(flow.src),
        "src_port": flow.src_port,
        "dst": str(flow.dst),
        "dst_port": flow.dst_port,
        "guest": flow.guest,
        "name": flow.hostname or (flow.names[0] if flow.names else ""),
        "state": flow.state,
        "inbound": flow.inbound,
        "note": flow.note,
        "age": round((now - flow.began) / SECOND, 3),
        "idle": round((now - flow.last) / SECOND, 3),
        "sent": flow.sent,
        "received": flow.received,
        "limit": flow.rate,
    }


def snapshot(flows: Iterable[Flow], now: Instant, most: int = MOST) -> dict[str, object]:
    """At most `most` rows, those that were used last; how many there are in all, and of what kind."""
    found = list(flows)
    kinds = Counter(f"{flow.proto} {flow.state}" for flow in found)
    if len(found) > most:
        found = sorted(found, key=lambda flow: flow.last, reverse=True)[:most]
    return {
        "time": round(now / SECOND, 6),
        "total": kinds.total(),
        "kinds": dict(sorted(kinds.items())),
        "flows": [row(flow, now) for flow in found],
    }
