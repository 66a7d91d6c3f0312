"""Arithmetic on the circle of 2**32 (RFC 1982), most of all where it closes and where it is cut in half."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import serial

TURN = 2**32
HALF = 2**31

edges = [0, 1, 2, HALF - 2, HALF - 1, HALF, HALF + 1, TURN - 2, TURN - 1]
numbers = st.one_of(st.sampled_from(edges), st.integers(0, TURN - 1))
forward = st.one_of(st.sampled_from([1, 2, HALF - 2, HALF - 1]), st.integers(1, HALF - 1))


@pytest.mark.parametrize(
    ("a", "b"), [(0, 1), (TURN - 1, 0), (HALF - 1, HALF), (HALF, HALF + 1), (1, HALF), (HALF + 2, 1), (TURN - 1, HALF - 2)]
)
def test_a_number_is_before_those_within_half_a_turn(a, b):
    assert serial.lt(a, b)
    assert not serial.lt(b, a)
    assert serial.le(a, b)
    assert not serial.le(b, a)


@given(numbers, forward)
def test_going_forward_less_than_half_a_turn_gives_a_later_number(a, n):
    """RFC 1982 3.1, 3.2."""
    b = serial.add(a, n)
    assert b == (a + n) % TURN
    assert serial.lt(a, b)
    assert not serial.lt(b, a)
    assert serial.le(a, b)
    assert not serial.le(b, a)
    assert serial.sub(b, a) == n
    assert serial.add(b, -n) == a
    assert serial.latest(a, b) == serial.latest(b, a) == b


@given(numbers)
def test_a_number_equals_itself(a):
    assert not serial.lt(a, a)
    assert serial.le(a, a)
    assert serial.sub(a, a) == 0
    assert serial.latest(a, a) == a
    assert not serial.between(a, a, a)


@given(numbers, st.integers(-(2**40), 2**40))
def test_distances_of_any_size_and_sign_can_be_added(a, n):
    assert serial.add(a, n) == (a + n) % TURN


@given(numbers, numbers, st.one_of(st.sampled_from([0, 1, HALF, TURN - 1]), st.integers(0, TURN - 1)))
def test_between_counts_forward_from_the_first(a, b, length):
    """A window of any length, the last value not included."""
    c = (a + length) % TURN
    assert bool(serial.between(a, b, c)) == ((b - a) % TURN < length)


def test_between_across_the_end_of_the_circle():
    assert serial.between(TURN - 2, TURN - 2, 2)
    assert serial.between(TURN - 2, 0, 2)
    assert serial.between(TURN - 2, 1, 2)
    assert not serial.between(TURN - 2, 2, 2)
    assert not serial.between(TURN - 2, TURN - 3, 2)
