"""A scenario from its beginning to its end, without pytest, and what came of it."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from .sim import Netsim, Schedule

Scenario = Callable[[Netsim], Awaitable[Any]]


@attrs.frozen
class Outcome:
    """What came of a run: plain values, which any pool of processes can carry."""

    ok: bool
    seed: int
    seconds: float  # of virtual time
    digest: str  # of every frame on every wire, with its instant and its fate
    frames: int
    error: str = ""  # "TimeoutError: nobody answered"; empty when all went well
    traceback: str = ""
    report: str = ""  # what the programs of each host were doing when it failed
    captures: tuple[str, ...] = ()  # files


def run(
    scenario: Scenario,
    *,
    seed: int = 0,
    faults: Mapping[str, Any] | None = None,
    schedule: Schedule | str | None = None,
    topology: str | Mapping[str, Any] | None = None,
    runtime: str = "asyncio",
    evidence: str | PathLike[str] | None = None,
) -> Outcome:
    """Await `scenario(netsim)` in a world of its own, and say what came of it; whatever it raises is in the outcome. `evidence` is
    a directory for the captures of a run that fails. Raises UsageError for arguments that can't be, KeyboardInterrupt."""
    sim = Netsim(seed, topology=topology, schedule=schedule, **(faults or {}))
    seen: list[Any] = []

    async def main() -> None:
        try:
            await scenario(sim)
        finally:  # the farewell of the hosts is not the scenario's
            seen[:] = sim.clock.now, sim.record.digest, sim.record.frames

    error: BaseException | None = None
    try:
        sim.run(main, runtime=runtime)
    except Exception as raised:
        error = raised
    if not seen:
        seen = [sim.world.now / 1e9, sim.record.digest, sim.record.frames]
    captures = () if error is None or evidence is None else tuple(map(str, sim.record.write(Path(evidence))))
    return Outcome(
        ok=error is None,
        seed=seed,
        seconds=seen[0],
        digest=seen[1],
        frames=seen[2],
        error="" if error is None else f"{type(error).__name__}: {error}".removesuffix(": "),
        traceback="" if error is None else "".join(traceback.format_exception(error)),
        report="\n".join(sim.was_doing),
        captures=captures,
    )
