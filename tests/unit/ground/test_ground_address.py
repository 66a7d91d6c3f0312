"""Addresses: text at the edges, ints inside. The oracle is the standard library's ipaddress."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netstack.address import Cidr, Ip4, Mac, ip4_text
from netstack.errors import UsageError

ips = st.integers(0, 2**32 - 1)
near_addresses = st.text("0123456789./ -+xa", max_size=20)


@given(ips)
def test_every_ipv4_address_is_written_as_the_standard_library_writes_it(value):
    text = str(ipaddress.IPv4Address(value))
    assert str(Ip4(value)) == ip4_text(value) == text
    assert Ip4.parse(text) == Ip4(value)
    assert int(Ip4.parse(text)) == value
    assert bytes(Ip4(value)) == ipaddress.IPv4Address(value).packed
    assert Ip4(value).is_multicast == ipaddress.IPv4Address(value).is_multicast


@given(st.one_of(near_addresses, st.text(max_size=20)))
@example("10.79.0.02")
@example("1.2.3.256")
@example("1.2.3")
@example("1.2.3.4\n")
@example("\u0661.2.3.4")
def test_text_is_an_ipv4_address_where_the_standard_library_takes_it(text):
    try:
        expected = int(ipaddress.IPv4Address(text))
    except ValueError:
        with pytest.raises(UsageError, match="is not an IPv4 address: write four numbers up to 255 like"):
            Ip4.parse(text)
    else:
        assert int(Ip4.parse(text)) == expected


@given(ips, st.integers(0, 32))
def test_networks_are_those_of_the_standard_library(value, length):
    ours, theirs = Cidr(Ip4(value), length), ipaddress.IPv4Interface((value, length))
    assert str(ours) == theirs.with_prefixlen
    assert Cidr.parse(theirs.with_prefixlen) == ours
    assert ours.network == int(theirs.network.network_address)
    assert ours.mask == int(theirs.netmask)
    assert ours.broadcast == (int(theirs.network.broadcast_address) if length < 31 else None)
    assert Ip4(value) in ours


@given(ips, st.integers(0, 32), ips)
def test_an_address_is_in_a_network_where_the_standard_library_says_so(value, length, other):
    network = ipaddress.IPv4Network((value, length), strict=False)
    cidr = Cidr(Ip4(value), length)
    assert (other in cidr) == (Ip4(other) in cidr) == (ipaddress.IPv4Address(other) in network)


@pytest.mark.parametrize("length", ["", "x", "-1", "+1", " 8", "024", "\u0663"])
def test_a_prefix_that_is_no_number_is_explained(length):
    with pytest.raises(UsageError, match=r"write it like 10\.79\.0\.2/24"):
        Cidr.parse(f"10.0.0.1/{length}")


@pytest.mark.parametrize("text", ["10.0.0.1/33", "10.0.0.1/99"])
def test_a_prefix_that_is_too_long_is_explained(text):
    with pytest.raises(UsageError, match="write a number from 0 to 32"):
        Cidr.parse(text)


def test_an_address_without_a_prefix_is_a_host_of_its_own():
    assert Cidr.parse("10.79.0.2") == Cidr(Ip4(0x0A4F0002), 32)


@given(st.integers(0, 2**48 - 1))
def test_every_link_address_survives_its_text(value):
    mac = Mac(value)
    assert str(mac) == ":".join(f"{octet:02x}" for octet in value.to_bytes(6, "big"))
    assert Mac.parse(str(mac)) == Mac.parse(str(mac).replace(":", "-").upper()) == mac
    assert bytes(mac) == value.to_bytes(6, "big")
    assert mac.is_group == bool(bytes(mac)[0] & 1)


def test_pairs_of_a_link_address_may_leave_out_a_zero():
    assert Mac.parse("2:0:0:a:b:1") == Mac(0x0200000A0B01)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:01:02",
        "02:00:00-00:00:01",
        "020000000001",
        "02:00:00:00:00:0g",
        "02:00:00:00:00:001",
        " 2:0:0:0:0:1",
    ],
)
def test_a_link_address_that_is_none_is_explained(text):
    with pytest.raises(UsageError, match="six hexadecimal pairs like 02:00:00:00:00:01"):
        Mac.parse(text)


@pytest.mark.parametrize(("kind", "bits"), [(Ip4, 32), (Mac, 48)])
def test_a_number_that_does_not_fit_is_explained(kind, bits):
    assert int(kind(2**bits - 1)) == 2**bits - 1
    for value in (-1, 2**bits):
        with pytest.raises(UsageError, match=f"does not fit in the {bits} bits of {kind.__name__}"):
            kind(value)


def test_addresses_equal_only_their_own_kind():
    assert Ip4(1) != Mac(1)
    assert Ip4(1) != 1
    assert len({Ip4(1), Ip4(1), Mac(1), 1}) == 3
    assert len({Cidr.parse("10.0.0.1/8"), Cidr.parse("10.0.0.1/8"), Cidr.parse("10.0.0.1/9")}) == 2


def test_addresses_are_ordered_within_their_kind():
    assert sorted([Ip4(3), Ip4(1), Ip4(2)]) == [Ip4(1), Ip4(2), Ip4(3)]
    assert Ip4(1) <= Ip4(1) < Ip4(2)
    with pytest.raises(TypeError):
        assert Ip4(1) < Mac(2)


def test_the_repr_of_an_address_makes_it_again():
    for value in (Ip4.parse("10.79.0.2"), Mac.parse("02:00:00:00:00:01"), Cidr.parse("10.79.0.2/24")):
        assert eval(repr(value)) == value
