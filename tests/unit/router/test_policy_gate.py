"""The gate: what becomes of a flow, by its source, its address, its names, and its first bytes."""

import json

import pytest
from policy_words import GUEST, SITE, Clock, decide, hello, make_flow, make_policy, verdict

from netstack.errors import UsageError
from netstack.instant import SECOND, Instant
from netstack.router.policy.config import PolicyConfig
from netstack.router.policy.policy import Policy


def inspected(policy, flow, first, final=False):
    """What the gate says of the first bytes of a flow that may connect."""
    decision = decide(policy, flow)
    assert decision.action == "connect" and decision.inspect is not None, decision
    return decision.inspect(flow, first, final)


def named(*rules: str, name: str = "api.example", default: str = "deny", address: str = SITE, **more) -> Policy:
    """A policy with rules that allow, whose guest has asked for `name`."""
    policy = make_policy(default, **more)
    for rule in rules:
        policy.allow(rule)
    policy.on_answer(GUEST, name, [address], 60)
    return policy


# -- who it comes from ------------------------------------------------------------------------------------------------------------


def test_a_spoofed_source_is_denied_and_counted():
    policy = make_policy("allow")
    assert verdict(policy, src="10.0.3.1") == "spoofed"
    assert verdict(policy, src="127.0.0.1") == "spoofed"
    assert policy.mib.DeniedSpoofed == policy.mib.Denied == 2


def test_a_guest_that_sends_from_anothers_address_is_denied_and_the_other_is_not():
    policy = make_policy("allow")
    policy.bind("10.0.2.100", "one")
    policy.bind("10.0.2.101", "two")
    assert verdict(policy, src="10.0.2.101", guest="one") == "spoofed"
    assert verdict(policy, src="10.0.2.101", guest="two") == "connect"
    assert verdict(policy, src="10.0.2.100", guest="one") == "connect"


def test_a_flood_of_flows_stops_at_the_bound_of_its_guest_and_harms_no_other():
    policy = make_policy("allow", config=PolicyConfig(flows=100))
    flows = [make_flow(guest="flooder") for _ in range(500)]
    actions = [decide(policy, flow).action for flow in flows]
    assert actions == ["connect"] * 100 + ["deny"] * 400
    assert policy.mib.DeniedFlood == 400
    assert verdict(policy, guest="other", src="10.0.2.7") == "connect"
    for flow in flows:
        policy.over(flow)
    assert verdict(policy, guest="flooder") == "connect"
    assert not policy._flows


def test_the_end_of_a_flow_that_somebody_else_decided_about_is_nothing_to_it():
    policy = make_policy("allow", config=PolicyConfig(flows=2))
    mine = [make_flow(), make_flow()]
    for flow in mine:
        decide(policy, flow)
    policy.over(make_flow())
    assert verdict(policy) == "flood"
    policy.over(mine[0])
    policy.over(mine[0])
    assert verdict(policy) == "connect" and not policy._open - {mine[1]}


def test_new_flows_may_have_a_rate():
    policy = make_policy("allow", config=PolicyConfig(new_flows=10, new_flows_burst=5))
    assert [verdict(policy) for _ in range(7)] == ["connect"] * 5 + ["flood"] * 2
    assert verdict(policy, now=1001 * SECOND) == "connect"
    assert verdict(policy, src="10.0.2.7") == "connect"


# -- addresses --------------------------------------------------------------------------------------------------------------------


METADATA = "169.254.169.254 100.100.100.200 168.63.129.16"
HOSTS = f"127.0.0.1 127.8.9.1 0.0.0.0 169.254.0.1 224.0.0.1 255.255.255.255 {METADATA}".split()
PRIVATE = ["10.0.0.1", "10.0.2.2", "192.168.1.1", "172.17.0.1", "100.64.0.1"]


@pytest.mark.parametrize("address", HOSTS)
@pytest.mark.parametrize("proto", ["tcp", "udp", "icmp"])
def test_the_host_its_link_and_the_metadata_of_a_cloud_are_denied_and_counted(address, proto):
    policy = make_policy("allow")
    policy.allow("*")
    policy.allow("0.0.0.0/0")
    assert verdict(policy, address, 80, proto) == "guarded"
    assert policy.mib.DeniedGuarded == 1
    policy.allow(address)
    assert verdict(policy, address, 80, proto) == "connect"


def test_the_hosts_own_addresses_are_opened_by_name_of_the_address_alone():
    policy = make_policy("allow", own=["192.0.2.7"])
    policy.allow("192.0.2.0/24")
    assert verdict(policy, "192.0.2.7") == "guarded"
    assert verdict(policy, "192.0.2.8") == "connect"
    policy.allow("192.0.2.7:5432")
    assert verdict(policy, "192.0.2.7") == "guarded"
    assert verdict(policy, "192.0.2.7", 5432) == "connect"


def test_the_hosts_addresses_may_be_asked_for_and_are_asked_for_once_a_second():
    class Kernel:
        asked = 0
        hosts = frozenset((0xC0000207,))

        def __contains__(self, address):
            Kernel.asked += 1
            return address in Kernel.hosts

    policy = make_policy("allow", own=Kernel())
    assert [verdict(policy, SITE) for _ in range(9)] == ["connect"] * 9 and Kernel.asked == 1
    assert verdict(policy, "192.0.2.7") == "guarded"
    Kernel.hosts = frozenset((0x5DB8D822,))
    assert verdict(policy, SITE, now=1001 * SECOND) == "guarded"


def test_the_gateway_stands_for_the_hosts_loopback_where_that_was_opened():
    policy = make_policy("allow", gateway="10.0.2.2")
    assert verdict(policy, "10.0.2.2", 5432) == "guarded"
    policy.allow("10.0.2.2:5432")
    assert decide(policy, make_flow("10.0.2.2", 5432)).to == ("127.0.0.1", 5432)
    assert verdict(policy, "10.0.2.2", 5433) == "guarded"
    policy = make_policy("allow", gateway="10.0.2.2", loopback=True)
    policy.deny("10.0.2.2:22")
    assert decide(policy, make_flow("10.0.2.2", 5432, "udp")).to == ("127.0.0.1", 5432)
    assert verdict(policy, "10.0.2.2", 22) == "rule"
    assert verdict(policy, "10.0.2.2", 1, "icmp") == "guarded"


def test_private_addresses_are_as_the_default_and_the_rules_for_addresses_have_it():
    assert verdict(make_policy("allow"), "192.168.1.1") == "connect"
    policy = make_policy()
    assert verdict(policy, "10.1.2.3") == "default"
    policy.allow("10.1.0.0/16")
    assert verdict(policy, "10.1.2.3") == "connect"


# -- names ------------------------------------------------------------------------------------------------------------------------


def test_a_name_opens_the_address_for_the_guest_that_asked_and_for_nobody_else():
    policy = named("api.example")
    flow = make_flow()
    assert inspected(policy, flow, hello("api.example")) is True
    assert flow.names == ("api.example",) and flow.hostname == "api.example"
    assert verdict(policy, "93.184.216.35") == "default"
    assert verdict(policy, src="10.0.2.101") == "default"


def test_a_name_is_forgotten_after_its_ttl_and_grace():
    policy = named("api.example")
    assert verdict(policy, now=1359 * SECOND) == "connect"
    assert verdict(policy, now=1360 * SECOND) == "default"


def test_a_chain_of_aliases_counts_for_the_name_that_was_asked_for():
    policy = named("api.example", name="API.Example.")  # which was an alias of edge.cdn.example
    assert inspected(policy, make_flow(), hello("api.example")) is True
    assert inspected(policy, make_flow(), hello("edge.cdn.example")) is False


@pytest.mark.parametrize("said", ["evil.example", "sub.api.example", "example"])
def test_tls_to_another_name_than_the_address_was_learnt_by_is_denied(said):
    policy = named("api.example")
    flow = make_flow()
    assert inspected(policy, flow, hello(said)) is False
    assert policy.denials()[-1].why == "mismatch" and policy.denials()[-1].name == said
    assert said in flow.note and policy.mib.DeniedMismatch == 1


def test_a_name_of_ones_own_that_no_rule_allows_is_denied_though_it_was_asked_for():
    policy = make_policy()
    policy.allow("*.cdn.example")
    policy.may_resolve("evil.example")
    for name in ("a.cdn.example", "evil.example"):
        policy.on_answer(GUEST, name, [SITE], 60)
    assert inspected(policy, make_flow(), hello("a.cdn.example")) is True
    assert inspected(policy, make_flow(), hello("evil.example")) is False
    assert policy.denials()[-1].why == "default"


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (hello(None), "nameless"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "nameless"),
        (b"\0\1\2\3", "nameless"),
        (hello("127.0.0.1"), "malformed"),
        (b"\x16\x03\x01\x00\x00", "malformed"),
        (b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", "nameless"),  # in the clear, and what follows would not be seen
    ],
)
def test_what_says_no_name_on_a_port_of_tls_is_denied(first, why):
    policy = named("api.example")
    assert inspected(policy, make_flow(), first) is False
    assert policy.denials()[-1].why == why


@pytest.mark.parametrize("name", ["api.example", "API.example."])
def test_a_name_that_is_said_is_heard_as_soon_as_it_is_whole(name):
    policy = named("api.example")
    decision = decide(policy, flow := make_flow())
    first = hello(name)
    heard = [decision.inspect(flow, first[:at], False) for at in range(1, len(first) + 1)]
    assert heard[:-1] == [None] * (len(first) - 1) and heard[-1] is True


def test_who_says_nothing_in_time_is_denied():
    policy = named("api.example")
    assert inspected(policy, make_flow(), b"", False) is None
    assert inspected(policy, make_flow(), b"", True) is False
    assert inspected(policy, make_flow(), hello("api.example")[:20], True) is False
    assert policy.mib.DeniedNameless == 2


def test_on_a_port_of_its_own_a_rule_by_name_is_believed():
    policy = named("api.example:22")
    assert decide(policy, make_flow(port=22)).inspect is None
    policy = make_policy()
    policy.allow("api.example:22", check=True)
    policy.on_answer(GUEST, "api.example", [SITE], 60)
    assert decide(policy, make_flow(port=22)).handler is not None


def test_a_rule_by_name_is_for_tcp_unless_it_says_udp():
    policy = named("api.example:443")
    assert verdict(policy, SITE, 443, "udp") == "default"
    policy.allow("udp:api.example:443")
    assert verdict(policy, SITE, 443, "udp") == "connect"


def test_where_names_share_an_address_the_first_bytes_decide():
    policy = make_policy("allow")
    policy.deny("ads.example")
    for name in ("www.example", "ads.example"):
        policy.on_answer(GUEST, name, [SITE], 60)
    assert inspected(policy, make_flow(), hello("www.example")) is True
    assert inspected(policy, make_flow(), hello("ads.example")) is False
    assert policy.denials()[-1].why == "rule"
    assert verdict(policy, SITE, 5000) == "connect"


def test_a_denied_name_is_denied_without_its_dns_as_well():
    policy = make_policy("allow")
    policy.deny("*.ads.example")
    assert inspected(policy, make_flow(), hello("www.ads.example")) is False
    assert inspected(policy, make_flow(), hello("www.example")) is True
    assert inspected(policy, make_flow(), hello(None)) is True
    assert inspected(policy, make_flow(), b"", True) is True
    assert inspected(policy, make_flow(port=80), b"GET / HTTP/1.1\r\nHost: www.ads.example\r\n\r\n") is False
    assert decide(policy, make_flow(port=22)).inspect is None


def test_a_denied_name_with_an_address_of_its_own_is_denied_at_once():
    policy = make_policy("allow")
    policy.deny("ads.example", how="unreachable")
    policy.on_answer(GUEST, "ads.example", [SITE], 60)
    decision = decide(policy, make_flow())
    assert (decision.action, decision.how) == ("deny", "unreachable")
    assert policy.denials()[-1].name == "ads.example"


@pytest.mark.parametrize("address", [*HOSTS, *PRIVATE])
def test_names_that_lead_to_an_address_that_no_name_may_lead_to_are_denied(address):
    policy = named("*.evil.example", name="rebind.evil.example", address=address)
    assert verdict(policy, address) == "rebinding"
    assert policy.mib.DeniedRebinding == 1 and policy.denials()[-1].name == "rebind.evil.example"
    policy.allow(f"{address}:443")
    assert verdict(policy, address) == "connect"


def test_a_rule_may_limit_the_rate():
    policy = make_policy()
    policy.allow(SITE, rate=1000)
    assert decide(policy, make_flow()).rate == 1000
    policy = make_policy()
    policy.allow("api.example", rate=2000)
    policy.on_answer(GUEST, "api.example", [SITE], 60)
    assert decide(policy, make_flow()).rate == 2000


def test_all_flows_of_a_guest_may_share_a_rate():
    policy = make_policy("allow")
    policy.limit(1_000_000)
    policy.limit(500, "10.0.2.7")
    policy.on_flow(lambda flow: True if flow.dst_port == 1 else None)
    first, second, hooked = (decide(policy, make_flow(port=port)).share for port in (443, 444, 1))
    assert first is second is hooked and first.there.rate == first.back.rate == 1_000_000
    assert decide(policy, make_flow(src="10.0.2.8")).share is not first
    assert decide(policy, make_flow(src="10.0.2.7")).share.back.rate == 500
    policy.limit(None)
    assert decide(policy, make_flow()).share is None
    with pytest.raises(UsageError):
        policy.limit(0)


def test_a_guest_that_begins_anew_still_owes_what_it_owed():
    policy = make_policy("allow")
    policy.limit(1_000_000)
    flow, later = make_flow(), make_flow(now=1001 * SECOND)
    share = decide(policy, flow).share
    share.there.take(10_000_000, flow.began)
    policy.over(flow)
    assert decide(policy, later).share is share
    later.last = Instant(1100 * SECOND)
    policy.over(later)
    assert decide(policy, make_flow(now=1100 * SECOND)).share is not share


# -- the DNS ----------------------------------------------------------------------------------------------------------------------


def test_names_that_nothing_could_allow_are_not_asked_for():
    policy = make_policy()
    policy.allow("*.debian.org:80")
    policy.allow("api.github.com@build")
    policy.may_resolve("time.example")
    policy.bind("10.0.2.7", "build")
    good = ["deb.debian.org", "DEB.Debian.org.", "time.example"]
    bad = ["debian.org", "secret.evil.example", "api.github.com", "4.3.2.1.in-addr.arpa", "\\000.debian.org", ""]
    assert [name for name in good + bad if policy.may_ask(GUEST, name)] == good
    assert policy.may_ask("10.0.2.7", "api.github.com", 28)
    assert policy.mib.DeniedQuestion == 6
    denial = policy.denials()[0]
    assert (denial.proto, denial.why, denial.src, denial.name) == ("dns", "question", GUEST, "debian.org")
    assert "by DNS" in str(denial)


def test_records_that_would_hide_a_name_are_not_there_where_names_are_looked_at():
    policy = make_policy()
    policy.allow("*.debian.org")
    assert [policy.may_ask(GUEST, "deb.debian.org", type) for type in (1, 28, 64, 65)] == [True, True, (), ()]
    assert policy.may_ask(GUEST, "evil.example", 65) is False
    assert make_policy("allow").may_ask(GUEST, "deb.debian.org", 65) is True


def test_where_the_default_is_to_allow_only_names_that_are_denied_altogether_are_not_asked_for():
    policy = make_policy("allow")
    policy.allow("good.ads.example")
    policy.deny("*.ads.example")
    policy.deny("*.half.example:80")
    names = ("good.ads.example", "x.ads.example", "x.half.example", "www.example", "4.3.2.1.in-addr.arpa")
    assert [policy.may_ask(GUEST, name) for name in names] == [True, False, True, True, True]


def test_answers_to_strangers_and_of_no_names_teach_nothing():
    policy = make_policy()
    policy.on_answer("10.9.9.9", "api.example", [SITE], 60)
    policy.on_answer(GUEST, "a b", [SITE], 60)
    policy.on_answer(GUEST, "api.example", ["2001:db8::1"], 60)
    assert policy.mib.Learnt == 0
    policy.on_answer(GUEST, "api.example", [SITE, 0x5DB8D823], 60)
    assert policy.mib.Learnt == 2


# -- denials ----------------------------------------------------------------------------------------------------------------------


def test_a_denial_says_who_where_which_name_and_why():
    policy = named("api.example")
    heard = []
    policy.on_denied(heard.append)
    verdict(policy, "198.51.100.9", 25, guest="build")
    assert json.loads(json.dumps(heard[0].as_json())) == {
        "when": 1_700_000_000.0,
        "guest": "build",
        "src": GUEST,
        "src_port": 40000,
        "proto": "tcp",
        "dst": "198.51.100.9",
        "dst_port": 25,
        "name": "",
        "why": "default",
        "detail": "no rule allows it",
    }
    assert str(heard[0]) == f"denied build ({GUEST}) tcp 198.51.100.9:25: no rule allows it"
    with pytest.raises(AttributeError):
        heard[0].why = "other"


def test_denials_that_are_remembered_are_bounded_and_lines_have_a_rate(caplog):
    caplog.set_level("INFO", "netstack.policy")
    clock = Clock()
    policy = make_policy(config=PolicyConfig(denials=10), clock=clock)
    for _ in range(5000):
        verdict(policy)
    assert len(policy.denials()) == 10 and policy.mib.Denied == policy.mib.DeniedDefault == 5000
    assert len(caplog.records) == 100
    clock.now = Instant(clock.now + SECOND)
    verdict(policy)
    assert "and 4900 more" in caplog.records[-1].message


def test_a_listener_that_fails_is_counted_and_changes_nothing(caplog):
    policy = make_policy()
    heard = []
    policy.on_denied(lambda denial: 1 // 0)
    policy.on_denied(heard.append)
    assert verdict(policy) == "default"
    assert len(heard) == 1 and policy.mib.ListenerErrors == 1
    assert "a function of on_denied failed" in caplog.text


def test_a_listener_that_would_wait_is_refused():
    async def wait(denial):
        raise AssertionError

    with pytest.raises(UsageError, match="plain function"):
        make_policy().on_denied(wait)


# -- what else it is told ----------------------------------------------------------------------------------------------------------


def test_what_a_port_forward_lets_in_is_allowed():
    policy = make_policy()
    flow = make_flow("10.0.2.100", 22, src="198.51.100.9")
    flow.inbound = True
    assert decide(policy, flow).action == "connect"


def test_a_default_that_is_none_is_one_sentence():
    with pytest.raises(UsageError, match="write allow or deny"):
        Policy("maybe")
