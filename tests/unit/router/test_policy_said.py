"""Whom a guest says that it talks to, in TLS or HTTP; and what becomes of it on any port."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_words import GUEST, SITE, hello, make_policy
from policy_world import SITES_PEM, run_scene, trusting

from netstack.errors import BrokenError, WireError
from netstack.router.policy.said import NEITHER, Said, read_said

NAMELESS = [
    hello(None),
    b"SSH-2.0-OpenSSH_9.7\r\n",
    b"\0\1\2\3",
    b"EHLO guest.example\r\n",
    b"GET / HTTP/1.1\r\nHost: 93.184.216.34\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 2130706433\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
]
UNLAWFUL = [
    hello("127.0.0.1"),
    b"\x16\x03\x01\x00\x00",
    b"GET / HTTP/1.1\r\nHost: api.example\r\nHost: evil.example\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n",
    b"GET http://api.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET http://api.example/ HTTP/1.1\r\nHost: api.example:81\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: user@api.example\r\n\r\n",
    b"GET http://user@api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \xffpi.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a_b..example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : api.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
]


@pytest.mark.parametrize("first", NAMELESS)
def test_what_says_no_name_has_none(first):
    said = read_said(first)
    assert said is not None and not said.name


@pytest.mark.parametrize("first", UNLAWFUL)
def test_what_can_be_read_in_two_ways_is_refused(first):
    with pytest.raises(WireError):
        read_said(first)


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: API.Example.:9000\r\n\r\n",
        b"POST http://api.example/x HTTP/1.1\r\nHost: api.example\r\nContent-Length: 3\r\n\r\n",
        hello("API.example."),
    ],
)
def test_a_name_is_heard_as_soon_as_it_is_whole_and_no_sooner(first):
    assert [read_said(first[:at]) for at in range(len(first))] == [None] * len(first)
    said = read_said(first)
    assert said is not None and said.name == "api.example"


def test_protocols_are_told_apart():
    assert read_said(b"SSH-2.0-x\r\n") == NEITHER
    assert read_said(b"USER anonymous\r\n") == NEITHER
    assert read_said(b"GETTING-ON-FOR-SIXTEEN") == NEITHER
    assert read_said(hello("a.example")) == Said("tls", "a.example")


@given(st.binary(max_size=200))
def test_any_first_bytes_say_something_nothing_or_are_unlawful(data):
    for first in (data, b"GET " + data, b"GET / HTTP/1.1\r\n" + data, b"\x16\x03\x01\x00" + data):
        with suppress(WireError):
            assert isinstance(read_said(first), Said | None)


# -- on any port ------------------------------------------------------------------------------------------------------------------


def knowing():
    policy = make_policy()
    policy.allow("api.example")
    policy.on_answer(GUEST, "api.example", [SITE], 60)
    return policy


@pytest.mark.parametrize(("first", "why"), [(one, "nameless") for one in NAMELESS] + [(one, "malformed") for one in UNLAWFUL])
def test_who_says_no_name_on_any_port_is_cut_and_counted(first, why):
    policy = knowing()

    async def visit(scene):
        stream = await scene.stream(9000)
        await stream.send_all(first)
        with pytest.raises(BrokenError):
            await stream.receive()
        assert not scene.seen

    run_scene(policy, visit)
    assert [denial.why for denial in policy.denials()] == [why]


def test_on_any_port_each_request_is_looked_at():
    policy = knowing()
    ask = b"GET /%b HTTP/1.1\r\nHost: %b\r\n\r\n"

    async def visit(scene):
        answer = await scene.talk(ask % (b"1", b"api.example:9000") + ask % (b"2", b"evil.example"), 9000)
        return answer.count(b"HTTP/1.1 200 "), answer.count(b"HTTP/1.1 403 "), [request.target for request in scene.seen]

    assert run_scene(policy, visit) == (1, 1, ["/1"])
    assert policy.denials()[-1].why == "mismatch"


def test_tls_on_any_port_passes_untouched():
    policy = knowing()

    async def visit(scene):
        async with scene.client(trusting(SITES_PEM)) as client:
            response = await client.get("https://api.example:9443/x")
            return response.status, await response.read()

    assert run_scene(policy, visit, "api.example") == (200, b"GET /x\n")


def test_who_says_nothing_on_any_port_has_ten_seconds():
    policy = knowing()

    async def visit(scene):
        stream = await scene.stream(9000)
        with pytest.raises(BrokenError):
            await stream.receive()

    run_scene(policy, visit)
    assert policy.denials()[-1].why == "nameless"


def test_a_method_that_trickles_is_waited_for(seed):
    rng = random.Random(seed)
    first = b"OPTIONS * HTTP/1.1\r\nHost: api.example\r\n\r\n"
    at = rng.randrange(1, len(first))
    assert read_said(first[:at]) is None
