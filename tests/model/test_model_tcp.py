"""Two stacks, a hostile wire, and whatever users do: what arrives is a prefix of what was sent, in order; every connection ends;
memory returns to its start.

    NETSTACK_FULL=1 pytest tests/model          ten thousand programs of each kind, for an hour or so
"""

from __future__ import annotations

import gc
import os
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from model_play import begin, play
from model_program import CHAOS, CUT, POLITE, REUSE, RUDE, TIGHT, Program, programs

FULL = int(os.environ.get("NETSTACK_FULL", "0"))
EXAMPLES = 10_000 * FULL if FULL else 120
CAPTURES = Path(tempfile.gettempdir())
thorough = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
pytestmark = pytest.mark.timeout(7200 * FULL or 300)  # it is shrinking that takes time


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
@given(programs(CHAOS))
def test_whatever_happens_what_arrives_is_what_was_sent(program: Program) -> None:
    run(program, "chaos")


@thorough
@given(programs(POLITE))
def test_all_arrives_and_all_ends_in_order_where_nobody_ends_it_early(program: Program) -> None:
    run(program, "polite")


@thorough
@given(programs(RUDE))
def test_users_who_leave_in_the_midst_of_it_leave_nothing_behind(program: Program) -> None:
    run(program, "rude")


@thorough
@given(programs(REUSE))
def test_connections_between_the_same_ports_never_mix(program: Program) -> None:
    run(program, "reuse")


@thorough
@given(programs(CUT))
def test_a_wire_that_is_cut_ends_every_connection_by_time_outs(program: Program) -> None:
    run(program, "cut")


@thorough
@given(programs(TIGHT))
def test_bounds_that_are_reached_leave_nothing_behind(program: Program) -> None:
    run(program, "tight")


def alive() -> dict[str, int]:
    """How many there are of each kind of object that connections are made of."""
    gc.collect()
    kinds = Counter(type(item).__name__ for item in gc.get_objects() if str(type(item).__module__).startswith("netstack.tcp"))
    return dict(kinds)


def test_memory_returns_to_its_start() -> None:
    """Fifty programs, each to its end: no connection, queue or TIME-WAIT outlives them, and no byte."""

    @settings(max_examples=50, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(programs(CHAOS))
    def fifty(program: Program) -> None:
        play(begin(program), program)

    fifty()  # what is made once is made
    before = alive()
    tracemalloc.start()
    try:
        fifty()
        assert alive() == before
        stack = [trace for trace in tracemalloc.take_snapshot().traces if "/netstack/" in trace.traceback[0].filename]
        held = sum(trace.size for trace in stack)
    finally:
        tracemalloc.stop()
    assert held < 4096, f"{held} bytes that the stack allocated are still there"
