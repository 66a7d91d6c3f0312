"""Attacks on the iterative resolver, and on others by means of it. Each says what was counted, and the bound that it must keep."""

import random
from collections import Counter

import pytest
from recursion_world import MS, ROOT, SECOND, Internet, reply, serves, texts, zone

from netstack.dns import name as names
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Rcode, Type
from netstack.dns.resolve.cache import Cache, CacheConfig
from netstack.dns.resolve.job import Settled
from netstack.dns.resolve.query import SendDatagram, SendStream
from netstack.dns.resolve.recursion import Recursion, RecursionConfig
from netstack.dns.resolve.roster import MOST

COM, VICTIM, EVIL, HONEST = "10.0.0.1", "10.0.0.5", "10.6.6.6", "10.0.0.3"
BOUNDS = RecursionConfig()


def internet(evil, *, com="", victim=None, **config):
    """com. delegates evil.com. to a server that says whatever `evil` does, victim.com. and honest.com."""
    root = zone(".", f""". NS a.root.
        a.root. A {ROOT}
        com. NS ns.com.
        ns.com. A {COM}""")
    com_zone = zone("com.", f"""com. NS ns.com.
        ns.com. A {COM}
        evil.com. NS ns.evil.com.
        ns.evil.com. A {EVIL}
        victim.com. NS ns.victim.com.
        ns.victim.com. A {VICTIM}
        honest.com. NS ns.honest.com.
        ns.honest.com. A {HONEST}
        {com}""".strip())
    honest = zone("honest.com.", f"""honest.com. NS ns.honest.com.
        ns.honest.com. A {HONEST}
        www.honest.com. A 192.0.2.1""")
    victim_zone = zone("victim.com.", f"""victim.com. NS ns.victim.com.
        ns.victim.com. A {VICTIM}
        www.victim.com. A 192.0.2.5""")
    return Internet({
        ROOT: serves(root), COM: serves(com_zone), EVIL: evil, HONEST: serves(honest), VICTIM: victim or serves(victim_zone),
    }, **config)  # fmt: skip


def lines(*each):
    return "\n".join(each)


# -- work: one question must not cause much ------------------------------------------------------------------------------------


@pytest.mark.parametrize("minimise", [True, False])
def test_nxns_a_referral_to_a_thousand_servers_of_the_victim_costs_it_four_queries(minimise):
    """NXNSAttack (2020): each name of a server is one of the victim's that is not there. Without bounds 1,000 names, twice."""
    def evil(q, over):
        cut = names.text(names.tail(q.question[0].name, 3))
        if names.count(q.question[0].name) < 3:
            return reply(q, "", "evil.com. SOA a. b. 1 1 1 1 1")
        label = cut.replace(".", "-")
        return reply(q, "", lines(*(f"{cut} NS {label}fake{i}.victim.com." for i in range(1000))), aa=False)

    net = internet(evil, minimise=minimise)
    net.ask("www.victim.com.")  # who serves it is known
    worst = 0
    for i in range(6):
        net.clear()
        outcome = net.ask(f"x{i}.attack{i}.evil.com.")
        assert outcome.rcode == Rcode.SERVFAIL
        worst = max(worst, net.counts()[VICTIM])
        assert net.counts()[VICTIM] <= BOUNDS.fetches and len(net.asked) <= 16
    assert worst == 4


def test_nxns_when_the_victim_is_silent_it_is_asked_no_more_often():
    """With retries for each of the names, the bound is that of the question."""
    def evil(q, over):
        cut = names.text(names.tail(q.question[0].name, 3))
        return reply(q, "", lines(*(f"{cut} NS fake{cut}{i}.victim.com." for i in range(100))), aa=False)

    net = internet(evil, victim=lambda q, over: None)
    seen = []
    for i in range(10):
        net.clear()
        net.pass_time(400)
        assert net.ask(f"x.attack{i}.evil.com.").rcode == Rcode.SERVFAIL
        seen.append(net.counts()[VICTIM])
        assert len(net.asked) <= BOUNDS.queries
    assert max(seen) <= 40


def test_nrdelegation_a_list_of_servers_that_refuse_is_given_up_after_twelve():
    """NRDelegationAttack (2023): 1,500 servers, all of which answer, and none of which serve the zone."""
    def evil(q, over):
        cut = names.text(names.tail(q.question[0].name, 3))
        return reply(q, "", lines(*(f"{cut} NS n{i}.{cut}" for i in range(1000))),
                     lines(*(f"n{i}.{cut} A 10.7.{i // 250}.{i % 250 + 1}" for i in range(1000))), aa=False)  # fmt: skip

    net = internet(evil)
    net.servers |= {f"10.7.{i // 250}.{i % 250 + 1}": (lambda q, over: reply(q, rcode=5, aa=False)) for i in range(1000)}
    net.ask("a.attack.evil.com.")
    refused = sum(n for address, n in net.counts().items() if address.startswith("10.7."))
    assert refused == BOUNDS.zone_queries == 12
    net.clear()
    assert net.ask("a.attack.evil.com.").rcode == Rcode.SERVFAIL and not net.asked


@pytest.mark.parametrize("referrals", [True, False])
def test_camp_aliases_referrals_and_short_names_together_stay_within_one_account(referrals):
    """CAMP (2024): each alias leads to a deep name, every label of which is asked for, in a zone whose servers must be looked for,
    and so on. Eleven aliases of eleven steps would be 121 queries."""
    rng = random.Random(5)

    def deep():
        return ".".join(f"l{rng.randrange(10**6)}" for _ in range(12))

    def evil(q, over):
        asked = q.question[0]
        if asked.type == Type.A and names.count(asked.name) >= 14:
            return reply(q, f"{names.text(asked.name)} CNAME {deep()}.evil.com.")
        if referrals and names.count(asked.name) == 8:
            cut = names.text(asked.name)
            return reply(q, "", lines(*(f"{cut} NS {deep()}.evil.com." for _ in range(16))), aa=False)
        return reply(q, "", "evil.com. SOA a. b. 1 1 1 1 1")

    net = internet(evil)
    worst = 0
    for _ in range(20):
        net.clear()
        net.ask(f"{deep()}.evil.com.")
        worst = max(worst, len(net.asked))
    assert (20 < worst <= 64) if referrals else (worst == BOUNDS.queries == 64 and net.resolver.mib.BudgetSpent)


def test_camp_a_chain_of_aliases_ends_after_eleven():
    counter = iter(range(10**6))

    def evil(q, over):
        return reply(q, f"{names.text(q.question[0].name)} CNAME c{next(counter)}.evil.com.")

    net = internet(evil)
    assert net.ask("c.evil.com.").rcode == Rcode.SERVFAIL
    assert net.counts()[EVIL] == BOUNDS.aliases + 1 == 12


def test_tsuname_two_zones_that_point_at_each_other_are_asked_for_once():
    """TsuNAME (2021): NS sets in a circle; clients that repeat made resolvers ask without end."""
    circle = lines("one.com. NS ns.two.com.", "two.com. NS ns.one.com.")
    net = internet(lambda q, over: None, com=circle)
    assert net.ask("www.one.com.").rcode == Rcode.SERVFAIL
    assert net.resolver.mib.Circles >= 1 and len(net.asked) <= 10
    net.clear()
    for i in range(100):
        assert net.ask(f"n{i}.one.com.").rcode == Rcode.SERVFAIL
        assert net.ask("www.two.com.").rcode == Rcode.SERVFAIL
    assert len(net.asked) <= 4  # the failure to find ns.two.com. is what is remembered


def test_a_circle_of_many_zones_ends():
    n = 40
    net = internet(lambda q, over: None, com=lines(*(f"z{i}.com. NS ns.z{(i + 1) % n}.com." for i in range(n))))
    assert net.ask("www.z0.com.").rcode == Rcode.SERVFAIL
    assert len(net.asked) <= 2 * BOUNDS.depth + 6 and net.resolver.mib.FetchesRefused


def test_a_chain_of_glueless_zones_is_followed_to_the_bound_and_no_further():
    """Each zone's server is in the next zone: five look-ups inside of each other."""
    def world(n):
        chain = [f"z{i}.com. NS ns.z{i + 1}.com." for i in range(n)]
        net = internet(lambda q, over: None, com=lines(*chain, f"z{n}.com. NS ns.honest.com."))
        held = [zone(f"z{i}.com.", f"ns.z{i}.com. A {HONEST}\nwww.z{i}.com. A 192.0.2.9") for i in range(n + 1)]
        net.servers[HONEST] = serves(*held, zone("honest.com.", f"ns.honest.com. A {HONEST}"))
        return net

    assert world(3).ask("www.z0.com.").answer
    failing = world(9)
    assert failing.ask("www.z0.com.").rcode == Rcode.SERVFAIL and len(failing.asked) <= 20


def test_a_zone_without_end_is_walked_for_as_long_as_a_name_can_be():
    """Each referral goes one label deeper, as deep as the question."""
    def evil(q, over):
        known = names.count(q.question[0].name)
        cut = names.text(q.question[0].name)
        return reply(q, "", f"{cut} NS ns.{cut}", f"ns.{cut} A {EVIL}", aa=False) if known < 127 else None

    net = internet(evil)
    net.ask("a." * 110 + "evil.com.")
    assert len(net.asked) <= BOUNDS.queries


@pytest.mark.parametrize("how", ["self", "pair", "dname"])
def test_aliases_in_a_circle_end_where_they_close(how):
    def evil(q, over):
        name = names.text(q.question[0].name)
        if how == "dname":
            return reply(q, "evil.com. DNAME evil.com.")
        to = name if how == "self" else "b.evil.com." if name.lower().startswith("a.") else "a.evil.com."
        return reply(q, f"{name} CNAME {to}")

    net = internet(evil)
    assert net.ask("a.evil.com.").rcode == Rcode.SERVFAIL
    assert net.counts()[EVIL] <= 2
    net.clear()
    assert net.ask("a.evil.com.").rcode == Rcode.SERVFAIL and not net.asked


def test_a_dname_that_makes_names_grow_ends():
    net = internet(lambda q, over: reply(q, "evil.com. DNAME longer.evil.com."))
    assert net.ask("a.evil.com.").rcode in (Rcode.SERVFAIL, Rcode.YXDOMAIN)
    assert net.counts()[EVIL] <= 2 * (BOUNDS.aliases + 1)  # each name once cut short


def test_lame_everywhere_ends():
    upwards = lambda q, over: reply(q, "", ". NS a.root.", f"a.root. A {ROOT}", aa=False)  # noqa: E731
    for lame in (
        upwards,
        lambda q, over: reply(q, "", "evil.com. NS ns.evil.com.", f"ns.evil.com. A {EVIL}", aa=False),
        lambda q, over: reply(q, "", "sideways.com. NS ns.evil.com.", aa=False),
        lambda q, over: reply(q, "", "com. SOA a. b. 1 1 1 1 1", rcode=3),
        lambda q, over: reply(q, rcode=5, aa=False),
        lambda q, over: reply(q, rcode=2, aa=False),
    ):
        net = internet(lame)
        assert net.ask("www.evil.com.").rcode == Rcode.SERVFAIL
        assert net.counts()[EVIL] <= 4 and len(net.asked) <= 10
        net.clear()
        net.ask("other.evil.com.")
        assert net.counts()[EVIL] <= 2


def test_an_answer_without_authority_is_taken_for_want_of_better():
    """RA without AA: somebody's cache."""
    def cache(q, over):
        return reply(q, "www.evil.com. A 192.0.2.66" if names.count(q.question[0].name) > 2 else "", aa=False, ra=True)

    net = internet(cache)
    assert texts(net.ask("www.evil.com.")) == ["www.evil.com. A 192.0.2.66"]
    assert net.resolver.mib.LameBelieved


# -- lies: who may say what ----------------------------------------------------------------------------------------------------

POISON = {
    "glue for another's server": ("", "sub.evil.com. NS ns.honest.com.", "ns.honest.com. A 10.6.6.6"),
    "the victim's beside an answer": ("x.sub.evil.com. A 10.6.6.6", "honest.com. NS ns.evil.com.", "ns.evil.com. A 10.6.6.6"),
    "the parent's beside an answer": ("x.sub.evil.com. A 10.6.6.6", "com. NS ns.evil.com.", "ns.evil.com. A 10.6.6.6"),
    "the root's beside an answer": ("x.sub.evil.com. A 10.6.6.6", ". NS ns.evil.com.", "ns.evil.com. A 10.6.6.6"),
    "an address of the victim in the answer": ("x.sub.evil.com. A 10.6.6.6\nwww.honest.com. A 10.6.6.6", "", ""),
    "an address of the victim behind an alias": ("x.sub.evil.com. CNAME www.honest.com.\nwww.honest.com. A 10.6.6.6", "", ""),
    "an address of the victim in the additional section": ("x.sub.evil.com. A 10.6.6.6", "", "www.honest.com. A 10.6.6.6"),
    "a referral upwards": ("", "com. NS ns.evil.com.", "ns.evil.com. A 10.6.6.6"),
    "a referral sideways": ("", "honest.com. NS ns.evil.com.", "ns.evil.com. A 10.6.6.6"),
    "a denial of the victim": ("", "honest.com. SOA a. b. 1 1 1 1 9999", ""),
    "a denial of all": ("", ". SOA a. b. 1 1 1 1 9999", ""),
    "a DNAME of the parent": ("com. DNAME evil.com.", "", ""),
    "an alias of the parent": ("com. CNAME evil.com.", "", ""),
}


@pytest.mark.parametrize("lie", POISON)
@pytest.mark.parametrize("rcode", [0, 3])
def test_no_server_says_anything_about_names_of_others(lie, rcode):
    answer, authority, additional = POISON[lie]

    def evil(q, over):
        if q.question[0].type == Type.NS or names.count(q.question[0].name) < 3:
            return reply(q, "", "evil.com. SOA a. b. 1 1 1 1 1")
        return reply(q, answer, authority, additional, rcode=rcode, aa=bool(answer))

    net = internet(evil)
    for name in ("x.sub.evil.com.", "y.sub.evil.com."):
        net.ask(name)
    net.clear()
    assert texts(net.ask("www.honest.com.")) == ["www.honest.com. A 192.0.2.1"]
    assert net.ask("honest.com.", "NS").answer[0].rdata == names.parse("ns.honest.com.")
    assert texts(net.ask("ns.honest.com.")) == [f"ns.honest.com. A {HONEST}"]
    assert EVIL not in net.counts() and net.ask("com.", "NS").answer[0].rdata == names.parse("ns.com.")


def test_kaminsky_a_forged_answer_that_got_in_changes_nothing_but_its_own_name():
    """Of ever new names below the victim's domain, one forged answer gets in, with an NS set and glue beside it."""
    net = internet(lambda q, over: None)
    net.ask("www.honest.com.")
    net.pass_time(1)
    said = net.servers[HONEST]
    net.servers[HONEST] = lambda q, over: reply(
        q, f"{names.text(q.question[0].name)} 86400 A 10.6.6.6",
        "honest.com. 86400 NS ns.evil.com.\nhonest.com. 86400 NS ns.honest.com.",
        "ns.honest.com. 86400 A 10.6.6.6\nns.evil.com. 86400 A 10.6.6.6\nwww.honest.com. 86400 A 10.6.6.6",
    )  # fmt: skip
    net.ask("aaa83.honest.com.")
    net.servers[HONEST] = said
    net.pass_time(400)
    net.clear()
    assert texts(net.ask("www.honest.com.")) == ["www.honest.com. A 192.0.2.1"] and EVIL not in net.counts()
    assert texts(net.ask("ns.honest.com.")) == [f"ns.honest.com. A {HONEST}"]


def test_glue_is_never_an_answer():
    net = internet(lambda q, over: reply(q, "ns.evil.com. A 192.0.2.99"))
    net.ask("www.evil.com.")
    assert texts(net.ask("ns.evil.com.")) == ["ns.evil.com. A 192.0.2.99"]


def test_a_domain_that_its_parent_has_taken_away_is_gone_when_its_delegation_is():
    """Ghost domains (CVE-2012-1033, and "Phoenix domains" 2023): its servers prolong it, themselves or by delegations below it."""
    def evil(q, over):
        asked = names.key(q.question[0].name)
        sub = names.parse("sub.evil.com.")
        long = "86400"
        if names.under(asked, sub):
            if not over and asked != sub and q.question[0].type == Type.A and names.count(asked) == 3:
                return reply(q, "", f"sub.evil.com. {long} NS ns.sub.evil.com.", f"ns.sub.evil.com. {long} A 10.6.6.7", aa=False)
            return reply(q, "", f"sub.evil.com. {long} NS ns.sub.evil.com.", f"ns.sub.evil.com. {long} A 10.6.6.7", aa=False)
        address = f"{names.text(q.question[0].name)} {long} A 10.6.6.6"
        ns = f"evil.com. {long} NS ns.evil.com."
        return reply(q, ns if q.question[0].type == Type.NS else address, ns, f"ns.evil.com. {long} A {EVIL}")

    net = internet(evil)
    ns = "sub.evil.com. 86400 NS ns.sub.evil.com."
    net.servers["10.6.6.7"] = lambda q, over: reply(q, f"{names.text(q.question[0].name)} 1 A 10.6.6.6", ns)
    gone = zone("com.", f"com. NS ns.com.\nns.com. A {COM}")
    for i in range(5):  # it lives for 300 seconds
        assert net.ask(f"keep{i}.sub.evil.com.").answer and net.ask("evil.com.", "NS").answer and net.ask("ns.evil.com.").answer
        net.pass_time(50)
    net.servers[COM] = serves(gone)
    net.pass_time(60)
    net.clear()
    for name in ("alive.evil.com.", "alive.sub.evil.com."):
        assert net.ask(name).rcode == Rcode.NXDOMAIN
    assert EVIL not in net.counts() and "10.6.6.7" not in net.counts()


# -- forgers: who guesses ------------------------------------------------------------------------------------------------------


def forged(rng, sent, kind):
    """Everything right but one thing."""
    q = decode(sent.data)
    m = Message(q.id, 0x8400)
    m.question = list(q.question)
    m.answer = [Record(q.question[0].name, Type.A, 1, 86400, bytes([10, 6, 6, 6]))]
    m.edns = Edns(1232)
    address, port, to_port = sent.server.address, sent.server.port, sent.source
    if kind == "id":
        m.id = q.id ^ rng.randrange(1, 65536)
    elif kind == "port":
        to_port ^= rng.randrange(1, 65536)
    elif kind == "address":
        address = "10.9.9.9"
    elif kind == "question":
        m.question = [Question(names.parse("www.evil.com."), 1)]
    elif kind == "id and port":
        m.id, to_port = rng.getrandbits(16), rng.getrandbits(16)
    return m.encode(), address, port, to_port


@pytest.mark.parametrize("kind", ["id", "port", "address", "question", "id and port"])
def test_ten_thousand_forged_answers_for_every_query_never_get_in(kind, seed):
    net = internet(lambda q, over: None, seed=seed)
    rng = random.Random(seed)
    job = net.resolver.seek(Question(names.parse("www.honest.com."), 1), net.now)
    step = job.start(net.now)
    thrown = streams = 0
    while not isinstance(step, Settled):
        sent, ahead = step, None
        if isinstance(sent, SendDatagram):
            for _ in range(10_000):
                data, address, port, to_port = forged(rng, sent, kind)
                ahead = job.datagram(net.now, data, address, port, to_port)
                thrown += 1
                if ahead is not None:
                    break  # it leaves for TCP, where guessing is of no use
        if ahead is not None:
            assert isinstance(ahead, SendStream)
            step = ahead
            continue
        streams += isinstance(sent, SendStream)
        m = decode(sent.data)
        said = net.servers[sent.server.address](m, isinstance(sent, SendStream)).encode()
        net.now += 10 * MS
        if isinstance(sent, SendStream):
            step = job.message(net.now, said)
        else:
            step = job.datagram(net.now, said, sent.server.address, sent.server.port, sent.source)
    assert texts(step.outcome) == ["www.honest.com. A 192.0.2.1"]
    assert thrown >= 4 * 8 and (streams > 0) == (kind in ("id", "question"))


def test_answers_in_letters_of_another_case_are_not_believed_over_udp():
    """0x20: who guesses id and port has the letters to guess, too; and a server that can't keep them is asked over TCP at once."""
    def evil(q, over):
        m = reply(q, f"{names.text(q.question[0].name).lower()} A 192.0.2.8")
        m.question = [Question(q.question[0].name.lower(), q.question[0].type)]
        return m

    net = internet(evil)
    begun = net.now
    assert texts(net.ask("www.some-long-name.evil.com.")) == ["www.some-long-name.evil.com. A 192.0.2.8"]
    streams = [asked for asked in net.asked if asked[3]]
    assert streams and all(address == EVIL for address, *_ in streams) and net.now - begun < SECOND
    assert {m.question[0].name for m in net.messages} != {m.question[0].name.lower() for m in net.messages}


def test_letters_of_an_answer_are_those_that_were_asked():
    net = internet(lambda q, over: None)
    outcome = net.ask("WwW.honest.CoM.")
    assert [r.name for r in outcome.answer] == [names.parse("WwW.honest.CoM.")]


# -- servers with faults of their own ------------------------------------------------------------------------------------------


def test_truncated_answers_are_fetched_over_tcp():
    net = internet(lambda q, over: reply(q, f"{names.text(q.question[0].name)} A 192.0.2.8") if over else b"")

    def evil(q, over):
        m = reply(q, f"{names.text(q.question[0].name)} A 192.0.2.8" if over else "")
        m.flags |= 0 if over else 0x0200
        return m

    net.servers[EVIL] = evil
    outcome = net.ask("www.evil.com.")
    assert texts(outcome) == ["www.evil.com. A 192.0.2.8"] and outcome.over_stream


def test_who_truncates_on_a_stream_too_is_given_up():
    def evil(q, over):
        m = reply(q)
        m.flags |= 0x0200
        return m

    net = internet(evil)
    assert net.ask("www.evil.com.").rcode == Rcode.SERVFAIL and net.counts()[EVIL] <= 6


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.NOTIMP])
def test_who_knows_no_edns_is_asked_without_and_tried_again_after_a_while(rcode):
    def evil(q, over):
        if q.edns is not None:
            m = reply(q, rcode=int(rcode), aa=False)
            m.edns = None
            return m
        return reply(q, f"{names.text(q.question[0].name)} 1 A 192.0.2.8")

    net = internet(evil)
    assert net.ask("www.evil.com.").answer
    net.clear()
    assert net.ask("w2.evil.com.").answer and [m.edns for m in net.messages] == [None]
    net.pass_time(901)
    net.clear()
    assert net.ask("w3.evil.com.").answer and net.messages[-2].edns is not None


def test_mangled_answers_lead_to_the_next_server():
    net = internet(lambda q, over: b"\0" * 30, com="evil.com. NS ns2.evil.com.\nns2.evil.com. A 10.0.0.9")
    net.servers["10.0.0.9"] = lambda q, over: reply(q, f"{names.text(q.question[0].name)} A 192.0.2.8")
    assert texts(net.ask("www.evil.com.")) == ["www.evil.com. A 192.0.2.8"]


# -- tables --------------------------------------------------------------------------------------------------------------------


def test_what_strangers_fill_stays_within_its_bounds():
    rng = random.Random(3)

    def evil(q, over):
        name = names.text(q.question[0].name)
        if names.count(q.question[0].name) == 3:
            glue = [f"n{i}.{name} A 10.{rng.randrange(20, 99)}.{rng.randrange(256)}.{i + 1}" for i in range(16)]
            return reply(q, "", lines(*(f"{name} NS n{i}.{name}" for i in range(16))), lines(*glue), aa=False)
        return reply(q, "", f"evil.com. SOA a.{name} b. 1 1 1 1 9999", rcode=3 if names.count(q.question[0].name) > 3 else 0)

    net = internet(evil)
    net.resolver = Recursion(ROOT, net.rng, cache=Cache(CacheConfig(limit=200_000, negative_limit=50_000)))
    net.resolver.cuts.most, net.resolver.roster.most = 50, 100
    for i in range(300):
        net.ask(f"x.n{i}.evil.com.")
    resolver = net.resolver
    assert len(resolver.cuts) <= 50 and len(resolver.roster) <= 100 and resolver.cache.octets <= 200_000
    assert MOST >= 100


def test_random_servers_never_break_it(seed):
    """Whatever is said, there is an outcome, within the bounds."""
    rng = random.Random(seed)
    pool = ["evil.com.", "a.evil.com.", "b.a.evil.com.", "com.", ".", "www.honest.com.", "ns.evil.com.", "x.y.z.evil.com."]

    def some(kinds):
        found = []
        for _ in range(rng.randrange(4)):
            kind = rng.choice(kinds)
            target = rng.choice(pool)
            value = {"A": EVIL, "SOA": f"{target} b. 1 1 1 1 {rng.randrange(99)}", "AAAA": "2001:db8::1"}.get(kind, target)
            found.append(f"{rng.choice(pool)} {rng.choice([0, 1, 300, 2**31 - 1])} {kind} {value}")
        return lines(*found)

    def evil(q, over):
        if rng.random() < 0.1:
            return rng.choice([None, b"", rng.randbytes(40), q.encode()])
        m = reply(q, some(["A", "CNAME", "DNAME", "NS", "SOA"]), some(["NS", "SOA", "A"]), some(["A", "AAAA", "NS"]),
                  rcode=rng.choice([0, 0, 0, 0, 3, 3, 2, 5, 6]), aa=rng.random() < 0.5, ra=rng.random() < 0.2)  # fmt: skip
        if rng.random() < 0.1:
            m.flags |= 0x0200
        return m

    net = internet(evil)
    rcodes = Counter()
    for _ in range(400):
        net.clear()
        net.pass_time(rng.randrange(20))
        begun = net.now
        outcome = net.ask(rng.choice(pool[:3] + pool[6:]), rng.choice(["A", "NS", "MX", "CNAME", "DS", "ANY", "AAAA"]))
        rcodes[outcome.rcode] += 1
        assert len(net.asked) <= BOUNDS.queries and net.now - begun <= BOUNDS.patience + SECOND
        assert texts(net.ask("www.honest.com.")) == ["www.honest.com. A 192.0.2.1"]
    assert len(rcodes) >= 3
