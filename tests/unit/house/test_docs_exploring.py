"""The examples of docs/exploring.md find what the page says, and its command lines are ones."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from netstack.cli import build_parser
from netstack.exploring.scenario import find
from netstack.testing import explore

pytestmark = pytest.mark.once

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "exploring.md").read_text("utf-8")
TEST, CALL, OWN = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def orders(tmp_path, monkeypatch) -> ModuleType:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"test_orders_{tmp_path.name.replace('-', '_')}"
    Path(f"{name}.py").write_text(TEST + CALL, "utf-8")
    find(f"{name}:test_one_order_is_one_order")
    import sys

    return sys.modules[name]


def test_the_mistake_is_found_and_drawn_as_the_page_draws_it(orders):
    with pytest.raises(AssertionError) as caught:
        orders.test_orders_in_bad_weather()
    said = str(caught.value)
    (failure,) = caught.value.report.failures  # type: ignore[attr-defined]
    assert [event.what for event in failure.case.schedule] in (["partition", "heal"], ["crash", "restart"])
    drawn = re.search(r"^    1. AssertionError.*?packets", PAGE, re.MULTILINE | re.DOTALL)
    assert drawn is not None
    for word in (
        "AssertionError: assert ",
        "in test_one_order_is_one_order",
        "0.000000 s  seed 0",
        "python  ",
        "pytest  ",
        "shell   ",
    ):
        assert word in drawn[0] and word in said, word
    assert all(path.exists() for path in failure.captures)


def test_schedules_of_ones_own_are_taken(orders):
    exec(compile(OWN, "exploring.md", "exec"), {"explore": explore, **vars(orders)})


def test_the_mark_with_a_schedule_is_one(orders):
    (text,) = re.findall(r"`@pytest.mark.netsim\(schedule=\"(.*?)\"\)`", PAGE)
    from netstack.netsim import run

    assert run(orders.test_one_order_is_one_order, seed=1, schedule=text).ok


def test_every_command_line_parses():
    lines = re.findall(r"^ {4}netstack (.+)$", PAGE, re.MULTILINE)
    assert lines
    for line in lines:
        build_parser("explore").parse_args(line.split())
