"""Names as they are compared, the ranges of addresses, what was learnt, and buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.address import Cidr, Ip4
from netstack.errors import UsageError
from netstack.instant import SECOND, Duration, Instant
from netstack.router.policy.bucket import LEAST, TokenBucket
from netstack.router.policy.hostnames import Pattern, canonical, shown
from netstack.router.policy.learnt import Learnt
from netstack.router.policy.ranges import NEVER, OPEN, PRIVATE, kind_of, opened_by


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("api.github.com", "api.github.com"),
        ("API.GitHub.Com.", "api.github.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_acme-challenge.example", "_acme-challenge.example"),
        ("localhost", "localhost"),
        ("3com.com", "3com.com"),
    ],
)
def test_every_way_to_write_a_name_has_one_form(text, name):
    assert canonical(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.example..",
            "-a.example",
            "a-.example",
            "a b",
            "a\0b",
            "a/b",
            "a@b",
            "a:80",
            "[::1]",
            "*.a",
        ),
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "1.2.3.0x"),
        *("x" * 64 + ".example", "a." * 127 + "ab", "ü" * 300 + ".example", "a\u3002\u3002b"),
    ],
)
def test_what_is_not_the_name_of_a_host_has_no_form(text):
    assert canonical(text) is None


def test_from_the_wire_only_ascii_is_a_name():
    assert canonical("\u212aube.example") == "kube.example"  # IDNA folds KELVIN SIGN
    assert shown("\u212aube.example") is None
    assert shown("KUBE.example") == "kube.example"


@given(st.text(max_size=80))
def test_the_form_of_a_form_is_itself(text):
    name = canonical(text)
    assert name is None or canonical(name) == name


def test_patterns_match_whole_labels():
    below = Pattern("*.Debian.org.")
    assert [below.matches(name) for name in ("deb.debian.org", "a.b.debian.org")] == [True, True]
    assert not any(map(below.matches, ("debian.org", "evildebian.org", "debian.org.evil.example", ".debian.org")))
    assert Pattern("debian.org").matches("debian.org") and not Pattern("debian.org").matches("deb.debian.org")
    assert Pattern("*").matches("anything.example")
    assert str(Pattern("*.BÜCHER.example")) == "*.xn--bcher-kva.example"


@pytest.mark.parametrize("text", ["", "*.", "a.*.b", "*a.example", "**", "*.*", "10.0.0.1", "http://a"])
def test_a_pattern_that_is_none_is_one_sentence(text):
    with pytest.raises(UsageError, match="is no name to go by: write one like"):
        Pattern(text)


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        ("93.184.216.34 9.255.255.255 11.0.0.0 172.15.0.1 172.32.0.1 100.63.255.255 168.63.129.17", OPEN),
        ("10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1", PRIVATE),
        ("0.0.0.0 0.1.2.3 127.0.0.1 127.255.255.255 169.254.169.254 169.254.1.1 168.63.129.16 100.100.100.200", NEVER),
        ("224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255", NEVER),
    ],
)
def test_addresses_have_their_kind(addresses, kind):
    assert [kind_of(int(Ip4.parse(address)))[0] for address in addresses.split()] == [kind] * len(addresses.split())


def test_only_what_lies_within_a_guarded_range_opens_it():
    for wide in ("0.0.0.0/0", "126.0.0.0/7", "8.8.8.0/24"):
        assert opened_by(Cidr.parse(wide)) == PRIVATE
    for narrow in ("127.0.0.0/8", "127.0.1.0/24", "8.8.8.8"):
        assert opened_by(Cidr.parse(narrow)) == NEVER


# -- what was learnt ------------------------------------------------------------------------------------------------------------

AT = Instant(0)


def at(seconds: float) -> Instant:
    return Instant(int(seconds * SECOND))


def test_a_name_holds_for_its_ttl_and_a_grace():
    learnt = Learnt(Duration(300 * SECOND))
    assert learnt.learn(1, "a.example", [7, 8], 600, AT) == 2
    assert learnt.names(1, 7, at(899)) == ("a.example",)
    assert learnt.names(1, 7, at(900)) == ()
    assert learnt.names(1, 8, at(899)) == ("a.example",)
    assert len(learnt) == 1


def test_a_ttl_of_nothing_is_a_minute_and_one_of_years_a_day():
    learnt = Learnt(Duration(0))
    learnt.learn(1, "short.example", [7], 0, AT)
    learnt.learn(1, "long.example", [8], 2**31, AT)
    assert learnt.names(1, 7, at(59)) and not learnt.names(1, 7, at(60))
    assert learnt.names(1, 8, at(86399)) and not learnt.names(1, 8, at(86400))


def test_the_newest_name_of_an_address_comes_first():
    learnt = Learnt(Duration(0))
    for name in ("a.example", "b.example", "a.example"):
        learnt.learn(1, name, [7], 60, AT)
    assert learnt.names(1, 7, AT) == ("a.example", "b.example")


def test_what_one_guest_learnt_is_nothing_to_another():
    learnt = Learnt(Duration(0))
    learnt.learn(1, "a.example", [7], 60, AT)
    assert learnt.names(2, 7, AT) == ()
    learnt.forget(1)
    assert learnt.names(1, 7, AT) == ()


def test_a_guest_that_asks_for_more_than_its_bound_pushes_out_its_own_oldest():
    learnt = Learnt(Duration(0), names=100)
    learnt.learn(2, "other.example", [7], 60, AT)
    for n in range(1000):
        learnt.learn(1, f"n{n}.example", [n], 60, AT)
    assert len(learnt) == 101 and learnt.forgotten == 900
    assert learnt.names(2, 7, AT) == ("other.example",)
    assert learnt.names(1, 999, AT) == ("n999.example",) and learnt.names(1, 899, AT) == ()


def test_guests_are_bounded_as_well():
    learnt = Learnt(Duration(0), guests=10)
    for guest in range(100):
        learnt.learn(guest, "a.example", [7], 60, AT)
    assert len(learnt) == 10 and learnt.forgotten == 90


# -- buckets --------------------------------------------------------------------------------------------------------------------


def test_a_bucket_keeps_the_mean_whatever_the_pieces():
    bucket = TokenBucket(1000, 500)
    now = sent = 0
    for piece in (500, 1, 999, 3000, 10, 490) * 20:
        now += bucket.take(piece, now)
        sent += piece
    assert sent - 500 - 3000 <= 1000 * now / 1e9 <= sent


def test_a_bucket_says_how_long_to_wait():
    bucket = TokenBucket(1000, 500)
    assert bucket.take(500, 0) == 0
    assert bucket.take(250, 0) == 250_000_000
    assert bucket.wait(100_000_000) == 150_000_000
    assert bucket.wait(250_000_000) == 0
    assert not bucket.full(0)
    assert bucket.full(750_000_000)


def test_events_are_refused_and_not_delayed():
    bucket = TokenBucket(10, 3)
    assert [bucket.grab(1, 0) for _ in range(4)] == [True, True, True, False]
    assert bucket.grab(1, 100_000_000) and not bucket.grab(1, 100_000_000)


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(10, 3, now=10**9)
    assert bucket.grab(3, 10**9) and not bucket.grab(1, 0) and not bucket.grab(1, 10**9)


def test_a_slow_rate_still_lets_segments_through_whole():
    assert TokenBucket(100).burst == LEAST
    with pytest.raises(UsageError):
        TokenBucket(0)
