"""The examples of docs/router.md do what they say, and its options and counters are there."""

import argparse
import re
from pathlib import Path

import pytest

from netstack.router.policy.mib import PolicyMib
from netstack.router.policy.options import add_policy_options

pytestmark = pytest.mark.once

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "router.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_of_the_page_runs(block):
    names: dict[str, object] = {"__name__": "docs"}
    exec(compile(block, "docs/router.md", "exec"), names)
    assert names.keys() & {"setup", "policy", "router"}


def test_the_options_of_a_policy_parse():
    parser = argparse.ArgumentParser()
    add_policy_options(parser)
    words = " ".join(re.findall(r"^ {4}(--.*)$", PAGE, re.MULTILINE)).replace("'", "").split()
    assert len(parser.parse_args(words).rules) == 4


def test_counters_that_the_page_names_are_counted():
    assert set(re.findall(r"`(Denied\w+)`", PAGE)) <= set(PolicyMib.MEANING)


def test_links_of_the_page_lead_somewhere():
    heads = [line[3:].lower() for line in PAGE.splitlines() if line.startswith("## ")]
    titles = {re.sub(r"[^a-z0-9 -]", "", head).replace(" ", "-") for head in heads}
    assert set(re.findall(r"\(#([a-z-]+)\)", PAGE)) == titles
