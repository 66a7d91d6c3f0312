"""The examples of the README do what it says."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netstack.cli import COMMANDS, build_parser

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_example_in_memory_runs():
    (block,) = (block for block in BLOCKS if "two_hosts" in block)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    asyncio.run(asyncio.wait_for(names["two_hosts"](), 30))


def test_the_examples_in_virtual_time_run_and_take_no_time():
    names = {}
    for block in (block for block in BLOCKS if "two_hosts" in block or "run_virtual" in block):
        exec(compile(block, "README.md", "exec"), names)


def test_the_shortest_example_works_as_pasted_in_an_empty_folder(tmp_path):
    (tmp_path / "test_hello.py").write_text(BLOCKS[0], "utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backends'}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "netstack.netsim.plugin", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run([*command, "test_hello.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert "1 passed" in done.stdout, done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"test_hello.py", "__pycache__"}


def test_the_first_example_on_a_device_is_short_and_uses_what_there_is():
    block = BLOCKS[1]
    assert block.count("\n") <= 20
    compile(block, "README.md", "exec")
    assert "netstack.open(" in block


def test_every_command_line_in_the_readme_parses():
    lines = re.findall(r"^ {4}netstack (.+?)(?: +#.*)?$", README, re.MULTILINE)
    assert {line.split()[0] for line in lines} == set(COMMANDS)
    for line in lines:
        words = [word.strip("'") for word in line.split()]
        build_parser(words[0]).parse_args(words)
