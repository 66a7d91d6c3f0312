"""Rules: how they are written, and which one decides."""

import random

import pytest
from policy_words import SITE, make_policy, verdict

from netstack.errors import UsageError
from netstack.router.policy.rules import read_ports
from netstack.router.policy.spec import read_rule
from netstack.router.policy.table import Table


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("API.github.com:443", "api.github.com:443"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("10.1.2.3", "10.1.2.3"),
        ("*.debian.org:80,443", "*.debian.org:80,443"),
        ("udp:10.0.0.53:53", "udp:10.0.0.53:53"),
        ("tcp:api.github.com:22", "tcp:api.github.com:22"),
        ("*:8000-8100", "*:8000-8100"),
        ("*@build", "*@build"),
        ("icmp:*", "icmp:*"),
        ("10.1.0.0/16:22@vm 1", "10.1.0.0/16:22@vm 1"),
        ("localhost:80", "localhost:80"),
    ],
)
def test_a_rule_is_read_as_it_is_written(text, canonical):
    rule = read_rule(True, text)
    assert rule.text == canonical
    assert read_rule(True, rule.text).text == canonical


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "doesn't say where"),
        (":443", "doesn't say where"),
        ("tcp:443", r"write tcp:\*:443 for everywhere"),
        ("a.example:", "ends before its port"),
        ("a.example:http", "'http' is no port"),
        ("a.example:0x50", "is no port"),
        ("a.example:65536", "from 0 to 65535"),
        ("a.example:90-80", "the lower one first"),
        ("a.example:80,", "'' is no port"),
        ("https://a.example/", "is a URL"),
        ("[2001:db8::1]:443", "of IPv6"),
        ("2001:db8::/32", "of IPv6"),
        ("10.1.2.3/16", "write 10.1.0.0/16, or 10.1.2.3"),
        ("10.1.2", "not an IPv4 address"),
        ("10.1.0.0/33", "prefix length"),
        ("sctp:a.example:80", "sctp is no protocol"),
        ("icmp:a.example:80", "icmp has no ports"),
        ("*.*.example", "is no name to go by"),
        ("a example", "is no name to go by"),
    ],
)
def test_a_rule_that_is_none_is_one_sentence(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        read_rule(True, text)


@pytest.mark.parametrize(
    ("allow", "more", "sentence"),
    [
        (True, {"ports": 80}, "says it again"),
        (True, {"rate": 0}, "bytes a second"),
        (False, {"rate": 9}, "bytes a second"),
        (False, {"check": True}, "rules that allow"),
        (True, {"how": "politely"}, "no way to deny"),
        (True, {"proto": "udp", "check": True}, "can't be checked in udp"),
    ],
)
def test_what_contradicts_itself_is_one_sentence(allow, more, sentence):
    with pytest.raises(UsageError, match=sentence):
        read_rule(allow, "a.example:443", **more)


def test_ports_are_given_in_many_ways():
    assert read_ports((80, "443", "8000-8100")) == ((80, 80), (443, 443), (8000, 8100))
    assert read_ports(None) == ()
    with pytest.raises(UsageError):
        read_ports([])


def test_the_first_rule_that_matches_decides():
    policy = make_policy("allow")
    policy.deny("93.184.0.0/16")
    policy.allow(SITE)
    assert verdict(policy) == "rule"
    policy.allow("93.184.216.0/24", first=True)
    assert verdict(policy) == "connect"


def test_ports_protocols_and_guests_narrow_a_rule():
    policy = make_policy()
    policy.allow("tcp:*:443,8000-8100@build")
    assert verdict(policy, SITE, 443, guest="build") == "connect"
    assert verdict(policy, SITE, 8050, guest="build") == "connect"
    assert verdict(policy, SITE, 8101, guest="build") == "default"
    assert verdict(policy, SITE, 443, guest="other") == "default"
    assert verdict(policy, SITE, 443, "udp", guest="build") == "default"
    assert verdict(policy, SITE, 7, "icmp", guest="build") == "default"


def test_a_rule_without_ports_is_for_pings_too_and_one_with_ports_is_not():
    policy = make_policy()
    policy.allow(SITE)
    assert verdict(policy, SITE, 53, "icmp") == "connect"  # an identifier, and no port
    policy.remove(policy.rules[0])
    policy.allow(f"{SITE}:1-65535")
    assert verdict(policy, SITE, 53, "icmp") == "default"


def test_where_the_default_is_to_deny_the_ports_of_dns_must_be_said():
    policy = make_policy()
    policy.allow("8.8.8.0/24")
    policy.allow("9.9.9.9:53")
    assert verdict(policy, "8.8.8.8", 443) == "connect"
    assert [verdict(policy, "8.8.8.8", port, proto) for port in (53, 853) for proto in ("udp", "tcp")] == ["default"] * 4
    assert verdict(policy, "9.9.9.9", 53, "udp") == "connect"
    assert verdict(make_policy("allow"), "8.8.8.8", 53, "udp") == "connect"


def test_a_rule_can_be_removed_once():
    policy = make_policy()
    rule = policy.allow(SITE)
    assert verdict(policy) == "connect"
    policy.remove(rule)
    assert verdict(policy) == "default"
    with pytest.raises(UsageError, match="no rule of this policy"):
        policy.remove(rule)


def test_the_index_finds_what_reading_from_top_to_bottom_finds(seed):
    rng = random.Random(seed)
    hosts = ["*", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3", "0.0.0.0/0", "*.a.example", "b.a.example", "a.example", "c.b.a.example"]
    for _ in range(40):
        rules = [
            read_rule(rng.random() < 0.5, f"{rng.choice(hosts)}{rng.choice(['', ':80', ':80-90,443'])}{rng.choice(['', '', '@x'])}")
            for _ in range(rng.randint(1, 30))
        ]
        table = Table(rules, strict=False)
        for _ in range(40):
            dst = rng.choice([0x0A010203, 0x0A010204, 0x0A010304, 0x0B000001])
            port = rng.choice([80, 85, 443, 22])
            guest = rng.choice(["", "x"])
            name = rng.choice(["", "a.example", "b.a.example", "c.b.a.example", "xa.example"])
            first = next(
                (
                    rule
                    for rule in rules
                    if (rule.network is None or dst in rule.network)
                    and (rule.name is None or (name and rule.name.matches(name)))
                    and (not rule.ports or any(low <= port <= high for low, high in rule.ports))
                    and rule.guest in (None, guest)
                ),
                None,
            )
            assert table.find(1, dst, port, guest, 0, name) is first
