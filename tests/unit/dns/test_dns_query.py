"""The life of a query: time-outs, other servers, TCP, EDNS, cookies; and forged answers, which never get in."""

import random

import pytest

from netstack.dns import name
from netstack.dns.edns import Edns, cookie_option
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Rcode, Type
from netstack.dns.resolve.query import STREAM_LEAST, Answered, GaveUp, Query, QueryConfig, SendDatagram, SendStream, State
from netstack.dns.resolve.upstream import MOST, SECOND, Upstream
from netstack.dns.stream import Deframer, frame
from netstack.errors import UsageError, WireError

N = name.parse
WWW = N("www.example.com.")
MS = 1_000_000
T = 5 * SECOND
GOOD, EVIL = bytes([192, 0, 2, 1]), bytes([6, 6, 6, 6])


def servers(n=2):
    return [Upstream(f"10.0.0.{i + 1}") for i in range(n)]


def query(seed=1, n=2, **config):
    return Query(WWW, Type.A, servers(n), random.Random(seed), QueryConfig(**config))


def answer_to(data, address=GOOD, rcode=0, tc=False, edns=True, **change):
    """What an honest server answers to `data`; `change` its attributes."""
    q = decode(data)
    m = Message(q.id, 0x8180 | (0x0200 if tc else 0) | rcode & 15)
    m.question = q.question
    if rcode == 0 and not tc:
        m.answer = [Record(q.question[0].name, Type.A, 1, 300, address)]
    if edns and q.edns is not None:
        m.edns = Edns(1232, ext_rcode=rcode >> 4)
    for attribute, value in change.items():
        setattr(m, attribute, value)
    return m.encode()


def arrive(q, now, sent, data):
    return q.datagram(now, data, sent.server.address, sent.server.port, sent.source)


def test_a_query_is_asked_and_answered():
    q = query()
    sent = q.start(T)
    assert isinstance(sent, SendDatagram) and sent.server is q.servers[0] and sent.source >= 1024
    asked = decode(sent.data)
    assert (asked.question, asked.rd, asked.edns.payload, asked.qr) == ([Question(WWW, 1)], True, 1232, False)
    assert q.deadline == T + 400 * MS
    done = arrive(q, T + 20 * MS, sent, answer_to(sent.data))
    assert isinstance(done, Answered)
    assert (done.rtt, done.server, done.over_stream, done.message.answer[0].rdata) == (20 * MS, q.servers[0], False, GOOD)
    assert done.size == len(answer_to(sent.data)) and q.deadline is None
    assert q.servers[0].srtt == 20 * MS
    assert arrive(q, T + 21 * MS, sent, answer_to(sent.data)) is None and q.mib.InLate == 1  # once more


def test_the_flags_and_the_payload_are_those_of_the_choice():
    asked = decode(query(recursion=False, dnssec=True, checking_disabled=True).start(T).data)
    assert (asked.rd, asked.cd, asked.edns.do) == (False, True, True)
    assert decode(query(edns=False).start(T).data).edns is None


def test_silence_goes_around_the_servers_with_back_off_until_patience_ends():
    q = query(n=2, patience=3 * SECOND, attempts=64)
    now, asked, waits = T, [], []
    action = q.start(T)
    while isinstance(action, SendDatagram):
        asked.append(action.server.address)
        waits.append(q.deadline - now)
        assert q.expired(q.deadline - 1) is None
        now = q.deadline
        action = q.expired(now)
    assert isinstance(action, GaveUp) and "did not answer" in action.reason and action.last is None
    assert now == T + 3 * SECOND
    assert asked == ["10.0.0.1", "10.0.0.2"] * 3
    assert waits == [400 * MS, 400 * MS, 400 * MS, 400 * MS, 800 * MS, 600 * MS]
    assert (q.mib.Timeouts, q.mib.GaveUp, q.servers[0].failures) == (6, 1, 3)
    assert q.deadline is None and q.expired(now + SECOND) is None and q.failed(now, "x") is None


def test_attempts_are_bounded():
    q = query(n=1, attempts=3, patience=3600 * SECOND)
    q.start(T)
    assert isinstance(q.expired(q.deadline), SendDatagram) and isinstance(q.expired(q.deadline), SendDatagram)
    assert isinstance(q.expired(q.deadline), GaveUp)


def test_every_attempt_has_an_id_and_a_port_of_its_own():
    q = query(attempts=64, patience=3600 * SECOND)
    actions = [q.start(T)]
    while isinstance(actions[-1], SendDatagram):
        actions.append(q.expired(q.deadline))
    actions.pop()
    assert len({decode(a.data).id for a in actions}) > 60 and len({a.source for a in actions}) > 60
    assert min(a.source for a in actions) >= 1024


def test_an_answer_that_comes_late_is_counted_and_ignored():
    q = query()
    first = q.start(T)
    second = q.expired(q.deadline)
    assert arrive(q, T + 500 * MS, first, answer_to(first.data)) is None
    assert q.mib.InLate == 1
    assert isinstance(arrive(q, T + 501 * MS, second, answer_to(second.data)), Answered)


def test_a_port_that_was_taken_is_replaced():
    q = query()
    sent = q.start(T)
    q.moved(4242)
    assert arrive(q, T, sent, answer_to(sent.data)) is None and q.mib.InStrangers == 1
    assert isinstance(q.datagram(T, answer_to(sent.data), "10.0.0.1", 53, 4242), Answered)


def test_truncation_leads_to_tcp_of_the_same_server():
    q = query()
    sent = q.start(T)
    over = arrive(q, T + 5 * MS, sent, answer_to(sent.data, tc=True))
    assert isinstance(over, SendStream) and over.server is sent.server
    assert decode(over.data).question == [Question(WWW, 1)]
    assert decode(sent.data).id != decode(over.data).id
    assert q.message(T + 6 * MS, answer_to(sent.data)) is None
    done = q.message(T + 9 * MS, answer_to(over.data))
    assert isinstance(done, Answered) and done.over_stream and q.mib.Truncated == 1


def test_truncation_in_the_middle_of_a_record_counts():
    q = query()
    sent = q.start(T)
    whole = answer_to(sent.data)
    cut = whole[:2] + b"\x83" + whole[3:-20]
    assert isinstance(arrive(q, T, sent, cut), SendStream)


def test_a_stream_that_fails_leads_to_the_next_server():
    q = query(stream_only=True)
    assert isinstance(q.start(T), SendStream)
    again = q.failed(T + MS, "connection refused")
    assert isinstance(again, SendStream) and again.server is q.servers[1]
    assert isinstance(q.expired(q.deadline), SendStream) and q.server is q.servers[0]
    assert q.mib.OutDatagrams == 0 and q.mib.Unreachable == 1


def test_who_cannot_be_reached_is_left_in_peace_for_a_moment():
    """What fails at once, as while a neighbour is not found, must not use up all attempts at once."""
    q = query(n=2)
    q.start(T)
    other = q.failed(T + MS, "no way to the host")
    assert isinstance(other, SendDatagram) and other.server is q.servers[1]
    assert q.failed(T + 2 * MS, "no way to the host") is None and q.state is State.PAUSED
    assert q.failed(T + 3 * MS, "no way to the host") is None and q.mib.Unreachable == 2, "the same port says it once more"
    assert arrive(q, T + 4 * MS, other, answer_to(other.data)) is None and q.mib.InLate == 1
    assert q.deadline == T + MS + 400 * MS and q.expired(q.deadline - 1) is None
    again = q.expired(q.deadline)
    assert isinstance(again, SendDatagram) and again.server is q.servers[0] and q.mib.Timeouts == 0
    assert isinstance(arrive(q, q.sent + MS, again, answer_to(again.data)), Answered)


def test_after_three_times_it_is_believed_that_nobody_is_there():
    q = query(n=1)
    q.start(T)
    assert q.failed(T, "refused") is None and isinstance(q.expired(q.deadline), SendDatagram)
    assert q.failed(q.sent, "refused") is None and isinstance(q.expired(q.deadline), SendDatagram)
    assert isinstance(q.failed(q.sent, "refused"), GaveUp) and q.sent == T + 800 * MS


def test_what_came_over_tcp_says_nothing_of_the_distance():
    q = query()
    sent = q.start(T)
    stream = arrive(q, T + 20 * MS, sent, answer_to(sent.data, tc=True))
    assert isinstance(stream, SendStream) and q.deadline - q.sent == STREAM_LEAST
    assert isinstance(q.message(T + SECOND, answer_to(stream.data)), Answered) and stream.server.srtt == 20 * MS


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS])
def test_who_does_not_know_edns_is_asked_without(rcode):
    q = query()
    sent = q.start(T)
    again = arrive(q, T, sent, answer_to(sent.data, rcode=rcode, edns=rcode == Rcode.BADVERS))
    assert isinstance(again, SendDatagram) and again.server is sent.server and decode(again.data).edns is None
    assert not q.servers[0].edns and q.mib.EdnsFallbacks == 1
    assert isinstance(arrive(q, T, again, answer_to(again.data)), Answered)


def test_a_header_alone_says_formerr_and_never_an_answer():
    q = query()
    sent = q.start(T)
    id = sent.data[:2]
    assert arrive(q, T, sent, id + b"\x81\x80" + bytes(8)) is None and q.mib.InForgedQuestion == 1
    assert isinstance(arrive(q, T, sent, id + b"\x81\x81" + bytes(8)), SendDatagram)


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.NOTAUTH, Rcode.FORMERR])
def test_who_cannot_say_is_not_asked_again(rcode):
    q = query(n=3)
    sent = q.start(T)
    second = arrive(q, T, sent, answer_to(sent.data, rcode=rcode))
    assert second.server is q.servers[1]
    third = q.expired(q.deadline)
    fourth = q.expired(q.deadline)
    assert (third.server, fourth.server) == (q.servers[2], q.servers[1])
    fifth = arrive(q, T, fourth, answer_to(fourth.data, rcode=rcode))
    end = arrive(q, T, fifth, answer_to(fifth.data, rcode=rcode))
    assert isinstance(end, GaveUp) and end.last.rcode == rcode and rcode.name in end.reason
    assert q.mib.ServerFailures == 3


def test_nxdomain_is_an_answer():
    q = query()
    sent = q.start(T)
    assert arrive(q, T, sent, answer_to(sent.data, rcode=Rcode.NXDOMAIN)).message.rcode == 3


def test_a_mangled_answer_is_asked_for_without_edns_and_then_elsewhere():
    q = query()
    sent = q.start(T)
    again = arrive(q, T, sent, answer_to(sent.data)[:-1])
    assert again.server is q.servers[0] and decode(again.data).edns is None
    assert arrive(q, T, again, answer_to(again.data)[:-1]).server is q.servers[1]
    assert q.mib.InMangled == 2


def test_letters_in_a_random_case_must_come_back():
    q = query(mix_case=True)
    sent = q.start(T)
    asked = decode(sent.data).question[0].name
    assert asked != WWW and asked.lower() == WWW
    assert arrive(q, T, sent, answer_to(sent.data, question=[Question(WWW, 1)])) is None
    assert q.mib.InForgedQuestion == 1
    assert isinstance(arrive(q, T, sent, answer_to(sent.data)), Answered)
    other = query(seed=2, mix_case=True)
    assert decode(other.start(T).data).question[0].name != asked


def test_who_never_keeps_the_case_is_asked_over_tcp():
    q = query(mix_case=True)
    sent = q.start(T)
    actions = [arrive(q, T, sent, answer_to(sent.data, question=[Question(WWW, 1)])) for _ in range(8)]
    assert actions[:7] == [None] * 7 and isinstance(actions[7], SendStream)
    assert isinstance(q.message(T, answer_to(actions[7].data, question=[Question(WWW.upper(), 1)])), Answered)


# -- cookies ------------------------------------------------------------------------------------------------------------------


def with_cookie(sent, server=b"SERVER00", client=b"CLIENT00", rcode=0):
    m = decode(answer_to(sent.data, rcode=rcode))
    m.edns = Edns(1232, options=(cookie_option(client, server),), ext_rcode=rcode >> 4)
    return m.encode()


def cookie_query():
    up = [Upstream("10.0.0.1", client_cookie=b"CLIENT00")]
    return Query(WWW, Type.A, up, random.Random(3)), up[0]


def test_a_cookie_is_kept_and_shown():
    q, up = cookie_query()
    sent = q.start(T)
    assert decode(sent.data).edns.cookie == (b"CLIENT00", b"")
    assert isinstance(arrive(q, T, sent, with_cookie(sent)), Answered)
    assert up.cookie == b"SERVER00"
    q = Query(WWW, Type.A, [up], random.Random(4))
    assert decode(q.start(T).data).edns.cookie == (b"CLIENT00", b"SERVER00")


def test_an_answer_without_our_cookie_from_one_who_has_it_is_forged():
    q, up = cookie_query()
    up.cookie = b"SERVER00"
    sent = q.start(T)
    assert arrive(q, T, sent, answer_to(sent.data)) is None
    assert arrive(q, T, sent, with_cookie(sent, client=b"GUESSED0")) is None
    assert q.mib.InForgedCookie == 2
    assert isinstance(arrive(q, T, sent, with_cookie(sent)), Answered)


def test_who_has_lost_its_cookies_is_believed_over_tcp():
    q, up = cookie_query()
    up.cookie = b"SERVER00"
    sent = q.start(T)
    over = [arrive(q, T, sent, answer_to(sent.data)) for _ in range(8)][-1]
    assert isinstance(q.message(T, answer_to(over.data, edns=False)), Answered)
    assert up.cookie == b""


def test_badcookie_is_asked_again_with_the_new_one_and_then_over_tcp():
    q, _ = cookie_query()
    sent = q.start(T)
    again = arrive(q, T, sent, with_cookie(sent, b"SERVER01", rcode=Rcode.BADCOOKIE))
    assert isinstance(again, SendDatagram) and decode(again.data).edns.cookie == (b"CLIENT00", b"SERVER01")
    third = arrive(q, T, again, with_cookie(again, b"SERVER02", rcode=Rcode.BADCOOKIE))
    assert isinstance(third, SendStream)
    end = q.message(T, with_cookie(third, b"SERVER03", rcode=Rcode.BADCOOKIE))
    assert isinstance(end, GaveUp) and q.mib.CookiesRenewed == 2


# -- forgers ------------------------------------------------------------------------------------------------------------------


def forge(rng, sent, kind):
    """A forged answer: everything right but one thing."""
    q = decode(sent.data)
    address, port, to_port = sent.server.address, sent.server.port, sent.source
    m = decode(answer_to(sent.data, EVIL))
    if kind == "id":
        m.id = (q.id + rng.randrange(1, 65536)) & 0xFFFF
    elif kind == "question":
        m.question = [Question(N("www.example.org."), 1)]
    elif kind == "type":
        m.question = [Question(WWW, 28)]
    elif kind == "class":
        m.question = [Question(WWW, 1, 3)]
    elif kind == "address":
        address = "10.6.6.6"
    elif kind == "port":
        port = rng.choice([5353, 54, 0])
    elif kind == "our port":
        to_port = (to_port + rng.randrange(1, 65536)) & 0xFFFF
    elif kind == "query":
        m.flags &= 0x7FFF
    elif kind == "two questions":
        m.question = m.question * 2
    elif kind == "opcode":
        m.flags |= 0x2800
    return m.encode(), address, port, to_port


KINDS = ["id", "question", "type", "class", "address", "port", "our port", "query", "two questions", "opcode"]


@pytest.mark.parametrize("mix_case", [False, True])
@pytest.mark.parametrize("tcp", ["answers", "is refused"])
def test_ten_thousand_forged_answers_never_get_in(seed, mix_case, tcp):
    rng = random.Random(seed)
    for turn in range(3):
        q = query(seed=rng.getrandbits(32), n=2, mix_case=mix_case)
        action = target = q.start(T)
        for i in range(10_000):
            got = q.datagram(T, *forge(rng, target, KINDS[(i + turn) % len(KINDS)]))
            assert not isinstance(got, Answered)
            action = got or action
            if isinstance(got, SendStream) and tcp == "is refused":
                action = q.failed(T, "connection refused") or q.expired(q.deadline)
            if isinstance(action, SendDatagram):
                target = action
        m = q.mib
        assert m.InForgedId and m.InForgedQuestion and m.InStrangers and m.InNotResponse and m.InLate
        assert m.Suspicions == m.OutStreams
        if tcp == "answers":
            assert m.OutStreams == 1
            done = q.message(T + MS, answer_to(action.data))
            assert isinstance(done, Answered) and done.message.answer[0].rdata == GOOD
        else:
            assert isinstance(action, GaveUp) and m.OutStreams == 6


def test_of_all_ids_that_a_forger_can_try_eight_are_looked_at():
    q = query(n=1)
    sent = q.start(T)
    right = decode(sent.data).id
    looked_at = 0
    for id in range(10_000):
        if id == right:
            continue
        got = arrive(q, T, sent, answer_to(sent.data, EVIL, id=id))
        looked_at += 1
        if got is not None:
            break
    assert isinstance(got, SendStream) and looked_at == 8
    # and the right one comes too late, even by chance: this port is closed
    assert arrive(q, T, sent, answer_to(sent.data, EVIL)) is None
    assert isinstance(q.message(T, answer_to(got.data)), Answered)


def test_strangers_cannot_drive_a_query_to_tcp():
    q = query()
    sent = q.start(T)
    for i in range(10_000):
        assert q.datagram(T, answer_to(sent.data, EVIL), f"10.9.{i >> 8}.{i & 255}", 53, sent.source) is None
    assert q.mib.InStrangers == 10_000 and q.mib.Suspicions == 0
    assert isinstance(arrive(q, T, sent, answer_to(sent.data)), Answered)


def test_whatever_arrives_is_survived(seed):
    rng = random.Random(seed)
    for _ in range(300):
        q = query(seed=rng.getrandbits(32), n=2, attempts=6)
        action = q.start(T)
        now = T
        for _ in range(100):
            now += rng.randrange(0, 50 * MS)
            if isinstance(action, SendDatagram):
                good = bytearray(answer_to(action.data))
                for _ in range(rng.randrange(0, 4)):
                    good[rng.randrange(len(good))] = rng.getrandbits(8)
                data = bytes(good[: rng.choice([len(good), len(good), rng.randrange(len(good) + 1)])])
                got = arrive(q, now, action, data) or q.expired(now)
            elif isinstance(action, SendStream):
                got = q.message(now, rng.randbytes(rng.randrange(0, 40))) or q.expired(now)
            else:
                break
            action = got or action
        assert q.attempts <= 6 and len(q.earlier) <= 6


# -- what it is made of -------------------------------------------------------------------------------------------------------


def test_a_query_needs_a_server():
    with pytest.raises(UsageError):
        Query(WWW, 1, [], random.Random(1))


def test_waiting_follows_the_server():
    up = Upstream("a")
    assert up.timeout(0) == up.timeout(1) == 400 * MS and up.timeout(2) == up.timeout(3) == 800 * MS and up.timeout(63) == MOST
    for _ in range(50):
        up.answered(200 * MS)
    assert 200 * MS <= up.timeout(0) < 210 * MS
    for _ in range(100):
        up.answered(0)
    assert up.timeout(0) == 100 * MS


def test_a_stream_is_cut_into_messages_wherever_it_is_cut(seed):
    rng = random.Random(seed)
    messages = [rng.randbytes(rng.randrange(12, 100)) for _ in range(50)]
    stream = b"".join(map(frame, messages))
    deframer, got = Deframer(), []
    while stream:
        n = rng.randrange(1, 80)
        got += deframer.feed(stream[:n])
        stream = stream[n:]
    assert got == messages and not deframer.unfinished
    assert frame(b"x" * 12)[:2] == b"\0\x0c"
    assert not deframer.feed(b"\0") and deframer.unfinished
    with pytest.raises(WireError):
        deframer.feed(b"\x0b" + bytes(11))
    with pytest.raises(UsageError):
        frame(bytes(65536))
