"""The cache: for how long, whom to believe, how much of it."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.dns import name
from netstack.dns.numbers import Type
from netstack.dns.resolve.cache import OVERHEAD, SECOND, Cache, CacheConfig, Credit, Kind, key_of
from netstack.errors import UsageError

N = name.parse
WWW = N("www.example.")
ONE, TWO = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
SOA = (N("example."), b"\0\0" + bytes(16) + (900).to_bytes(4, "big"))
T = 1_000 * SECOND


def put(cache, owner=WWW, type=Type.A, ttl=300, rdatas=(ONE,), credit=Credit.AUTHORITATIVE, now=T):
    return cache.put(owner, type, ttl, rdatas, credit, now)


def test_ttls_run_down_and_entries_end():
    cache = Cache()
    assert put(cache)
    assert cache.get(WWW, Type.A, T).ttl == 300
    assert cache.get(WWW, Type.A, T + 299 * SECOND).ttl == 1
    assert cache.get(WWW, Type.A, T + 300 * SECOND - 1).ttl == 1
    assert cache.get(WWW, Type.A, T + 300 * SECOND) is None
    assert len(cache) == 0 and cache.octets == 0
    assert (cache.mib.Hits, cache.mib.Misses, cache.mib.Expired) == (3, 1, 1)


def test_names_are_found_in_any_case_and_keep_their_own():
    cache = Cache()
    put(cache, N("WWW.Example."))
    found = cache.get(N("wwW.eXample."), Type.A, T)
    assert found.entry.name == N("WWW.Example.") and found.entry.rdatas == (ONE,)
    assert cache.get(WWW, Type.AAAA, T) is None
    assert cache.get(WWW, Type.A, T, rclass=3) is None


def test_nothing_is_kept_of_ttl_0_and_for_longer_than_the_cap():
    cache = Cache(CacheConfig(max_ttl=100))
    assert not put(cache, ttl=0)
    assert put(cache, ttl=0x7FFFFFFF)
    assert cache.get(WWW, Type.A, T).ttl == 100


def test_no_data_lives_for_the_lesser_of_soa_ttl_and_minimum():
    cache = Cache()
    assert cache.deny(WWW, Type.MX, SOA, 3600, Credit.AUTHORITY, T)
    assert cache.get(WWW, Type.MX, T).ttl == 900
    assert cache.get(WWW, Type.MX, T).entry.kind is Kind.NODATA
    assert cache.get(WWW, Type.MX, T).entry.soa == SOA
    assert cache.get(WWW, Type.A, T) is None  # of other types it says nothing
    assert cache.deny(WWW, Type.MX, SOA, 60, Credit.AUTHORITY, T)
    assert cache.get(WWW, Type.MX, T).ttl == 60


def test_nxdomain_denies_all_types_and_all_names_below():
    cache = Cache()
    assert cache.deny(N("gone.example."), Type.A, SOA, 900, Credit.AUTHORITY, T, nxdomain=True)
    for owner in ("gone.example.", "a.b.GONE.example."):
        found = cache.get(N(owner), Type.TXT, T)
        assert found.entry.kind is Kind.NXDOMAIN and found.entry.name == N("gone.example.")
    assert cache.get(N("nogone.example."), Type.A, T) is None
    only = Cache(CacheConfig(below_nxdomain=False))
    only.deny(N("gone.example."), Type.A, SOA, 900, Credit.AUTHORITY, T, nxdomain=True)
    assert only.get(N("gone.example."), Type.TXT, T) and only.get(N("a.gone.example."), Type.TXT, T) is None


def test_a_denial_without_soa_is_not_kept():
    cache = Cache()
    assert not cache.deny(WWW, Type.A, None, 900, Credit.AUTHORITY, T)
    assert not cache.deny(WWW, Type.A, (N("example."), b"\0"), 900, Credit.AUTHORITY, T)
    assert not cache.deny(WWW, Type.A, (SOA[0], SOA[1][:-4] + bytes(4)), 900, Credit.AUTHORITY, T)


def test_a_name_that_turns_up_was_not_gone():
    cache = Cache()
    cache.deny(WWW, Type.A, SOA, 900, Credit.AUTHORITY, T, nxdomain=True)
    put(cache, type=Type.TXT, credit=Credit.GLUE)
    assert cache.get(WWW, Type.A, T).entry.kind is Kind.NXDOMAIN  # glue proves nothing
    put(cache, type=Type.TXT)
    assert cache.get(WWW, Type.A, T) is None


@pytest.mark.parametrize("held", Credit)
@pytest.mark.parametrize("offered", Credit)
def test_what_is_more_credible_stays_and_what_is_as_credible_replaces(held, offered):
    cache = Cache()
    put(cache, credit=held)
    assert put(cache, rdatas=(TWO,), credit=offered) == (offered >= held)
    assert cache.get(WWW, Type.A, T, credit=Credit.GLUE).entry.rdatas == ((TWO,) if offered >= held else (ONE,))
    assert cache.mib.RefusedCredit == (offered < held)
    later = T + 300 * SECOND
    assert put(cache, rdatas=(TWO,), credit=offered, now=later)  # what has expired defends nothing


def test_glue_is_no_answer():
    cache = Cache()
    put(cache, credit=Credit.GLUE)
    assert cache.get(WWW, Type.A, T) is None
    assert cache.get(WWW, Type.A, T, credit=Credit.GLUE).entry.rdatas == (ONE,)


def test_a_delegation_is_not_prolonged_by_its_own_servers():
    cache = Cache()
    put(cache, type=Type.NS, rdatas=(b"\0",), ttl=100, credit=Credit.GLUE)
    for s in range(0, 300, 50):  # the child says again and again that it is there
        put(cache, type=Type.NS, rdatas=(b"\1a\0",), ttl=100, credit=Credit.AUTHORITATIVE, now=T + s * SECOND)
        if s < 100:
            assert cache.get(WWW, Type.NS, T + s * SECOND).ttl == 100 - s
    fresh = Cache()
    put(fresh, type=Type.NS, rdatas=(b"\0",), ttl=100)
    put(fresh, type=Type.NS, rdatas=(b"\0",), ttl=100, now=T + 50 * SECOND)
    assert fresh.get(WWW, Type.NS, T + 99 * SECOND).ttl == 1
    assert fresh.get(WWW, Type.NS, T + 100 * SECOND) is None


def test_stale_data_serves_while_it_may():
    cache = Cache(CacheConfig(stale_for=1000))
    put(cache, ttl=10)
    late = T + 500 * SECOND
    assert cache.get(WWW, Type.A, late) is None
    found = cache.get(WWW, Type.A, late, stale=True)
    assert (found.stale, found.ttl, found.entry.rdatas) == (True, 30, (ONE,))
    assert cache.mib.StaleHits == 1
    assert not cache.fail(WWW, Type.A, 5, late)  # it is worth more than to know that nobody answers
    assert cache.get(WWW, Type.A, late, stale=True)
    assert cache.get(WWW, Type.A, T + 1010 * SECOND, stale=True) is None
    assert len(cache) == 0


def test_failures_are_remembered_for_seconds():
    cache = Cache(CacheConfig(stale_for=1000))
    assert cache.fail(WWW, Type.A, 5, T)
    assert cache.get(WWW, Type.A, T).entry.kind is Kind.FAILURE
    assert cache.get(WWW, Type.AAAA, T) is None
    assert cache.get(WWW, Type.A, T + 5 * SECOND, stale=True) is None
    assert cache.fail(WWW, Type.A, 100_000, T) and cache.get(WWW, Type.A, T).ttl == 300
    put(cache)
    assert not cache.fail(WWW, Type.A, 5, T)
    assert cache.get(WWW, Type.A, T).entry.kind is Kind.RECORDS


def test_one_caller_is_told_to_refresh():
    cache = Cache(CacheConfig(prefetch=0.1))
    put(cache)
    assert not cache.get(WWW, Type.A, T + 269 * SECOND).refresh
    assert cache.get(WWW, Type.A, T + 271 * SECOND).refresh
    assert not cache.get(WWW, Type.A, T + 272 * SECOND).refresh
    put(cache, now=T + 280 * SECOND)
    assert cache.get(WWW, Type.A, T + 280 * SECOND + 271 * SECOND).refresh


def test_a_flood_of_random_names_pushes_out_denials_and_no_answers(seed):
    rng = random.Random(seed)
    cache = Cache(CacheConfig(limit=200_000, negative_limit=50_000))
    for i in range(100):
        put(cache, N(f"h{i}.example."))
    for _ in range(2000):
        owner = name.join([rng.randbytes(8), b"example"])
        cache.deny(owner, Type.A, SOA, 900, Credit.AUTHORITY, T, nxdomain=True)
    assert cache.negative_octets <= 50_000
    assert all(cache.get(N(f"h{i}.example."), Type.A, T) for i in range(100))
    assert cache.mib.Evicted > 1500


def test_the_longest_unused_goes_first():
    cache = Cache(CacheConfig(limit=10 * (OVERHEAD + 100)))
    for i in range(9):
        put(cache, N(f"h{i}."))
    cache.get(N("h0."), Type.A, T)
    for i in range(9, 15):
        put(cache, N(f"h{i}."))
    assert cache.get(N("h0."), Type.A, T) and cache.get(N("h1."), Type.A, T) is None
    assert cache.octets <= cache.config.limit


def test_a_monster_is_not_kept():
    cache = Cache(CacheConfig(entry_limit=10_000))
    assert not put(cache, rdatas=(bytes(9_990),))
    assert cache.mib.RefusedSize == 1


def test_forgetting_takes_all_below_a_name_and_nothing_beside():
    cache = Cache()
    for owner in ("example.", "a.example.", "b.a.EXAMPLE.", "badexample.", "other."):
        put(cache, N(owner))
    cache.deny(N("c.example."), Type.A, SOA, 900, Credit.AUTHORITY, T, nxdomain=True)
    assert cache.forget(N("Example.")) == 4
    assert cache.get(N("badexample."), Type.A, T) and cache.get(N("other."), Type.A, T)
    assert cache.forget(b"\0") == 2 and cache.octets == 0 == cache.negative_octets


def test_the_octets_counted_are_those_taken():
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    cache = Cache()
    for i in range(3000):
        put(cache, N(f"host{i:04}.example."), rdatas=(i.to_bytes(4, "big"), (i + 1).to_bytes(4, "big")))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 < (after - before) / cache.octets < 1.5


def test_choices_that_make_no_sense_are_refused():
    with pytest.raises(UsageError):
        CacheConfig(limit=-1)
    with pytest.raises(ValueError, match="prefetch"):
        CacheConfig(prefetch=1.5)


@settings(max_examples=40)
@given(st.data())
def test_whatever_happens_the_bounds_hold_and_what_is_given_is_alive(data):
    cache = Cache(CacheConfig(limit=8_000, negative_limit=3_000, stale_for=50))
    owners = [N(text) for text in ("a.", "b.a.", "c.b.a.", "d.", ".")]
    now = T
    for _ in range(data.draw(st.integers(1, 60))):
        now += data.draw(st.integers(0, 20)) * SECOND
        owner, credit = data.draw(st.sampled_from(owners)), data.draw(st.sampled_from(list(Credit)))
        what = data.draw(st.integers(0, 5))
        if what == 0:
            rdatas = (bytes(data.draw(st.integers(0, 900))),)
            put(cache, owner, ttl=data.draw(st.integers(0, 60)), rdatas=rdatas, credit=credit, now=now)
        elif what == 1:
            cache.deny(owner, Type.A, SOA, data.draw(st.integers(0, 60)), credit, now, nxdomain=data.draw(st.booleans()))
        elif what == 2:
            cache.fail(owner, Type.A, 5, now)
        elif what == 3:
            cache.forget(owner)
        found = cache.get(owner, Type.A, now, credit=credit, stale=data.draw(st.booleans()))
        if found is not None:
            assert found.ttl >= 1 and (found.stale or found.entry.expires > now)
            assert found.stale <= (found.entry.expires + 50 * SECOND > now)
        entries = [*cache._positive.items(), *cache._negative.items()]
        assert cache.octets == sum(entry.size for _, entry in entries) <= 8_000
        assert cache.negative_octets == sum(entry.size for entry in cache._negative.values()) <= 3_000
        assert all(key == key_of(entry.name, entry.type, entry.rclass) for key, entry in entries)
