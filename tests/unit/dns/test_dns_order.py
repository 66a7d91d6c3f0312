"""RFC 6724: the examples of its section 10, each with the rule that it is there for; and what we do differently."""

import ipaddress

import pytest

from netstack.dns.resolve.order import GLOBAL, LINK, Source, choose_source, mapped, ordered, policy, scope


def octets(text):
    return mapped(ipaddress.ip_address(text).packed)


def text(address):
    return str(ipaddress.ip_address(address[12:] if address[:12] == octets("0.0.0.0")[:12] else address))


def own(*said):
    """`2001:db8::1`, `fe80::1 deprecated`, `2001:db8::1 home`, `10.0.0.1/24`, `… on eth1`."""
    found = []
    for each in said:
        address, *flags = each.split()
        address, _, length = address.partition("/")
        prefix = int(length or 64) + (96 if "." in address and length else 0)
        interface = flags.pop() if flags[-2:-1] == ["on"] else ""
        found.append(Source(octets(address), prefix, interface=interface, **{flag: True for flag in flags if flag != "on"}))
    return found


@pytest.mark.parametrize(
    ("destination", "sources", "chosen"),
    [
        # 10.1
        ("2001:db8:1::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),  # appropriate scope
        ("ff05::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),  # appropriate scope
        ("2001:db8:1::1", ["2001:db8:1::1 deprecated", "2001:db8:2::1"], "2001:db8:1::1"),  # same address
        ("fe80::1", ["fe80::2 deprecated", "2001:db8:1::1"], "fe80::2"),  # appropriate scope
        ("2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"),  # longest matching prefix
        ("2001:db8:1::1", ["2001:db8:1::2 care_of", "2001:db8:3::2 home"], "2001:db8:3::2"),  # home address
        ("2002:c633:6401::1", ["2002:c633:6401::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2"],
         "2002:c633:6401::d5e3:7953:13eb:22e8"),  # matching label
        ("2001:db8:1::d5e3:0:0:1", ["2001:db8:1::2", "2001:db8:1::d5e3:7953:13eb:22e8 temporary"],
         "2001:db8:1::d5e3:7953:13eb:22e8"),  # temporary address
        # and the rules that have no example there
        ("2001:db8:1::1", ["2001:db8:2::1 deprecated", "2001:db8:3::1"], "2001:db8:3::1"),  # rule 3
        ("2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2 on eth1"], "2001:db8:3::2"),  # rule 5
        ("192.0.2.1", ["2001:db8::1", "10.0.0.1"], "10.0.0.1"),
    ],
)  # fmt: skip
def test_source_addresses_are_chosen_as_the_rfc_shows(destination, sources, chosen):
    for candidates in (own(*sources), own(*reversed(sources))):
        found = choose_source(octets(destination), candidates, interface="eth1")
        assert found is not None and found.address == octets(chosen)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        # 10.2
        (["2001:db8:1::2", "fe80::1", "169.254.13.78"], ["2001:db8:1::1", "198.51.100.121"]),  # matching scope
        (["fe80::1", "198.51.100.117"], ["198.51.100.121", "2001:db8:1::1"]),  # matching scope
        (["2001:db8:1::2", "fe80::1", "10.1.2.4"], ["2001:db8:1::1", "10.1.2.3"]),  # higher precedence
        (["2001:db8:1::2", "fe80::2"], ["fe80::1", "2001:db8:1::1"]),  # smaller scope
        (["2001:db8:1::2 care_of", "2001:db8:3f44::1 home", "fe80::2 care_of"], ["2001:db8:1::1", "fe80::1"]),  # home address
        (["2001:db8:1::2", "fe80::2 deprecated"], ["2001:db8:1::1", "fe80::1"]),  # no deprecated addresses
        (["2001:db8:1::2", "2001:db8:3f44::2", "fe80::2"], ["2001:db8:1::1", "2001:db8:3ffe::1"]),  # longest matching prefix
        (["2002:c633:6401::2", "fe80::2"], ["2002:c633:6401::1", "2001:db8:1::1"]),  # matching label
        (["2002:c633:6401::2", "2001:db8:1::2", "fe80::2"], ["2001:db8:1::1", "2002:c633:6401::1"]),  # higher precedence
        # and where there is no way at all (rule 1)
        (["10.0.0.1"], ["192.0.2.1", "2001:db8:1::1"]),
    ],
)
def test_destinations_are_ordered_as_the_rfc_shows(sources, expected):
    candidates = own(*sources)
    for said in (expected, expected[::-1]):
        found = ordered([octets(each) for each in said], lambda destination: choose_source(destination, candidates))
        assert [text(each) for each in found] == expected


def test_what_nothing_tells_apart_stays_in_the_order_of_the_answer():
    source = own("10.0.0.2/24")[0]
    far = [octets(each) for each in ("198.51.100.1", "10.9.0.1", "192.0.2.1", "172.16.0.1")]
    assert ordered(far, lambda _: source) == far  # no longest prefixes beyond the own network: round robin lives
    near = octets("10.0.0.77")
    assert ordered([*far, near], lambda _: source) == [near, *far]


def test_scopes_and_the_table_of_policy():
    assert [scope(octets(each)) for each in ("127.0.0.1", "169.254.1.1", "10.0.0.1", "fe80::1", "::1", "2001:db8::1")] == [
        LINK, LINK, GLOBAL, LINK, LINK, GLOBAL,
    ]  # fmt: skip
    addresses = ("::1", "2001:db8::1", "192.0.2.1", "2002::1", "2001::1", "fd00::1", "fec0::1", "3ffe::1", "::2")
    rows = [policy(octets(each)) for each in addresses]
    assert [(row.precedence, row.label) for row in rows] == [
        (50, 0), (40, 1), (35, 4), (30, 2), (5, 5), (3, 13), (1, 11), (1, 12), (1, 3),
    ]  # fmt: skip
