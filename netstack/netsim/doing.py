"""What the programs of each host were doing when a test failed: their tasks, and where those wait."""

from __future__ import annotations

from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sim import Netsim

MOST = 20  # tasks of a host that are shown: a server under load has thousands, and they wait at the same line
OURS = ("/netstack/netsim/", "/netstack/runtime/")


def report(sim: Netsim) -> list[str]:
    """Lines for people."""
    lines = [f"after {sim.clock.now:.6g} s of virtual time, {sim.record.frames} frames"]
    side = sim.side
    if side is None:
        return lines
    for host in [*sim.hosts, None]:
        if host is None:
            tasks = side.describe(None)
            if tasks:
                lines.append("test:")
        else:
            tasks = side.describe(host)
            state = "" if host.is_up else ", down"
            lines.append(f"{host.name} ({host.address}{state}):" + ("" if tasks or not host.is_up else " nothing runs"))
        lines += [f"    {line}" for line in tasks[:MOST]]
        if len(tasks) > MOST:
            lines.append(f"    and {len(tasks) - MOST} more")
    return lines


def where(awaited: Any) -> str:
    """The line at which a coroutine waits, the innermost that is the program's own."""
    found = ""
    for _ in range(100):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is None:
            break
        code: CodeType = frame.f_code
        if not found or not _hidden(code.co_filename):
            found = f"{code.co_qualname}, {_short(code.co_filename)}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None) or getattr(awaited, "ag_await", None)
    return found or "not begun, or at its end"


def _hidden(path: str) -> bool:
    return any(part in path for part in OURS) or "/asyncio/" in path or "/trio/" in path


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])
