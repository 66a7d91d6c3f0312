"""The examples of docs/test-worlds.md do what they say: tests run, and so does the scenario."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
pytest_plugins = ["pytester"]

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "test-worlds.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OURS = [block for block in BLOCKS if "netsim" in block and "explore" not in block]


def test_the_examples_run_as_one_file(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("\n".join(OURS))
    result = pytester.runpytest_inprocess("-p", "netstack.netsim.plugin", "-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=sum(block.count("\nasync def test_") + block.startswith("async def test_") for block in OURS))


def test_every_fault_that_the_page_names_is_one():
    from netstack.netsim.arguments import FAULTS

    (sentence,) = re.findall(r"the faults of all cables: (.*?), …", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) <= set(FAULTS)
