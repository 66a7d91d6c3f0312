"""The page says what the cells do, and no more."""

import re

import pytest

pytest.importorskip("packaging")
from packaging.requirements import Requirement

from tests.compat import matrix
from tests.compat.install import requirements

VERSION = re.compile(r"^\| ([a-z]+) ([0-9][^ ]*) \|", re.MULTILINE)
NEWER = {"trio"}  # installed by an extra of its own


def test_the_table_of_the_page_is_that_of_the_cells():
    _, written, _ = matrix.split(matrix.PAGE.read_text("utf-8"))
    assert VERSION.sub(r"| \1 |", written) == VERSION.sub(r"| \1 |", matrix.text()), "python -m tests.compat.matrix --write"


def test_the_versions_of_the_table_are_those_that_setup_py_asks_for():
    _, written, _ = matrix.split(matrix.PAGE.read_text("utf-8"))
    wanted = {need.name: need.specifier for need in map(Requirement, requirements())}
    found = dict(VERSION.findall(written))
    assert found.keys() == {row.program for row in matrix.load()}
    for name, version in found.items():
        assert name in NEWER or version in wanted[name], f"{name} {version} is not {wanted[name]}"


def test_every_cell_is_a_test_that_pytest_collects():
    assert all(row.test.startswith("test_") for row in matrix.load())
