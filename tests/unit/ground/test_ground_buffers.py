"""Slabs: lent while somebody looks at them, never more of them than the limits say."""

import pytest

from netstack import buffers, const
from netstack.buffers import FREE_LIMIT, LENT_LIMIT, Pool


@pytest.fixture
def pool():
    return Pool(64)


def test_the_slab_last_given_back_is_the_next_one_out(pool):
    first, second = pool.get(), pool.get()
    pool.put(first)
    pool.put(second)
    assert pool.get() is second
    assert pool.get() is first
    assert pool.made == 2


def test_slabs_have_the_size_of_the_pool(pool):
    assert len(pool.get().buf) == pool.size == 64


def test_a_kept_slab_comes_back_when_it_is_let_go(pool):
    f = pool.get()
    f.kept = 1
    pool.put(f)
    pool.reclaim()
    assert pool.get() is not f
    f.kept = 0
    assert pool.get() is not f  # nobody has looked yet
    pool.reclaim()
    assert pool.get() is f


def test_a_viewed_slab_comes_back_when_the_last_view_is_gone(pool):
    f = pool.get()
    view = memoryview(f.buf)
    slice_ = view[3:5]
    view.release()
    pool.put(f)
    pool.reclaim()
    assert list(pool.lent) == [f]
    slice_.release()
    pool.reclaim()
    assert (list(pool.lent), list(pool.free)) == ([], [f])


def test_looking_for_views_changes_nothing(pool):
    f = pool.get()
    f.buf[:] = bytes(range(64))
    pool.put(f)
    pool.put(pool.get())
    assert bytes(f.buf) == bytes(range(64))


def test_free_slabs_are_bounded(pool):
    frames = [pool.get() for _ in range(FREE_LIMIT + 10)]
    for f in frames:
        pool.put(f)
    assert len(pool.free) == FREE_LIMIT


def test_lent_slabs_are_bounded_and_receivers_are_told(pool):
    frames = [pool.get() for _ in range(LENT_LIMIT + 10)]
    for i, f in enumerate(frames):
        assert pool.can_lend() == (i < LENT_LIMIT)
        f.kept = 1
        pool.put(f)
    pool.reclaim()
    assert len(pool.lent) == LENT_LIMIT
    assert not pool.can_lend()
    frames[0].kept = 0
    for _ in range(LENT_LIMIT // const.SLABS_LOOK):
        pool.reclaim()
    assert pool.can_lend()
    assert pool.get() is frames[0]


def test_what_sleeps_on_slabs_does_not_hide_those_that_come_free(pool):
    frames = [pool.get() for _ in range(200)]
    for f in frames:
        f.kept = 1
        pool.put(f)
    for f in frames[60:]:
        f.kept = 0
    for _ in range(60 // const.SLABS_LOOK + 1):
        pool.reclaim()
    assert (len(pool.lent), len(pool.free)) == (60, 140)
    assert set(map(id, pool.lent)) == set(map(id, frames[:60]))
    for f in frames:
        f.kept = 0
    pool.reclaim()
    assert (len(pool.lent), len(pool.free)) == (0, 200)


def test_a_slab_kept_beyond_the_limit_is_still_its_keepers(pool):
    frames = [pool.get() for _ in range(LENT_LIMIT + 1)]
    for f in frames:
        f.kept = 1
        pool.put(f)
    last = frames[-1]
    last.buf[0] = 7
    last.kept = 0
    pool.reclaim()
    assert pool.get() is not last
    assert last.buf[0] == 7


def test_the_limits_are_sixteen_megabytes_each():
    assert FREE_LIMIT * 66 * 1024 <= 17 * 2**20
    assert LENT_LIMIT * 66 * 1024 <= 17 * 2**20
    assert buffers.FREE_LIMIT >= 4 * 64  # four full batches
