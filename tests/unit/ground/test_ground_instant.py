"""Durations as text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import const, instant
from netstack.errors import UsageError
from netstack.instant import format_duration, parse_duration, seconds


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("20ms", 20_000_000),
        ("1.5s", 1_500_000_000),
        ("300us", 300_000),
        ("7ns", 7),
        ("0.02", 20_000_000),
        ("3", 3_000_000_000),
        ("0", 0),
        ("0.0000000004", 0),
        ("-5ms", -5_000_000),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["", "ms", "s", "20 minutes", "1h", "nan", "inf", "infs", "-inf", "1e400", "1e308s", "1..5s", "0x10ms"]
)
def test_anything_else_is_explained(text):
    with pytest.raises(UsageError, match="is not a duration: write it like 20ms"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_text_is_a_duration_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert isinstance(parse_duration(text), int)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1_500, "1.5 us"),
        (20_000_000, "20 ms"),
        (999_900_000, "1000 ms"),
        (1_234_567_890, "1.23 s"),
        (3_600_000_000_000, "3600 s"),
        (-2_000, "-2 us"),
    ],
)
def test_durations_are_written_for_people(ns, text):
    assert format_duration(ns) == text


@given(st.integers(-(10**18), 10**18))
def test_what_is_written_reads_back_to_three_digits(ns):
    number, unit = format_duration(ns).split()
    assert parse_duration(number + unit) == pytest.approx(ns, rel=0.006)


def test_seconds_are_rounded_to_a_nanosecond():
    assert seconds(0.1) == 100_000_000
    assert seconds(1e-9) == 1


def test_units_are_those_of_the_compiled_constants():
    assert (instant.MICROSECOND, instant.MILLISECOND, instant.SECOND, instant.NEVER) == (
        const.MICROSECOND, const.MILLISECOND, const.SECOND, const.NEVER,
    )  # fmt: skip
