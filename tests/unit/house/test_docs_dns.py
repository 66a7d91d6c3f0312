"""The examples of docs/dns.md do what they say: those in memory run, the others compile; command lines parse."""

import re
from pathlib import Path

import pytest

from netstack.cli import build_parser
from netstack.cli.digging.words import read

pytestmark = pytest.mark.once

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "dns.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^ {4}netstack (.+?)(?: +#.*| \| .*)?$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_compiles_and_those_in_memory_run(block):
    exec(compile(block, "docs/dns.md", "exec"), {"__name__": "docs"})
    assert "run_virtual(main())" in block or 'if __name__ == "__main__":' in block


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_line_parses(line):
    words = [word.strip("'") for word in line.split()]
    args = build_parser(words[0]).parse_args(words)
    if words[0] == "dig":
        assert read(args.words).lookups


def test_links_lead_somewhere():
    heads = [line[3:].lower() for line in PAGE.splitlines() if line.startswith("## ")]
    titles = {re.sub(r"[^a-z0-9 -]", "", head).replace(" ", "-") for head in heads}
    assert set(re.findall(r"\(#([a-z-]+)\)", PAGE)) == titles
