"""Two stacks, a hostile wire, and whatever users do: what arrives is a prefix of what was sent, in order; every connection ends; memory
returns to its start.

    NETSTACK_FULL=1 pytest tests/model          ten thousand programs of each kind, for an hour or so
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, given, settings
from model_program import Program, begin, play, programs

FULL = int(os.environ.get("NETSTACK_FULL", "0"))
EXAMPLES = 10_000 * FULL if FULL else 300
thorough = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
CAPTURES = Path(tempfile.gettempdir())


def run(program: Program, name: str) -> None:
    world = begin(program)
    try:
        play(world, program)
    except BaseException:
        path = CAPTURES / f"netstack-model-{name}-{os.getpid()}.pcapng"
        world.capture(path)
        hypothesis.note("\n".join(world.story))
        hypothesis.note(f"the datagrams of both hosts are in {path}")
        raise


@thorough
@given(programs())
def test_whatever_happens_what_arrives_is_what_was_sent(program: Program) -> None:
    run(program, "any")
