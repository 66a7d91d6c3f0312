"""The examples of docs/captures.md run, its command lines parse, and what its tables name is there."""

import re
from pathlib import Path

import pytest

from netstack.captures import Connection, Stream
from netstack.cli import build_parser

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "captures.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^ {4}netstack (.+?)(?: +#.*)?$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("block", [block for block in BLOCKS if "pcaps/" in block])
def test_every_example_of_captures_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "docs/captures.md", "exec"), {"__name__": "docs"})


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_line_about_captures_parses(line: str) -> None:
    words = line.replace("'", "").split()
    build_parser(words[0]).parse_args(words)


def test_attributes_of_streams_are_there() -> None:
    table = PAGE.partition("| of a stream | |")[2].partition("\n\n")[0]
    names = {
        name.partition("(")[0]
        for row in table.splitlines()
        for name in re.findall(r"`([\w()]+)`", row.split("|")[1] if "|" in row else "")
    }
    assert names >= {"data", "gaps", "conflicts"} and all(hasattr(Stream, name) for name in names)
    assert {"opened", "closed"} <= {field.name for field in Connection.__attrs_attrs__}
