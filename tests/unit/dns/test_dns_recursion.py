"""The iterative resolver in small worlds: the walk, what it remembers, and whom it asks."""

import random

import pytest
from recursion_world import MS, ROOT, SECOND, Internet, records, reply, serves, texts, zone

from netstack.dns import name as names
from netstack.dns.message import Question
from netstack.dns.numbers import Ede, Rcode, Type
from netstack.dns.resolve import hints
from netstack.dns.resolve.cache import Cache, CacheConfig
from netstack.dns.resolve.cuts import MOST_ADDRESSES, MOST_NAMES, Cut, Cuts
from netstack.dns.resolve.job import Outcome
from netstack.dns.resolve.local import LocalZone
from netstack.dns.resolve.recursion import MOST_FAILURES, Recursion, RecursionConfig
from netstack.dns.resolve.roster import AGE, Roster
from netstack.errors import UsageError

COM, NET, EXAMPLE, HOSTER = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"


def zones():
    return {
        "root": zone(".", """. NS a.root.
            a.root. A 198.41.0.4
            com. NS ns.com.
            ns.com. A 10.0.0.1
            net. NS ns.net.
            ns.net. A 10.0.0.2"""),
        "com": zone("com.", """com. NS ns.com.
            ns.com. A 10.0.0.1
            example.com. NS ns1.example.com.
            ns1.example.com. A 10.0.0.3
            glueless.com. NS ns.hoster.net."""),
        "net": zone("net.", """net. NS ns.net.
            ns.net. A 10.0.0.2
            hoster.net. NS ns.hoster.net.
            ns.hoster.net. A 10.0.0.4"""),
        "example": zone("example.com.", """example.com. NS ns1.example.com.
            ns1.example.com. A 10.0.0.3
            www.example.com. A 192.0.2.1
            zero.example.com. 0 A 192.0.2.7
            alias.example.com. CNAME www.glueless.com.
            inner.example.com. CNAME www.example.com.
            lost.example.com. CNAME gone.glueless.com.
            home.example.com. CNAME me.localhost.
            a.b.c.d.example.com. A 192.0.2.2
            _sip._tcp.example.com. SRV 0 0 5060 www.example.com.
            dn.example.com. DNAME glueless.com."""),
        "hoster": zone("hoster.net.", """hoster.net. NS ns.hoster.net.
            ns.hoster.net. A 10.0.0.4"""),
        "glueless": zone("glueless.com.", """glueless.com. NS ns.hoster.net.
            www.glueless.com. A 192.0.2.9"""),
    }  # fmt: skip


def internet(**config):
    z = zones()
    servers = {
        ROOT: serves(z["root"]), COM: serves(z["com"]), NET: serves(z["net"]), EXAMPLE: serves(z["example"]),
        HOSTER: serves(z["hoster"], z["glueless"]),
    }  # fmt: skip
    made = Internet(servers, **config)
    made.zones = z
    return made


def remember(net, **config):
    """With a cache of that configuration."""
    net.resolver = Recursion(ROOT, net.rng, cache=Cache(CacheConfig(**config)), config=net.resolver.config)
    return net


# -- the walk -----------------------------------------------------------------------------------------------------------------


def test_a_walk_goes_from_the_root_to_the_answer_and_shows_each_server_what_it_must_know():
    net = internet()
    outcome = net.ask("www.example.com.")
    assert texts(outcome) == ["www.example.com. A 192.0.2.1"]
    assert (outcome.rcode, outcome.server, outcome.rtt, outcome.over_stream) == (0, (EXAMPLE, 53), 10 * MS, False)
    assert net.asked == [
        (ROOT, ".", "NS", False), (ROOT, "com.", "A", False),
        (COM, "example.com.", "A", False), (EXAMPLE, "www.example.com.", "A", False),
    ]  # fmt: skip
    assert not any(m.rd for m in net.messages) and all(m.edns.do for m in net.messages)


def test_the_closest_delegation_that_is_known_is_where_the_next_walk_begins():
    net = internet()
    net.ask("www.example.com.")
    net.clear()
    assert net.ask("nothing.example.com.").rcode == Rcode.NXDOMAIN
    assert net.asked == [(EXAMPLE, "nothing.example.com.", "A", False)]


def test_an_answer_is_remembered_for_its_ttl_and_a_denial_for_its_soa():
    net = internet()
    for name, rcode, seconds in (("www.example.com.", 0, 300), ("nothing.example.com.", 3, 60)):
        assert net.ask(name).rcode == rcode
        net.clear()
        net.pass_time(seconds - 1)
        again = net.ask(name)
        assert (again.rcode, net.asked, again.server) == (rcode, [], None)
        assert [r.ttl for r in (*again.answer, *again.authority)] == [1]
        net.pass_time(1)
        net.ask(name)
        assert net.asked


def test_no_data_and_no_name_come_with_the_soa():
    net = internet()
    nodata = net.ask("www.example.com.", "AAAA")
    assert (nodata.rcode, nodata.answer, [(r.name, r.type, r.ttl) for r in nodata.authority]) == (
        0, (), [(names.parse("example.com."), Type.SOA, 60)])  # fmt: skip
    assert net.ask("www.example.com.", "AAAA").authority[0].type == Type.SOA


def test_an_address_that_lives_for_no_time_is_for_who_asked():
    net = internet()
    assert texts(net.ask("zero.example.com.")) == ["zero.example.com. A 192.0.2.7"]
    net.clear()
    assert texts(net.ask("zero.example.com.")) == ["zero.example.com. A 192.0.2.7"]
    assert len(net.asked) == 1


def test_aliases_are_followed_across_zones_by_the_servers_of_each():
    net = internet()
    outcome = net.ask("alias.example.com.")
    assert texts(outcome) == ["alias.example.com. CNAME www.glueless.com.", "www.glueless.com. A 192.0.2.9"]
    assert net.asked[-1][:2] == (HOSTER, "www.glueless.com.") and net.resolver.mib.Fetches == 1
    net.clear()
    assert texts(net.ask("alias.example.com.")) == texts(outcome) and not net.asked
    assert texts(net.ask("alias.example.com.", "CNAME")) == ["alias.example.com. CNAME www.glueless.com."]


def test_the_rcode_is_that_of_the_last_alias():
    """RFC 6604 3."""
    net = internet()
    for _ in range(2):
        outcome = net.ask("lost.example.com.")
        assert (outcome.rcode, texts(outcome)) == (3, ["lost.example.com. CNAME gone.glueless.com."])
        assert outcome.authority[0].name == names.parse("glueless.com.")


def test_what_an_alias_server_says_of_the_target_is_asked_for_again():
    """RFC 2181 5.4.1: only the alias is its own word."""
    net = internet()
    said = serves(net.zones["example"])

    def liar(q, over_stream):
        m = said(q, over_stream)
        for r in m.answer[1:]:
            r.rdata = bytes([6, 6, 6, 6])
        return m

    net.servers[EXAMPLE] = liar
    assert texts(net.ask("inner.example.com."))[-1] == "www.example.com. A 192.0.2.1"


def test_a_dname_renames_what_is_below_it_and_its_cname_is_made_here():
    net = internet()
    said = serves(net.zones["example"])

    def liar(q, over_stream):
        m = said(q, over_stream)
        for r in m.answer:
            if r.type == Type.CNAME:
                r.rdata = names.parse("evil.example.")
        return m

    net.servers[EXAMPLE] = liar
    outcome = net.ask("www.dn.example.com.")
    assert texts(outcome) == [
        "dn.example.com. DNAME glueless.com.", "www.dn.example.com. CNAME www.glueless.com.", "www.glueless.com. A 192.0.2.9",
    ]  # fmt: skip


def test_a_dname_that_is_known_renames_other_names_too():
    """RFC 6672 3.4."""
    net = internet()
    net.zones["glueless"].add("two", "A", 60, "192.0.2.22")
    net.ask("www.dn.example.com.")
    net.clear()
    outcome = net.ask("two.dn.example.com.")
    assert texts(outcome)[-1] == "two.glueless.com. A 192.0.2.22" and len(outcome.answer) == 3
    assert net.asked == [(HOSTER, "two.glueless.com.", "A", False)]
    net.clear()
    assert texts(net.ask("two.dn.example.com.")) == texts(outcome) and not net.asked
    assert len(texts(net.ask("www.dn.example.com."))) == 3 and not net.asked


def test_a_dname_that_makes_a_name_too_long_is_yxdomain():
    net = internet()
    long = ".".join(["x" * 60] * 3) + "."
    net.zones["example"].add("long", "DNAME", 60, f"{long}example.com.")
    outcome = net.ask(f"{'y' * 60}.{'z' * 60}.long.example.com.")
    assert (outcome.rcode, texts(outcome)) == (Rcode.YXDOMAIN, [f"long.example.com. DNAME {long}example.com."])


def test_an_alias_into_names_that_are_answered_here_asks_nobody():
    net = internet()
    assert texts(net.ask("home.example.com."))[-1] == "me.localhost. A 127.0.0.1"
    assert not any("localhost" in name for _, name, _, _ in net.asked)
    assert texts(net.ask("home.example.com."))[-1] == "me.localhost. A 127.0.0.1"


def test_the_ds_of_a_zone_is_its_parents_word():
    net = internet()
    net.zones["com"].add("example.com.", "DS", 300, "1 8 2 " + "ab" * 32)
    net.ask("www.example.com.")
    net.clear()
    assert len(texts(net.ask("example.com.", "DS"))) == 1
    assert net.asked == [(COM, "example.com.", "DS", False)]
    net.clear()
    assert net.ask("glueless.com.", "DS").answer == () and net.asked == [(COM, "glueless.com.", "DS", False)]


def test_ns_of_a_zone_are_its_own_word():
    net = internet()
    net.zones["example"].add("@", "NS", 300, "ns2.example.com.")
    assert len(net.ask("example.com.", "NS").answer) == 2
    assert net.asked[-1][0] == EXAMPLE


def test_any_takes_what_the_zones_server_has_and_remembers_nothing():
    net = internet()
    both = "www.example.com. A 192.0.2.1\nwww.example.com. AAAA 2001:db8::1\nother.example.com. A 6.6.6.6"
    said = net.servers[EXAMPLE]
    net.servers[EXAMPLE] = lambda q, over: reply(q, both) if q.question[0].type == Type.ANY else said(q, over)
    for _ in range(2):
        net.clear()
        assert [r.type for r in net.ask("www.example.com.", "ANY").answer] == [Type.A, Type.AAAA]
        assert net.asked


def test_what_can_not_be_asked_for_is_refused():
    net = internet()
    for type in (Type.AXFR, Type.IXFR, Type.OPT, Type.TSIG):
        outcome = net.resolver.seek(Question(names.parse("example.com."), type), net.now)
        assert isinstance(outcome, Outcome) and outcome.rcode == Rcode.REFUSED and outcome.error[0] == Ede.NOT_SUPPORTED
    assert net.resolver.seek(Question(names.parse("version.bind."), 16, 3), net.now).rcode == Rcode.REFUSED


# -- minimisation -------------------------------------------------------------------------------------------------------------


def test_names_between_are_asked_for_one_label_at_a_time_and_then_by_more():
    """RFC 9156 2.3: ten steps, the first four of a label each."""
    net = internet()
    deep = ".".join("abcdefghijklmnopqrstuvwxyz") + ".example.com."
    net.zones["example"].add(deep, "A", 60, "192.0.2.26")
    assert texts(net.ask(deep)) == [f"{deep} A 192.0.2.26"]
    asked = [name.count(".") for address, name, _, _ in net.asked if address == EXAMPLE]
    assert asked == sorted(asked) and asked[-1] == 28 and len(net.asked) <= 1 + 11
    assert [name.count(".") for _, name, _, _ in net.asked[1:5]] == [1, 2, 3, 4]


def test_labels_that_begin_with_an_underscore_are_not_asked_for_alone():
    net = internet()
    assert net.ask("_sip._tcp.example.com.", "SRV").answer
    assert [name for address, name, _, _ in net.asked if address == EXAMPLE] == ["_sip._tcp.example.com."]


def test_without_minimisation_the_whole_name_goes_to_all():
    net = internet(minimise=False)
    net.ask("www.example.com.")
    assert {name for _, name, _, _ in net.asked[1:]} == {"www.example.com."}


def denying(net, *, rcode=Rcode.NXDOMAIN):
    """A server of example.com that says so of names that have nothing but others below them."""
    said = serves(net.zones["example"])

    def says(q, over_stream):
        m = said(q, over_stream)
        if not m.answer and m.rcode == 0 and names.count(q.question[0].name) > 2:
            return reply(q, authority="example.com. SOA ns. n. 1 1 1 1 60" if rcode == 3 else "", rcode=int(rcode))
        return m

    net.servers[EXAMPLE] = says
    return net


def test_a_server_that_denies_empty_non_terminals_is_asked_for_whole_names():
    net = denying(internet())
    assert texts(net.ask("a.b.c.d.example.com.")) == ["a.b.c.d.example.com. A 192.0.2.2"]
    assert [name for address, name, _, _ in net.asked if address == EXAMPLE] == ["d.example.com.", "a.b.c.d.example.com."]
    assert net.resolver.mib.EmptyDenied == 1
    net.clear()
    net.zones["example"].add("z.c.d", "A", 60, "192.0.2.3")
    assert texts(net.ask("z.c.d.example.com.")) == ["z.c.d.example.com. A 192.0.2.3"]
    assert [name for _, name, _, _ in net.asked] == ["z.c.d.example.com."]  # it is known now


@pytest.mark.parametrize("rcode", [Rcode.REFUSED, Rcode.SERVFAIL, Rcode.NOTIMP, Rcode.FORMERR])
def test_a_server_that_fails_for_names_cut_short_is_asked_for_whole_ones(rcode):
    net = denying(internet(), rcode=rcode)
    assert texts(net.ask("a.b.c.d.example.com.")) == ["a.b.c.d.example.com. A 192.0.2.2"]
    assert net.resolver.mib.MinimisedFailed == 1


def test_a_server_that_is_silent_about_names_cut_short_is_asked_for_whole_ones():
    net = internet()
    said = serves(net.zones["example"])
    net.servers[EXAMPLE] = lambda q, over: said(q, over) if names.count(q.question[0].name) == 6 else None
    assert texts(net.ask("a.b.c.d.example.com.")) == ["a.b.c.d.example.com. A 192.0.2.2"]
    assert net.counts()[EXAMPLE] <= 4


def test_strictly_a_denial_of_a_name_cut_short_is_believed():
    net = denying(internet(minimise_strictly=True))
    assert net.ask("a.b.c.d.example.com.").rcode == Rcode.NXDOMAIN
    assert [name for address, name, _, _ in net.asked if address == EXAMPLE] == ["d.example.com."]


def test_a_denial_of_a_name_cut_short_is_one_for_all_below_it():
    """RFC 8020, once the whole name is denied too."""
    net = internet()
    assert net.ask("a.nothing.example.com.").rcode == 3
    assert [name for _, name, _, _ in net.asked[-2:]] == ["nothing.example.com.", "a.nothing.example.com."]
    net.clear()
    assert net.ask("b.c.nothing.example.com.").rcode == 3 and net.ask("nothing.example.com.", "MX").rcode == 3
    assert net.asked == []


def test_the_root_learns_no_more_than_a_top_level_domain():
    net = internet()
    assert net.ask("secret.of.mine.nosuchdomain.").rcode == 3
    assert [name for address, name, _, _ in net.asked] == [".", "nosuchdomain."]


# -- the root -----------------------------------------------------------------------------------------------------------------


def test_the_hints_are_asked_once_who_serves_the_root():
    net = internet(hints=["198.41.0.4", "198.41.0.99"])
    net.ask("www.example.com.")
    net.ask("www.glueless.com.")
    assert net.resolver.mib.Primings == 1 and [a for a in net.asked if a[1] == "."] [-1][0] == ROOT
    net.pass_time(301)
    net.clear()
    net.ask("www.example.com.")
    assert net.asked[0] == (ROOT, ".", "NS", False)  # anew when what they said has expired


def test_a_root_that_does_not_say_who_serves_it_is_asked_all_the_same():
    net = internet()
    said = net.servers[ROOT]
    net.servers[ROOT] = lambda q, over: None if q.question[0].type == Type.NS else said(q, over)
    assert net.ask("www.example.com.").answer
    assert net.counts()[ROOT] <= 4 and net.now - 1000 * SECOND < 3 * SECOND
    net.clear()
    assert net.ask("www.glueless.com.").answer and not any(type == "NS" for _, _, type, _ in net.asked)  # not for a while


def test_hints_are_taken_in_every_form_that_people_have_them_in():
    wanted = {names.parse("a.root."): (bytes([192, 0, 2, 1]), bytes.fromhex("20010db8") + bytes(11) + b"\1")}
    assert hints.read({"a.root.": ["192.0.2.1", "2001:db8::1"]}) == wanted
    assert hints.read(""". 3600000 IN NS A.ROOT. ; the first
A.ROOT. 3600000 A 192.0.2.1
A.ROOT. IN AAAA 2001:db8::1
""") == wanted
    assert hints.read(["192.0.2.1"]) == hints.read("192.0.2.1") == {names.ROOT: (bytes([192, 0, 2, 1]),)}
    for bad in ("", [], {}, "a.root.", ["nowhere"], ". NS a.root.", {"a.root.": []}, "a b c d e"):
        with pytest.raises(UsageError):
            hints.read(bad)


# -- whom to ask --------------------------------------------------------------------------------------------------------------


def test_a_dead_server_is_passed_over_and_remembered():
    net = internet()
    net.zones["com"].add("example.com.", "NS", 300, "ns2.example.com.")
    net.zones["com"].add("ns2.example.com.", "A", 300, "10.0.0.66")
    for i in range(20):
        net.zones["example"].add(f"n{i}", "A", 60, "192.0.2.1")
        assert net.ask(f"n{i}.example.com.").answer
    assert 1 <= net.counts()["10.0.0.66"] <= 5


def test_the_near_server_gets_most_questions_and_the_far_one_a_few():
    net = internet()
    net.zones["com"].add("example.com.", "NS", 300, "ns2.example.com.")
    net.zones["com"].add("ns2.example.com.", "A", 300, "10.0.0.66")
    far = serves(net.zones["example"])

    def distant(q, over):
        net.now += 150 * MS
        return far(q, over)

    net.servers["10.0.0.66"] = distant
    for i in range(200):
        net.ask(f"n{i}.example.com.")
    counts = net.counts()
    assert counts[EXAMPLE] > 150 and 2 <= counts["10.0.0.66"] < 40


def test_servers_are_a_table_with_a_bound_that_forgets():
    roster = Roster(random.Random(1), most=10)
    first = roster.get("10.0.0.0", 0)
    first.edns = False
    first.answered(20 * MS)
    assert roster.get("10.0.0.0", AGE - 1) is first
    again = roster.get("10.0.0.0", AGE)
    assert again is not first and again.edns and again.srtt == 20 * MS
    assert len({roster.get(f"10.0.1.{i}", AGE).client_cookie for i in range(50)}) == 50
    assert len(roster) == 10


def test_delegations_are_a_table_with_a_bound_and_so_is_each():
    cuts = Cuts(most=10)
    for i in range(50):
        cuts.add(Cut(names.parse(f"z{i}.example."), {}, 100))
    assert len(cuts) == 10
    assert cuts.closest(names.parse("a.b.z49.example."), 99).zone == names.parse("z49.example.")
    assert cuts.closest(names.parse("a.b.z49.example."), 100) is None and len(cuts) == 9
    big = Cut(names.ROOT, {names.parse(f"n{i}."): [f"10.0.{i}.{j}" for j in range(9)] for i in range(99)}, 1)
    assert len(big.servers) == MOST_NAMES and sum(map(len, big.servers.values())) == MOST_ADDRESSES
    for i in range(999):
        big.blame(f"10.0.0.{i}", 1, 0)
    assert len(big.lame) <= 2 * MOST_ADDRESSES


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "127.8.8.8", "224.0.0.251", "255.255.255.255", "::", "::1", "ff02::fb",
                                     "fe80::1", "::ffff:10.0.0.3"])  # fmt: skip
def test_nobody_is_asked_at_addresses_that_are_nobodys_or_our_own(address):
    net = internet()
    com = serves(net.zones["com"])
    kind = "AAAA" if ":" in address else "A"

    def says(q, over):
        if names.under(names.key(q.question[0].name), names.parse("example.com.")):
            return reply(q, "", "example.com. NS ns1.example.com.", f"ns1.example.com. {kind} {address}", aa=False)
        return com(q, over)

    net.servers[COM] = says
    assert net.ask("www.example.com.").rcode == Rcode.SERVFAIL
    assert address not in net.counts() and len(net.asked) < 12


def test_who_has_its_root_on_the_loopback_may_have_others_there():
    config = Recursion("127.0.0.1", random.Random(1)).config
    assert config.ask_loopback and not Recursion(ROOT, random.Random(1)).config.ask_loopback


def test_without_one_family_none_of_its_servers_is_asked():
    net = internet(ipv6=False)
    net.zones["com"].add("ns1.example.com.", "AAAA", 300, "2001:db8::3")
    net.zones["net"].add("ns.hoster.net.", "AAAA", 300, "2001:db8::4")
    net.ask("www.example.com.")
    net.ask("www.glueless.com.")
    assert not any(":" in address or type == "AAAA" for address, _, type, _ in net.asked)


def test_a_server_that_has_only_the_other_kind_of_address_is_found():
    net = internet()
    net.servers["2001:db8::4"] = net.servers.pop(HOSTER)
    net.servers[NET] = serves(zone("net.", """net. NS ns.net.
        ns.net. A 10.0.0.2
        hoster.net. NS ns.hoster.net.
        ns.hoster.net. AAAA 2001:db8::4"""))
    assert texts(net.ask("www.glueless.com.")) == ["www.glueless.com. A 192.0.2.9"]


# -- what went wrong ----------------------------------------------------------------------------------------------------------


def test_a_failure_is_remembered_for_longer_each_time():
    """RFC 9520 3.2."""
    net = internet()
    net.servers.pop(EXAMPLE)
    waits = []
    for _ in range(8):
        outcome = net.ask("www.example.com.")
        assert (outcome.rcode, outcome.error[0]) == (Rcode.SERVFAIL, Ede.NO_REACHABLE_AUTHORITY)
        assert "did not answer" in outcome.error[1]
        net.clear()
        assert net.ask("www.example.com.").error[0] == Ede.CACHED_ERROR and not net.asked
        waits.append(0)
        while net.resolver.failing(names.parse("www.example.com."), 1, net.now):
            net.pass_time(1)
            waits[-1] += 1
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]


def test_failures_are_a_table_with_a_bound():
    net = internet()
    for i in range(MOST_FAILURES + 100):
        net.resolver.remember_failure(names.parse(f"n{i}."), 1, net.now)
    assert len(net.resolver._failures) == MOST_FAILURES


def test_stale_data_is_served_when_servers_are_silent():
    """RFC 8767."""
    net = remember(internet(), stale_for=86400)
    net.ask("www.example.com.")
    net.servers.clear()
    net.pass_time(400)
    begun = net.now
    outcome = net.ask("www.example.com.")
    assert (texts(outcome), outcome.stale, outcome.refresh) == (["www.example.com. A 192.0.2.1"], True, True)
    assert outcome.answer[0].ttl == 30 and outcome.error[0] == Ede.STALE_ANSWER
    assert net.now - begun <= 1800 * MS  # who asked has waited long enough
    assert net.ask("other.example.com.").rcode == Rcode.SERVFAIL


def test_stale_data_comes_at_once_while_a_failure_is_remembered():
    net = remember(internet(), stale_for=86400)
    net.ask("www.example.com.")
    net.servers = {each: (lambda q, over: reply(q, rcode=2)) for each in net.servers}
    net.pass_time(400)
    assert net.ask("www.example.com.").stale
    net.clear()
    assert net.ask("www.example.com.").stale and not net.asked


def test_what_is_asked_for_anew_is_found_out_though_it_is_known():
    net = internet()
    net.ask("www.example.com.")
    net.zones["example"].add("www", "A", 300, "192.0.2.100")
    assert len(net.ask("www.example.com.").answer) == 1
    assert len(net.ask("www.example.com.", fresh=True).answer) == 2
    assert len(net.ask("www.example.com.").answer) == 2


def test_time_for_one_question_is_bounded():
    net = internet(patience=3 * SECOND, queries=200, zone_queries=200)
    for address in (COM, NET, EXAMPLE, HOSTER):
        net.servers.pop(address)
    net.zones["root"].add("com.", "NS", 300, "ns2.com.")
    for i in range(9):
        net.zones["root"].add("ns2.com.", "A", 300, f"10.9.9.{i}")
    begun = net.now
    assert net.ask("www.example.com.").rcode == Rcode.SERVFAIL
    assert net.now - begun <= 3 * SECOND


def test_a_job_that_is_cancelled_says_nothing_more():
    net = internet()
    job = net.resolver.seek(Question(names.parse("www.example.com."), 1), net.now)
    job.start(net.now)
    job.cancel()
    assert job.deadline is None and job.expired(net.now + 99 * SECOND) is None and job.failed(net.now, "x") is None
    assert job.datagram(net.now, bytes(12), ROOT, 53, 1024) is None and job.message(net.now, bytes(12)) is None


# -- signatures ---------------------------------------------------------------------------------------------------------------

RRSIG = "A 8 3 300 20300101000000 20200101000000 1 example.com. AAAA"


def test_signatures_and_proofs_are_kept_for_who_wants_them():
    net = internet()
    z = net.zones["example"]
    z.add("www", "RRSIG", 300, RRSIG)
    z.add("@", "RRSIG", 300, RRSIG.replace("A 8", "SOA 8"))
    z.add("@", "NSEC", 60, "www.example.com. SOA NS")
    z.add("@", "RRSIG", 60, RRSIG.replace("A 8", "NSEC 8"))
    assert [r.type for r in net.ask("www.example.com.").answer] == [Type.A]
    net.clear()
    assert [r.type for r in net.ask("www.example.com.", dnssec=True).answer] == [Type.A, Type.RRSIG] and not net.asked
    for _ in range(2):
        denied = net.ask("aaa.example.com.", dnssec=True)
        assert (denied.rcode, sorted(r.type for r in denied.authority)) == (3, [Type.SOA, Type.RRSIG, Type.RRSIG, Type.NSEC])
    assert [r.type for r in net.ask("aaa.example.com.").authority] == [Type.SOA]
    assert not denied.authentic  # nothing here validates


# -- names that are answered here ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "type", "rcode", "answer"), [
    ("localhost.", "A", 0, "A 127.0.0.1"),
    ("any.LOCALHOST.", "AAAA", 0, "AAAA ::1"),
    ("localhost.", "MX", 0, ""),
    ("invalid.", "A", 3, ""),
    ("x.onion.", "A", 3, ""),
    ("printer.local.", "A", 3, ""),
    ("x.alt.", "TXT", 3, ""),
    ("4.3.2.10.in-addr.arpa.", "PTR", 3, ""),
    ("10.in-addr.arpa.", "A", 0, ""),
    ("1.1.20.172.in-addr.arpa.", "PTR", 3, ""),
    ("1.0.168.192.in-addr.arpa.", "PTR", 3, ""),
    ("1.1.100.100.in-addr.arpa.", "PTR", 3, ""),
    ("1.0.0.0.d.f.ip6.arpa.", "PTR", 3, ""),
    ("home.arpa.", "SOA", 0, "SOA"),
])  # fmt: skip
def test_names_of_special_use_are_answered_here(name, type, rcode, answer):
    net = internet()
    outcome = net.ask(name, type)
    assert (outcome.rcode, net.asked) == (rcode, [])
    assert (texts(outcome)[0] if outcome.answer else "").startswith(f"{name} {answer}" if answer else "")
    assert bool(outcome.answer) == bool(answer) and (answer or outcome.authority[0].type == Type.SOA)


@pytest.mark.parametrize("name", ["32.172.in-addr.arpa.", "8.8.8.8.in-addr.arpa.", "128.100.in-addr.arpa.", "notlocalhost.",
                                  "test."])  # fmt: skip
def test_their_neighbours_are_not(name):
    net = internet()
    net.ask(name, "PTR")
    assert net.asked


def test_which_names_those_are_can_be_chosen():
    net = internet(local_zones=(LocalZone("corp."),))
    assert net.ask("x.corp.").rcode == 3 and not net.asked
    net.ask("x.onion.")
    assert net.asked


def test_bad_bounds_are_refused():
    for bad in ({"queries": 0}, {"patience": 0}, {"depth": -1}, {"port": 0}):
        with pytest.raises(ValueError):
            RecursionConfig(**bad)


def test_records_of_the_test_world_are_what_they_say():
    assert records("a. 5 A 192.0.2.1")[0].ttl == 5
