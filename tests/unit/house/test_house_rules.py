"""House rules that a program can check: docstrings, lengths, and pages that say what is there."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(path.relative_to(ROOT) for top in ("netstack", "backends") for path in (ROOT / top).rglob("*.py"))
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
PAGES = sorted(path.relative_to(ROOT) for path in ROOT.glob("*.md"))

LONGEST = 500  # lines; a file that grows past that is asking to become a room
ADMITTED: dict[str, str] = {}  # path: why it may be longer


def test_every_module_says_what_it_is():
    texts = {str(path): (ROOT / path).read_text("utf-8") for path in SOURCES}
    silent = [path for path, text in texts.items() if text and not ast.get_docstring(ast.parse(text))]
    assert not silent, f"modules without a docstring: {silent}"


def test_no_file_is_longer_than_a_room():
    long = {
        str(path): lines
        for path in SOURCES
        if (lines := (ROOT / path).read_text("utf-8").count("\n")) > LONGEST and str(path) not in ADMITTED
    }
    assert not long, f"longer than {LONGEST} lines, move a noun out: {long}"


def test_the_list_of_long_files_is_not_longer_than_it_must_be():
    assert all((ROOT / path).read_text("utf-8").count("\n") > LONGEST for path in ADMITTED)


def test_sources_never_import_cython():
    wrong = [
        str(path) for path in SOURCES if re.search(r"^\s*(import|from) cython\b", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert not wrong, f"types belong in the .pxd: {wrong}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_pages_name_only_make_targets_that_exist(path):
    named = set(re.findall(r"(?:`|^ {4}|^)make ([a-z]+)", (ROOT / path).read_text("utf-8"), re.MULTILINE))
    assert named <= make_targets(), f"{path} names make targets that are not in the Makefile: {named - make_targets()}"


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / path).read_text("utf-8"))
    gone = [link for link in links if not (ROOT / path.parent / link).exists()]
    assert not gone, f"{path} links to files that are not there: {gone}"


def test_test_modules_have_names_of_their_own():
    """Two modules of one name would hide each other, where there is no package: tests/xen is one, since a guest runs it."""
    loose = [path for path in TESTS if not (ROOT / path).with_name("__init__.py").exists()]
    names = [path.name for path in loose if path.name != "conftest.py"]  # those pytest loads by their folder
    assert sorted(names) == sorted(set(names))
