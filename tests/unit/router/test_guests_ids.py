"""Ids of a user namespace, as /etc/subuid gives them."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.errors import UsageError
from netstack.router.guests import ids
from netstack.router.guests.ids import Helpers, mapping, read_ranges

SUBUID = """# who has what
eve:100000:65536
bob:165536:65536
1000:300000:10
eve:500000:0
eve:x:5
eve:1
"""


def test_ranges_are_read_by_name_and_by_number():
    assert read_ranges(SUBUID, ("eve", "1000")) == ((100000, 65536), (300000, 10))
    assert read_ranges(SUBUID, ("nobody", "65534")) == read_ranges("", ("eve",)) == ()


def test_ones_own_id_is_root_in_there_or_stays_what_it_is():
    ranges = ((100000, 65536), (300000, 10))
    assert mapping(1000, ranges, False) == [(0, 1000, 1), (1, 100000, 65536), (65537, 300000, 10)]
    assert mapping(1000, ranges, True) == [(0, 100000, 1000), (1000, 1000, 1), (1001, 101000, 64536), (65537, 300000, 10)]
    assert mapping(0, ((5, 2),), True) == [(0, 0, 1), (1, 5, 2)]


@given(
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(10**5, 10**6), st.integers(1, 2000)), max_size=4),
    st.booleans(),
)
def test_no_id_is_mapped_twice_and_none_is_lost(own, ranges, keep_id):
    lines = mapping(own, ranges, keep_id)
    assert sum(count for _, _, count in lines) == 1 + sum(count for _, count in ranges)
    ends = [(inside, inside + count) for inside, _, count in lines]
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="newuidmap is not installed"):
        Helpers.find()
    for name in ("newuidmap", "newgidmap"):
        program(tmp_path, name, "")
    files = {kind: str(tmp_path / f"sub{kind}id") for kind in "ug"}
    monkeypatch.setattr(ids, "OWN", files)
    with pytest.raises(UsageError, match=r"gives .* no ids: have root say usermod --add-subuids"):
        Helpers.find()
    for path in files.values():
        with open(path, "w") as file:
            file.write(f"{os.getuid()}:200000:1000\n")
    assert Helpers.find().uids == ((200000, 1000),)


def test_the_helpers_are_called_as_their_manuals_say_and_their_refusal_is_passed_on(tmp_path):
    for name in ("newuidmap", "newgidmap"):
        program(tmp_path, name, f'echo "$@" >> {tmp_path}/called; [ "$1" = 7 ] || {{ echo "{name}: not you" >&2; exit 1; }}')
    helpers = Helpers(((100000, 65536),), ((200000, 10),), f"{tmp_path}/newuidmap", f"{tmp_path}/newgidmap")
    helpers.write(7, 1000, 1001, False)
    assert (tmp_path / "called").read_text() == "7 0 1000 1 1 100000 65536\n7 0 1001 1 1 200000 10\n"
    with pytest.raises(OSError, match="not you"):
        helpers.write(8, 1000, 1001, False)
