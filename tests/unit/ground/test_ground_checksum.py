"""The Internet checksum against the additions of RFC 1071, done by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.checksum import checksum, pseudo_ip4, update
from netstack.testing import rawtwin


def naive_sum(data: bytes, start: int = 0) -> int:
    """RFC 1071 4.1, word by word."""
    total = start
    for i in range(0, len(data), 2):
        total += data[i] << 8 | (data[i + 1] if i + 1 < len(data) else 0)
        total = (total & 0xFFFF) + (total >> 16)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_the_example_of_the_rfc():
    """RFC 1071 3: 0001 f203 f4f5 f6f7 add up to ddf2."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


def test_a_header_from_a_wire():
    header = bytes.fromhex("4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7")
    assert checksum(header) == 0xB861
    assert checksum(header[:10] + b"\xb8\x61" + header[12:]) == 0


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", 0xFFFF), (b"\0", 0xFFFF), (bytes(1500), 0xFFFF), (b"\x12", 0xEDFF), (b"\xff\xff", 0), (b"\xff" * 7, 0x00FF)],
    ids=["nothing", "zero", "zeros", "one byte", "all ones", "seven"],
)
def test_corners(data, value):
    assert checksum(data) == value


@given(st.binary(max_size=200), st.integers(0, 0xFFFFF))
def test_any_bytes_sum_as_by_hand(data, start):
    assert checksum(data, start) == naive_sum(data, start) ^ 0xFFFF


@given(st.binary(min_size=1, max_size=70), st.integers(0, 70), st.integers(0, 70), st.integers(0, 0xFFFF))
def test_any_span_of_a_slab_sums_as_by_hand(data, o, n, start):
    o = min(o, len(data))
    n = min(n, len(data) - o)
    assert rawtwin.csum(bytearray(data), o, n, start) == naive_sum(data[o : o + n], start)


def test_the_largest_datagram_of_ones_sums_to_ones():
    """The worst case for carries: no 64-bit sum may lose one."""
    assert checksum(b"\xff" * 65535) == naive_sum(b"\xff" * 65535) ^ 0xFFFF
    assert checksum(b"\xff" * 65534, 0xFFFFFFFF) == 0


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 65535))
def test_a_pseudo_header_sums_as_its_bytes(src, dst, proto, length):
    header = src.to_bytes(4, "big") + dst.to_bytes(4, "big") + bytes([0, proto]) + length.to_bytes(2, "big")
    assert pseudo_ip4(src, dst, proto, length) == naive_sum(header)


def test_the_update_of_rfc_1624():
    """Its section 4: a word changes from 5555 to 3285 under the checksum dd2f; equation 3 gives 0000, where 2 gave ffff."""
    assert update(0xDD2F, 0x5555, 0x3285) == 0x0000


@given(st.binary(min_size=2, max_size=40).filter(lambda b: len(b) % 2 == 0), st.integers(0, 19), st.integers(0, 0xFFFF))
def test_an_update_is_the_same_as_summing_again(data, word, new):
    at = word * 2 % len(data)
    old = data[at] << 8 | data[at + 1]
    changed = data[:at] + new.to_bytes(2, "big") + data[at + 2 :]
    updated = update(checksum(data), old, new)
    # what a receiver sees: the sum over data and checksum is all ones, whichever zero was written
    assert naive_sum(changed + updated.to_bytes(2, "big")) in ((0xFFFF,) if any(changed) or updated else (0,))


@given(st.binary(max_size=64))
def test_any_buffer_will_do(data):
    assert checksum(bytearray(data)) == checksum(memoryview(data)) == checksum(data)
