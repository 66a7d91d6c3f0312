"""tests/flows/CATALOGUE says which test covers which known case; here it is held to that."""

import ast
import functools
import re
from pathlib import Path

import attrs
import pytest

pytestmark = pytest.mark.once

TESTS = Path(__file__).resolve().parents[2]
CATALOGUE = TESTS / "flows" / "CATALOGUE"

SUITES = {"smoltcp: socket tests": 194, "gVisor: end-to-end tests": 216, "gVisor: packet tests": 68}  # how many cases each has
CLAUSE = re.compile(r"\bRFC \d+|CVE-\d+|MUST-\d+|SHLD-\d+|test_rfc\d+")


@attrs.frozen
class Row:
    suite: str
    name: str
    tests: tuple[str, ...]
    reason: str


def read() -> list[Row]:
    rows = []
    suite = ""
    for line in CATALOGUE.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            suite = line[1:-1]
        elif line and not line.startswith("#"):
            name, _, rest = line.partition(" | ")
            reason = rest.removeprefix("- ") if rest.startswith("- ") else ""
            rows.append(Row(suite, name, () if reason else tuple(rest.split(", ")), reason))
    return rows


@functools.cache
def functions() -> dict[str, str]:
    """Each test there is, and what it says of itself: its name and its docstring."""
    found: dict[str, str] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        module = ast.parse(path.read_text("utf-8"))
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = f"{found.get(node.name, '')}\n{node.name}\n{ast.get_docstring(node) or ''}"
    return found


@pytest.mark.parametrize(("suite", "cases"), SUITES.items())
def test_every_case_stands_in_the_catalogue_once(suite: str, cases: int) -> None:
    names = [row.name for row in read() if row.suite == suite]
    assert len(names) == len(set(names)) == cases


def test_the_catalogue_knows_no_other_suites() -> None:
    assert {row.suite for row in read()} == set(SUITES)


def test_every_case_has_a_test_or_a_reason() -> None:
    assert [row.name for row in read() if not row.tests and not row.reason] == []


def test_every_test_of_the_catalogue_exists_and_says_which_clause_it_is_about() -> None:
    there = functions()
    named = {test for row in read() for test in row.tests}
    assert sorted(named - there.keys()) == [], "no such tests"
    assert sorted(test for test in named if not CLAUSE.search(there[test])) == [], "tests without a clause in name or docstring"


def test_reasons_name_only_tests_that_exist() -> None:
    named = {test for row in read() for test in re.findall(r"test_\w+", row.reason)}
    assert sorted(named - functions().keys()) == []
