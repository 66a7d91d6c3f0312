"""`netstack explore`: what its exit status says, and that the line of a report runs that case again."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from netstack.cli import main
from netstack.cli.explore import read_ranges, read_seeds
from netstack.errors import UsageError

SCENARIO = """
    import asyncio

    async def wait_for(netsim, seconds):
        await netsim.clock.advance(seconds)

    async def test_fine(netsim):
        netsim.host("a"), netsim.host("b")
        await netsim.clock.advance(5)

    async def test_bad(netsim):
        a, b = netsim.host("a"), netsim.host("b")
        await netsim.clock.advance(5)
        assert not netsim.world.apart and not netsim.world.wire._cuts, "they are parted after five seconds"

    async def test_with_a_fixture(netsim, tmp_path):
        pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"test_explored_{re.sub(r'[^a-z0-9]', '_', tmp_path.name)}.py"
    (tmp_path / name).write_text(textwrap.dedent(SCENARIO))
    return name


def test_a_test_that_passes_ends_well(module, capsys):
    assert main(["explore", f"{module}::test_fine", "--seeds", "5", "-j", "0", "-q"]) == 0
    assert "5 cases" in capsys.readouterr().out


def test_a_failure_is_exit_status_1_and_its_line_shows_it_again(module, capsys):
    words = ["explore", f"{module}::test_bad", "--storm", "partition", "--seeds", "200", "-j", "0", "-q", "--resume", "r.jsonl"]
    assert main(words) == 1
    said = capsys.readouterr().out
    (line,) = re.findall(r"shell +(.*)", said)
    again = shlex.split(line)
    assert again[:3] == ["netstack", "explore", f"{module}::test_bad"]
    assert main(again[1:]) == 1
    assert "they are parted after five seconds" in capsys.readouterr().out
    assert main([*again[1 : again.index("--schedule")], "--schedule", "1s heal"]) == 0
    assert "passed: 5.0" in capsys.readouterr().out
    assert main(words) == 1
    assert "1 case in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x.py::test_y"], "there is no file"),
        (["MODULE::test_with_a_fixture"], "takes netsim, tmp_path"),
        (["MODULE::test_nothing"], "there is no test_nothing"),
        (["MODULE::test_fine", "--seeds", "many"], "write how many, or which"),
        (["MODULE::test_fine", "--storm", "plague"], "nothing that a storm knows"),
        (["MODULE::test_fine", "--faults", "loss"], "says no value"),
        (["MODULE::test_fine", "--faults", "luck=3"], "not a fault"),
        (["MODULE::test_fine", "--schedule", "1s crash a"], "--schedule is for one case"),
        (["MODULE::test_fine", "--seed", "1", "--faults", "loss=0..1"], "one case has one value"),
        (["MODULE::test_fine", "-j", "all"], "not a number of processes"),
        (["MODULE::test_fine", "--budget", "soon"], "is not a duration"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_status_2(module, capsys, words, said):
    assert main(["explore", *(word.replace("MODULE", module) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_seeds_are_how_many_or_which():
    assert read_seeds("3") == range(3)
    assert read_seeds("5-7") == range(5, 8)
    assert read_seeds("4,1") == [4, 1]
    with pytest.raises(UsageError):
        read_seeds("0")


def test_ranges_are_read():
    assert read_ranges("loss=0..30%,delay=20ms") == {"loss": ("0", "30%"), "delay": "20ms"}
    assert read_ranges("none") == {}
