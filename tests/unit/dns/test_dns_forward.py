"""The forwarder: what is known is not asked for, and the servers are asked in the order they deserve; without any wire."""

import random

import pytest
from dns_world import MS, SECOND, record, response

from netstack.dns import name
from netstack.dns.edns import Edns, error_option
from netstack.dns.message import Question, decode
from netstack.dns.numbers import Ede, Rcode, Type
from netstack.dns.resolve.cache import Cache, CacheConfig
from netstack.dns.resolve.forward import DOWN, EDNS_AGAIN, RETRY_DOWN, ForwardConfig, Forwarder
from netstack.dns.resolve.job import Outcome, Settled
from netstack.dns.resolve.query import SendStream
from netstack.dns.resolve.servers import server
from netstack.errors import UsageError

N = name.parse
WWW = Question(N("www.example."), Type.A)
GOOD = record("www.example.", "A", "192.0.2.1")
SOA = record("example.", "SOA", "ns.example. admin.example. 1 3600 600 86400 60", 900)
T = 1000 * SECOND


def forwarder(*servers, domains=None, cache=None, seed=1, **config):
    said = servers or ("10.0.0.1", "10.0.0.2")
    return Forwarder(said, random.Random(seed), domains=domains, cache=cache, config=ForwardConfig(**config))


def answered(job, step, now, *answer, question=None, **more):
    """The next step, when the server of the last one says this."""
    q = decode(step.data)
    if question is not None:
        assert name.text(q.question[0].name) == question
    m = response(q, *answer, **more)
    if isinstance(step, SendStream):
        return job.message(now, m.encode())
    return job.datagram(now, m.encode(), step.server.address, step.server.port, step.source)


def outcome_of(step) -> Outcome:
    assert isinstance(step, Settled), step
    return step.outcome


def learn(f, now, question=WWW, *answer, **more):
    job = f.seek(question, now)
    return outcome_of(answered(job, job.start(now), now + 10 * MS, *(answer or (GOOD,)), **more))


def test_a_server_is_asked_once_and_then_the_cache_until_the_ttl_is_over():
    f = forwarder()
    outcome = learn(f, T)
    assert (outcome.rcode, outcome.answer, outcome.server, outcome.rtt) == (0, (GOOD,), ("10.0.0.1", 53), 10 * MS)
    later = f.seek(WWW, T + 100 * SECOND)
    assert isinstance(later, Outcome) and later.server is None and later.answer[0].ttl == 201 and later.rtt == 0
    assert not isinstance(f.seek(WWW, T + 301 * SECOND), Outcome)


@pytest.mark.parametrize(("rcode", "type"), [(3, Type.AAAA), (0, Type.A)])
def test_denials_are_kept_as_long_as_the_soa_says(rcode, type):
    f = forwarder()
    outcome = learn(f, T, WWW, record("other.example.", "A", "192.0.2.9"), rcode=rcode, authority=(SOA,))
    assert (outcome.rcode, outcome.answer, outcome.authority[0].ttl) == (rcode, (), 60)
    known = f.seek(Question(WWW.name, type), T + 30 * SECOND)
    assert isinstance(known, Outcome) and (known.rcode, known.authority[0].ttl) == (rcode, 31)
    assert not isinstance(f.seek(WWW, T + 61 * SECOND), Outcome)


def test_aliases_in_an_answer_are_followed_and_nothing_else_is_believed():
    f = forwarder()
    chain = (
        record("c.example.", "A", "192.0.2.3"),
        record("a.example.", "CNAME", "b.example."),
        record("b.example.", "CNAME", "c.example."),
        record("victim.example.", "A", "6.6.6.6"),
    )
    ask = Question(N("a.example."), Type.A)
    outcome = learn(f, T, ask, *chain)
    assert [name.text(r.name) for r in outcome.answer] == ["a.example.", "b.example.", "c.example."]
    known = f.seek(ask, T + SECOND)
    assert isinstance(known, Outcome) and [r.rdata for r in known.answer] == [r.rdata for r in outcome.answer]
    assert not isinstance(f.seek(Question(N("victim.example."), Type.A), T + SECOND), Outcome)


def test_a_chain_that_is_left_open_is_asked_on():
    f = forwarder()
    job = f.seek(WWW, T)
    step = answered(job, job.start(T), T + MS, record("www.example.", "CNAME", "far.test."))
    step = answered(job, step, T + 2 * MS, record("far.test.", "A", "192.0.2.7"), question="far.test.")
    assert [r.type for r in outcome_of(step).answer] == [Type.CNAME, Type.A]


@pytest.mark.parametrize("loop", ["www.example.", "b.example."])
def test_aliases_in_a_circle_are_a_failure(loop):
    f = forwarder()
    job = f.seek(WWW, T)
    records = [record("www.example.", "CNAME", "b.example."), record("b.example.", "CNAME", "www.example.")]
    if loop == "www.example.":
        records = [record("www.example.", "CNAME", "www.example.")]
    outcome = outcome_of(answered(job, job.start(T), T + MS, *records))
    assert (outcome.rcode, outcome.error[0]) == (Rcode.SERVFAIL, Ede.INVALID_DATA)


def test_aliases_that_never_end_are_bounded():
    f = forwarder(aliases=4)
    job = f.seek(WWW, T)
    step = job.start(T)
    for i in range(5):
        asked = name.text(decode(step.data).question[0].name)
        step = answered(job, step, T + i * MS, record(asked, "CNAME", f"n{i}.example."))
    assert outcome_of(step).error[0] == Ede.INVALID_DATA


def test_a_domain_has_servers_of_its_own_and_others_have_no_say_in_it():
    f = forwarder("10.0.0.1", domains={"corp.example.": ["10.1.0.53"], "gone.example.": []})
    inside = f.seek(Question(N("db.corp.example."), Type.A), T)
    assert inside.start(T).server.address == "10.1.0.53"
    assert f.seek(Question(N("x.gone.example."), Type.A), T).rcode == Rcode.NXDOMAIN
    job = f.seek(WWW, T)
    forged = (record("www.example.", "CNAME", "db.corp.example."), record("db.corp.example.", "A", "6.6.6.6"))
    step = answered(job, job.start(T), T + MS, *forged)
    assert step.server.address == "10.1.0.53"
    step = answered(job, step, T + 2 * MS, record("db.corp.example.", "A", "10.1.0.7"), question="db.corp.example.")
    assert outcome_of(step).answer[1].rdata == bytes([10, 1, 0, 7])


def test_a_truncated_answer_is_asked_for_over_tcp():
    f = forwarder()
    job = f.seek(WWW, T)
    step = answered(job, job.start(T), T + MS, flags=0x0200)
    assert isinstance(step, SendStream)
    outcome = outcome_of(answered(job, step, T + 2 * MS, GOOD))
    assert outcome.over_stream and outcome.answer == (GOOD,)


def test_a_failure_is_remembered_for_some_seconds():
    f = forwarder("10.0.0.1", "10.0.0.2")
    job = f.seek(WWW, T)
    step = answered(job, job.start(T), T + MS, rcode=Rcode.SERVFAIL)
    assert step.server.address == "10.0.0.2"
    outcome = outcome_of(answered(job, step, T + 2 * MS, rcode=Rcode.REFUSED))
    assert outcome.rcode == Rcode.SERVFAIL and "REFUSED" in outcome.error[1]
    again = f.seek(WWW, T + 4 * SECOND)
    assert isinstance(again, Outcome) and again.error[0] == Ede.CACHED_ERROR
    assert not isinstance(f.seek(WWW, T + 6 * SECOND), Outcome)


def test_the_words_of_a_server_that_failed_are_passed_on():
    f = forwarder("10.0.0.1")
    job = f.seek(WWW, T)
    step = job.start(T)
    m = response(decode(step.data), rcode=Rcode.SERVFAIL)
    m.edns = Edns(1232, options=(error_option(Ede.DNSSEC_BOGUS, "no luck"),))
    step = job.datagram(T + MS, m.encode(), "10.0.0.1", 53, step.source)
    assert outcome_of(step).error == (Ede.DNSSEC_BOGUS, "no luck")


def silence(job, step):
    """All servers are silent until the job gives up."""
    now = job.deadline
    while not isinstance(step, Settled):
        now = job.deadline
        step = job.expired(now)
    return step.outcome, now


def test_what_has_expired_is_given_when_servers_are_silent_and_then_they_rest():
    f = forwarder(cache=Cache(CacheConfig(stale_for=86400)))
    learn(f, T)
    late = T + 400 * SECOND
    job = f.seek(WWW, late)
    outcome, now = silence(job, job.start(late))
    assert now == late + 1800 * MS  # RFC 8767 5
    assert (outcome.stale, outcome.refresh, outcome.answer[0].ttl, outcome.answer[0].rdata) == (True, True, 30, GOOD.rdata)
    fresh = f.seek(WWW, now, fresh=True)
    outcome, now = silence(fresh, fresh.start(now))
    assert outcome.rcode == Rcode.SERVFAIL
    rested = f.seek(WWW, now + SECOND)
    assert isinstance(rested, Outcome) and rested.stale and not rested.refresh
    assert not isinstance(f.seek(WWW, now + 31 * SECOND), Outcome)
    f.cache.forget(WWW.name)
    assert not isinstance(f.seek(WWW, now), Outcome)


def test_an_entry_that_is_asked_for_near_its_end_is_to_be_refreshed_once():
    f = forwarder(cache=Cache(CacheConfig(prefetch=0.1)))
    learn(f, T)
    outcomes = [f.seek(WWW, T + 280 * SECOND) for _ in range(2)]
    assert [outcome.refresh for outcome in outcomes] == [True, False]
    assert not isinstance(f.seek(WWW, T, fresh=True), Outcome)


def test_servers_are_asked_in_their_order_but_those_that_are_silent_come_last():
    f = forwarder("10.0.0.1", "10.0.0.2")
    first = f.servers()[0]

    def begins(now):
        job = f.seek(Question(N("x.example."), Type.A), now, fresh=True)
        return job.start(now).server.address

    assert begins(T) == "10.0.0.1"
    for _ in range(DOWN):
        first.silent()
    assert begins(T) == begins(T + RETRY_DOWN - 1) == "10.0.0.2"
    assert begins(T + RETRY_DOWN) == "10.0.0.1"  # may it try again
    assert begins(T + RETRY_DOWN + 1) == "10.0.0.2"
    first.answered(MS)
    assert begins(T + RETRY_DOWN + 2) == "10.0.0.1"


def test_they_take_turns_with_rotate_and_the_fastest_is_first_without_strict():
    f = forwarder("10.0.0.1", "10.0.0.2", "10.0.0.3", rotate=True)
    starts = [f.seek(WWW, T, fresh=True).start(T).server.address for _ in range(4)]
    assert starts == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]
    f = forwarder("10.0.0.1", "10.0.0.2", strict=False)
    for each, rtt in zip(f.servers(), (30 * MS, 5 * MS), strict=True):
        each.answered(rtt)
    assert f.seek(WWW, T).start(T).server.address == "10.0.0.2"


def test_a_server_that_knew_no_edns_is_tried_with_it_again_after_a_while():
    f = forwarder("10.0.0.1")
    f.servers()[0].edns = False
    assert decode(f.seek(WWW, T).start(T).data).edns is None
    assert decode(f.seek(WWW, T).start(T + EDNS_AGAIN - 1).data).edns is None
    assert decode(f.seek(WWW, T).start(T + EDNS_AGAIN).data).edns is not None


def test_a_server_that_refers_is_left():
    f = forwarder("10.0.0.1", "10.0.0.2")
    job = f.seek(WWW, T)
    step = job.start(T)
    m = response(decode(step.data), authority=(record("example.", "NS", "ns.example."),))
    m.flags &= ~0x0480
    step = job.datagram(T + MS, m.encode(), "10.0.0.1", 53, step.source)
    assert step.server.address == "10.0.0.2"


def test_questions_that_nobody_is_to_be_asked():
    f = forwarder(domains={"local.": ["10.0.0.9"]})
    for text, type, rcode, data in [
        ("localhost.", Type.A, 0, bytes([127, 0, 0, 1])),
        ("a.localhost.", Type.AAAA, 0, bytes(15) + b"\1"),
        ("1.0.0.127.in-addr.arpa.", Type.PTR, 0, N("localhost.")),
        ("x.onion.", Type.A, 3, None),
        ("x.INVALID.", Type.A, 3, None),
    ]:
        outcome = f.seek(Question(N(text), type), T)
        assert outcome.rcode == rcode and (data is None or outcome.answer[0].rdata == data)
    assert f.seek(Question(N("x.local."), Type.A), T).start(T).server.address == "10.0.0.9"
    assert forwarder().seek(Question(N("x.local."), Type.A), T).rcode == 3


def test_what_was_not_to_be_checked_is_not_kept_and_dnssec_is_asked_for_afresh():
    f = forwarder()
    job = f.seek(WWW, T, checking_disabled=True)
    step = job.start(T)
    assert decode(step.data).cd
    outcome_of(answered(job, step, T, GOOD))
    assert not isinstance(f.seek(WWW, T), Outcome)
    learn(f, T)
    job = f.seek(WWW, T, dnssec=True)
    step = job.start(T)
    assert decode(step.data).edns.do
    nsec = record("www.example.", "NSEC", "z.example. A RRSIG NSEC")
    outcome = outcome_of(answered(job, step, T, GOOD, authority=(nsec,)))
    assert outcome.authority == (nsec,)


def test_validation_is_believed_only_of_servers_that_are_trusted():
    for trust in (False, True):
        f = forwarder(trust_ad=trust)
        job = f.seek(WWW, T)
        step = job.start(T)
        assert decode(step.data).ad == trust
        assert outcome_of(answered(job, step, T, GOOD, flags=0x0020)).authentic == trust
        assert f.seek(WWW, T).authentic == trust


def test_clients_have_another_cookie_for_each_server():
    cookies = {each.client_cookie for each in forwarder("10.0.0.1", "10.0.0.2", "tls://10.0.0.3").servers()}
    assert sorted(map(len, cookies)) == [0, 8, 8]


@pytest.mark.parametrize(
    ("said", "address", "port", "stream", "tls"),
    [
        ("10.0.0.1", "10.0.0.1", 53, False, None),
        ("10.0.0.1:5353", "10.0.0.1", 5353, False, None),
        ("2001:DB8::1", "2001:db8::1", 53, False, None),
        ("[2001:db8::1]:54", "2001:db8::1", 54, False, None),
        ("tcp://10.0.0.1", "10.0.0.1", 53, True, None),
        ("tls://10.0.0.1#dns.example", "10.0.0.1", 853, True, "dns.example"),
        ("tls://[2001:db8::1]:8853", "2001:db8::1", 8853, True, ""),
    ],
)
def test_how_servers_are_written(said, address, port, stream, tls):
    up = server(said)
    assert (up.address, up.port, up.stream_only, up.tls) == (address, port, stream, tls)


@pytest.mark.parametrize(
    "said",
    ["", "dns.example", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:99999", "quic://10.0.0.1", "[::1", "10.0.0.1#x", "tls://10.0.0.1#"],
)
def test_what_is_no_server_is_said_in_a_sentence(said):
    with pytest.raises(UsageError, match=r"10\.0\.0\.1"):
        server(said)


def test_a_forwarder_without_servers_is_a_mistake():
    with pytest.raises(UsageError, match=r"10\.0\.0\.1"):
        Forwarder([], random.Random(1))
    with pytest.raises(UsageError, match="several"):
        Forwarder("10.0.0.1", random.Random(1))
    only = Forwarder([], random.Random(1), domains={"corp.example.": ["10.0.0.1"]})
    assert only.seek(WWW, T).error[0] == Ede.NO_REACHABLE_AUTHORITY


def test_whatever_servers_say_a_job_goes_on_or_ends(seed):
    """Answers with octets changed, cut and repeated, aliases and denials among them."""
    rng = random.Random(f"{seed}/forward")
    sets = [
        (GOOD,),
        (record("www.example.", "CNAME", "b.example."), record("b.example.", "A", "192.0.2.1")),
        (record("www.example.", "CNAME", "far.test."),),
        (record("example.", "DNAME", "test."), record("www.example.", "CNAME", "www.test.")),
        (),
    ]
    f = forwarder("10.0.0.1", cache=Cache(CacheConfig(limit=1 << 16, stale_for=60)))
    ended = 0
    for i in range(1500):
        now = T + i * SECOND
        job = f.seek(WWW, now, fresh=True)
        step = job.start(now)
        for _ in range(40):
            if isinstance(step, Settled):
                break
            q = decode(step.data)
            m = response(q, *rng.choice(sets), rcode=rng.choice((0, 0, 0, 2, 3, 5)), authority=rng.choice(((), (SOA,))))
            data = bytearray(m.encode())
            for _ in range(rng.randrange(4)):
                data[rng.randrange(2, len(data))] = rng.getrandbits(8)
            data = bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)
            if isinstance(step, SendStream):
                did = job.message(now, data)
            else:
                did = job.datagram(now, data, step.server.address, 53, step.source)
            while did is None:
                now = job.deadline
                did = job.expired(now)
            step = did
        assert isinstance(step, Settled)
        ended += 1
    assert ended == 1500 and f.cache.octets <= 1 << 16
