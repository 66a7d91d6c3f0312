"""The table of connections is a dict, whatever its keys; and no choice of keys makes its searches long."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import const
from netstack.errors import UsageError
from netstack.siphash import SipHash
from netstack.tcp.table import Table

# few keys, so that they meet again; neighbours, and such as differ in high bits only
KEYS = st.one_of(st.integers(0, 40), st.integers(0, 40).map(lambda i: i << 48), st.integers(0, const.M64 - 1))
STEPS = st.lists(st.tuples(st.sampled_from(("put", "put", "remove", "get")), KEYS), max_size=200)


@given(STEPS, st.binary(min_size=16, max_size=16))
def test_a_table_is_a_dict(steps: list[tuple[str, int]], secret: bytes) -> None:
    table, model = Table(SipHash(secret)), dict[int, object]()
    for i, (what, key) in enumerate(steps):
        if what == "put":
            entry = (i, key)
            table.put(key, entry)
            model[key] = entry
        elif what == "remove" and key in model:
            table.remove(key)
            del model[key]
        elif what == "remove":
            with pytest.raises(KeyError):
                table.remove(key)
        assert table.get(key) == model.get(key)
        assert len(table) == len(model)
    assert sorted(table, key=id) == sorted(model.values(), key=id)
    assert all(table.get(key) is entry for key, entry in model.items())


def test_a_table_that_has_grown_and_shrunk_finds_the_rest(seed: int) -> None:
    rng = random.Random(seed)
    table, model = Table(SipHash(rng.randbytes(16))), dict[int, object]()
    for i in range(3000):
        key = 0x0A000001 << 32 | i << 16 | 80  # as of a crowd behind one address: the lower bits are all the same
        model[key] = object()
        table.put(key, model[key])
    for key in rng.sample(sorted(model), 2900):
        table.remove(key)
        del model[key]
    assert len(table) == 100
    assert all(table.get(key) is entry for key, entry in model.items())
    assert table.get(0x0A000001 << 32 | 3000 << 16 | 80) is None


def test_the_key_that_marks_a_free_place_is_never_found() -> None:
    table = Table(SipHash(bytes(16)))
    assert table.get(const.M64) is None
    with pytest.raises(UsageError):
        table.put(const.M64, object())
    with pytest.raises(KeyError):
        table.remove(const.M64)
    assert len(table) == 0
