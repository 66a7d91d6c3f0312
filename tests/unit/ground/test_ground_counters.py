"""Every group of counters in the house says what it counts, and counts nothing else."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import netstack
from netstack.counters import Group
from netstack.testing import twins

ROOT = Path(netstack.__file__).parent


def groups_in_sources() -> list[tuple[str, str]]:
    """Module and name of every class that derives from Group, found by reading."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).split(".")[-1] == "Group" for base in node.bases):
                found.append((module, node.name))
    return found


GROUPS = groups_in_sources()
CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*")


def test_the_house_has_groups_of_counters():
    assert ("ethif.mib", "LinkMib") in GROUPS
    assert ("ethif.mib", "ArpMib") in GROUPS


def test_groups_of_layers_are_declared_where_people_look():
    layers = {module for module, _ in GROUPS if not module.startswith("testing.")}
    assert {module for module in layers if not module.endswith(".mib")} == set()


def both_builds(module: str, name: str) -> list[type[Group]]:
    """The class of the build under test, and of the pure copy beside it."""
    return [getattr(importlib.import_module(f"netstack.{module}"), name), getattr(twins.load_pure(module), name)]


@pytest.mark.parametrize(("module", "name"), GROUPS, ids=lambda value: value)
def test_meanings_attributes_and_slots_are_the_same_names(module, name):
    compiled, pure = both_builds(module, name)
    assert compiled.MEANING == pure.MEANING
    assert set(pure.__slots__) == set(pure.MEANING)
    for kind in (compiled, pure):
        group = kind()
        attributes = {key for key in dir(group) if not key.startswith("_")} - {"MEANING", "snapshot"}
        assert attributes == set(kind.MEANING)
        assert group.snapshot() == dict.fromkeys(kind.MEANING, 0)
        with pytest.raises(AttributeError):
            group.InventedJustNow = 1


@pytest.mark.parametrize(("module", "name"), GROUPS, ids=lambda value: value)
def test_every_counter_counts_and_shows(module, name):
    for kind in both_builds(module, name):
        group = kind()
        for i, key in enumerate(kind.MEANING):
            setattr(group, key, getattr(group, key) + 2**40 + i)  # more than 32 bits
        assert group.snapshot() == {key: 2**40 + i for i, key in enumerate(kind.MEANING)}
        assert list(group.snapshot()) == list(kind.MEANING)


@pytest.mark.parametrize(("module", "name"), GROUPS, ids=lambda value: value)
def test_every_counter_has_a_name_like_the_kernels_and_a_meaning(module, name):
    (kind, _) = both_builds(module, name)
    for key, meaning in kind.MEANING.items():
        assert CAMEL.fullmatch(key), key
        assert len(meaning) > 8, f"{key}: {meaning!r}"
        assert not meaning.endswith("."), key
