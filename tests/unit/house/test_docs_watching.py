"""The examples of docs/watching.md, and what the page says of them, are so."""

import argparse
import ast
import re
from pathlib import Path

import pytest

import netstack
from netstack.cli import build_parser
from netstack.testing.net import World

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "watching.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]


def without_ports(text: str) -> str:
    return re.sub(r"\b(a|b)\.\d{5}\b", r"\1.PORT", text)


def test_the_lesson_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PYTHON[0], "docs/watching.md", "exec"), {"__name__": "docs"})
    told = [line for line in capsys.readouterr().out.splitlines() if " ARP " not in line]
    (said,) = [text for kind, text in BLOCKS if kind == ""]
    assert without_ports("\n".join(told)) == without_ports(said.strip())


def test_every_target_of_the_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls = [node.value for node in ast.parse(PYTHON[1]).body if isinstance(node, ast.Expr)]
    assert len(calls) == 7
    world = World()
    names = {"netstack": netstack, "net": world, "a": world.host("a"), "b": world.host("b"), "sys": __import__("sys")}
    for call in calls:
        with eval(compile(ast.Expression(call), "docs/watching.md", "eval"), names) as trace:
            pass
        assert trace.error is None


def test_every_command_of_the_page_parses() -> None:
    lines = re.findall(r"^\$ netstack (.+?)(?: +#.*)?$", PAGE, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        words = line.split()
        assert isinstance(build_parser(words[0]).parse_args(words), argparse.Namespace)


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n([^`]*netstack\.trace\(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    exec(compile(block, "README.md", "exec"), {"__name__": "docs"})
    assert "again: no answer" in (tmp_path / "lesson.txt").read_text("utf-8")
    assert (tmp_path / "lesson.pcapng").read_bytes()[:4] == b"\n\r\r\n"
