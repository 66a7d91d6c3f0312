"""Response-rate limiting: who gets how much of what."""

import ipaddress
import random
from collections import Counter

import pytest

from netstack.dns import const as dc
from netstack.dns.serve.limiter import Limiter, kind_of
from netstack.dns.serve.limits import RateLimits
from netstack.errors import UsageError
from netstack.instant import Duration

S = 1_000_000_000


def limiter(**rates):
    return Limiter(RateLimits(**rates), random.Random(4))


def v4(text):
    return 0, int(ipaddress.ip_address(text)), False


def v6(text):
    number = int(ipaddress.ip_address(text))
    return number >> 64, number & (1 << 64) - 1, True


HERE = v4("192.0.2.7")


def ask(judge, n, client=HERE, *, kind=dc.RESPONSES, question=1, start=0, every=0):
    """Verdicts of `n` responses, counted: (sent, dropped, slipped)."""
    found = Counter(judge.judge(kind, question, *client, start + i * every) for i in range(n))
    return found[dc.SEND], found[dc.DROP], found[dc.SLIP]


def test_a_network_gets_its_rate_in_one_burst_and_no_more():
    assert ask(limiter(responses=5, slip=0), 100) == (5, 95, 0)


def test_who_asks_at_the_rate_is_never_limited():
    assert ask(limiter(responses=5), 1000, every=S // 5) == (1000, 0, 0)


def test_every_second_answer_over_the_rate_slips_truncated():
    assert ask(limiter(responses=5), 105) == (5, 50, 50)
    assert ask(limiter(responses=5, slip=1), 105) == (5, 0, 100)
    assert ask(limiter(responses=5, slip=10), 105) == (5, 90, 10)


def test_errors_leak_instead_of_slipping():
    assert ask(limiter(errors=5), 105, kind=dc.ERRORS) == (55, 50, 0)


def test_a_flood_that_goes_on_is_served_again_only_after_the_window():
    judge = limiter(responses=10, slip=0, window=Duration(15 * S))
    assert ask(judge, 10_000) == (10, 9990, 0)
    assert ask(judge, 1, start=14 * S) == (0, 1, 0)
    quiet = 15 * S + S + S // 10
    assert ask(judge, 1, start=quiet) == (1, 0, 0)


def test_a_neighbour_in_the_network_shares_the_account_and_others_do_not():
    judge = limiter(responses=5, slip=0)
    assert ask(judge, 6) == (5, 1, 0)
    assert ask(judge, 1, v4("192.0.2.250")) == (0, 1, 0)
    assert ask(judge, 1, v4("192.0.3.7")) == (1, 0, 0)
    assert ask(judge, 6, v6("2001:db8:0:ff00::1")) == (5, 1, 0)
    assert ask(judge, 1, v6("2001:db8:0:ffff:1::1")) == (0, 1, 0)
    assert ask(judge, 1, v6("2001:db8:0:fe00::1")) == (1, 0, 0)
    assert ask(judge, 1, v6("::c000:207")) == (1, 0, 0)


def test_prefixes_are_chosen():
    judge = limiter(responses=1, slip=0, ipv4_prefix=32, ipv6_prefix=64)
    assert ask(judge, 1, v4("192.0.2.1")) == ask(judge, 1, v4("192.0.2.2")) == (1, 0, 0)
    assert ask(judge, 1, v6("2001:db8::1")) == ask(judge, 1, v6("2001:db8:0:1::1")) == (1, 0, 0)
    assert ask(judge, 1, v6("2001:db8::2")) == (0, 1, 0)


def test_other_questions_are_other_accounts_and_denials_are_one():
    judge = limiter(responses=5, nxdomains=5, slip=0)
    assert ask(judge, 6, question=1) == (5, 1, 0)
    assert ask(judge, 1, question=2) == (1, 0, 0)
    assert ask(judge, 6, kind=dc.NXDOMAINS, question=1) == (5, 1, 0)
    assert ask(judge, 1, kind=dc.NXDOMAINS, question=2) == (0, 1, 0)
    assert ask(judge, 100, kind=dc.NODATA) == (100, 0, 0)  # has no rate


def test_all_together_have_a_rate_and_nothing_of_that_slips():
    judge = limiter(responses=100, all=20)
    assert [ask(judge, 1, question=i)[0] for i in range(30)] == [1] * 20 + [0] * 10
    assert ask(judge, 100, question=7) == (0, 100, 0)


def test_exempt_networks_are_never_limited():
    judge = limiter(responses=1, exempt=("192.0.2.0/25", "2001:db8::/32"))
    assert ask(judge, 50, v4("192.0.2.7")) == (50, 0, 0)
    assert ask(judge, 50, v6("2001:db8::7")) == (50, 0, 0)
    assert ask(judge, 50, v4("198.51.100.7"))[0] == 1
    with pytest.raises(UsageError, match="not a network"):
        limiter(exempt=("everybody",))


def test_to_log_only_counts_and_sends():
    judge = limiter(responses=5, log_only=True)
    assert ask(judge, 105) == (105, 0, 0)
    assert (judge.over, judge.dropped, judge.slipped) == (100, 0, 0)


def test_a_flood_of_forged_networks_does_not_free_a_victim():
    judge = limiter(responses=5, accounts=64, slip=0)
    ask(judge, 1000)
    for i in range(20_000):
        judge.judge(dc.RESPONSES, 1, 0, i << 8, False, i)
        if i % 10 == 0:  # the attack goes on meanwhile
            assert ask(judge, 1, start=i) == (0, 1, 0), i


def test_without_rates_everything_is_sent():
    assert ask(limiter(), 1000) == (1000, 0, 0)


@pytest.mark.parametrize(
    "wrong", [{"responses": -1}, {"slip": 11}, {"ipv4_prefix": 33}, {"ipv6_prefix": 65}, {"window": Duration(1)}]
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError):
        RateLimits(**wrong)


@pytest.mark.parametrize(
    ("flags", "an", "kind"),
    [(0x8400, 1, dc.RESPONSES), (0x8400, 0, dc.NODATA), (0x8000, 0, dc.REFERRALS), (0x8403, 0, dc.NXDOMAINS),
     (0x8403, 1, dc.NXDOMAINS), (0x8005, 0, dc.ERRORS), (0x8402, 0, dc.ERRORS)],
)  # fmt: skip
def test_answers_have_kinds(flags, an, kind):
    assert kind_of(flags, an) == kind
