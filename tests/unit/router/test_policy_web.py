"""Requests in the clear on their way out: checked, changed, answered, denied, and given secrets."""

import asyncio
import base64

import pytest
from policy_words import GUEST, SITE, make_policy
from policy_world import run_scene

from netstack.errors import BrokenError, UsageError
from netstack.http.serve.message import Response
from netstack.instant import SECOND, Duration
from netstack.router.policy.config import PolicyConfig
from netstack.router.policy.web import Reply

GET = b"GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n"


def knowing(*names: str, default: str = "deny", **more):
    """A policy that allows api.example, and whose guest was given the site's address for that and for `names`."""
    policy = make_policy(default, **more)
    if default == "deny":
        policy.allow("api.example")
    for name in ("api.example", *names):
        policy.on_answer(GUEST, name, [SITE], 60)
    return policy


def fields(request) -> dict[str, str]:
    return dict(request.headers)


async def fetch(scene, url="http://api.example/a?b", **more):
    async with scene.client() as client:
        response = await client.request(more.pop("method", "GET"), url, **more)
        return response.status, await response.read()


def test_a_request_to_an_allowed_name_passes_and_each_one_is_checked():
    policy = knowing()

    async def visit(scene):
        async with scene.client() as client:
            for path in ("/1", "/2"):
                response = await client.get(f"http://api.example{path}")
                assert (response.status, await response.read()) == (200, f"GET {path}\n".encode())
            assert len(scene.flows) == 1
        return scene.flows[0].hostname

    assert run_scene(policy, visit) == "api.example"
    assert policy.mib.Requests == 2 and policy.mib.Denied == 0


def test_a_second_request_for_another_host_on_the_same_connection_is_denied_and_counted():
    policy = knowing("evil.example")

    async def visit(scene):
        answer = await scene.talk(GET + GET.replace(b"api.example", b"evil.example") + GET)
        return answer, [request.target for request in scene.seen]

    answer, seen = run_scene(policy, visit)
    assert answer.count(b"HTTP/1.1 200 ") == 1 and answer.count(b"HTTP/1.1 403 ") == 1 and seen == ["/a"]
    assert policy.denials()[-1].why == "default" and policy.denials()[-1].name == "evil.example"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (GET.replace(b"api.example", b"evil.example"), "mismatch"),
        (GET.replace(b"api.example", b"93.184.216.34"), "nameless"),
        (GET.replace(b"api.example", b"[::1]"), "nameless"),
        (GET.replace(b"api.example", b"api.example:8080"), "mismatch"),
        (GET.replace(b"api.example", b"user@api.example"), "malformed"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n", "malformed"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", "mismatch"),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", "malformed"),
        (b"POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.0\r\n\r\n", "nameless"),
        (b"\x16\x03\x01\x00\x05hello", "malformed"),
        (b"SSH-2.0-x\r\n", "malformed"),
    ],
)
def test_what_a_guest_may_not_say_never_reaches_the_site(request_, why):
    policy = knowing()

    async def visit(scene):
        answer = await scene.talk(request_)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) and not scene.seen

    run_scene(policy, visit)
    assert [denial.why for denial in policy.denials()] == [why]


@pytest.mark.parametrize("host", [b"API.Example", b"api.example.", b"api.example:80", b"Api.Example.:80"])
def test_every_lawful_way_to_say_the_name_passes(host):
    policy = knowing()

    async def visit(scene):
        return await scene.talk(GET.replace(b"api.example", host)), fields(scene.seen[0])["host"]

    answer, seen = run_scene(policy, visit)
    assert answer.startswith(b"HTTP/1.1 200 ") and seen == host.decode()


def test_an_absolute_target_becomes_a_path_and_its_host_the_host():
    policy = knowing()

    async def visit(scene):
        await scene.talk(b"GET http://api.example?q HTTP/1.1\r\nHost: API.example\r\n\r\n")
        return scene.seen[0].target, fields(scene.seen[0])["host"]

    assert run_scene(policy, visit) == ("/?q", "api.example")


# -- functions --------------------------------------------------------------------------------------------------------------------


def test_a_function_changes_headers_and_path():
    policy = knowing()

    @policy.on_request("*.example")
    async def change(request):
        await asyncio.sleep(1)
        request.set("X-Signed", f"{request.method} {request.host}")
        request.add("x-more", "1")
        request.remove("user-agent")
        request.target = "/changed" + request.target

    async def visit(scene):
        assert await fetch(scene) == (200, b"GET /changed/a?b\n")
        return fields(scene.seen[0])

    seen = run_scene(policy, visit)
    assert seen["x-signed"] == "GET api.example" and seen["x-more"] == "1" and "user-agent" not in seen


def test_a_function_answers_itself_or_denies():
    policy = knowing()

    @policy.on_request()
    def decide(request):
        return {"/mine": Reply(203, b"mine", {"x-by": "us"}), "/no": False}.get(request.target)

    async def visit(scene):
        async with scene.client() as client:
            mine = await client.get("http://api.example/mine")
            assert (mine.status, await mine.read(), mine.headers["x-by"]) == (203, b"mine", "us")
            assert (await client.get("http://api.example/other")).status == 200
            no = await client.get("http://api.example/no")
            assert no.status == 403 and b"says no to GET /no" in await no.read()
        assert [request.target for request in scene.seen] == ["/other"]

    run_scene(policy, visit)
    assert (policy.mib.RequestsAnswered, policy.mib.DeniedRequest) == (1, 1) and policy.denials()[-1].why == "request"


@pytest.mark.parametrize(
    ("function", "status", "why"),
    [
        (lambda request: 1 // 0, 403, "hook failed"),
        (lambda request: "yes", 403, "hook failed"),
        (lambda request: asyncio.sleep(60), 403, "hook timed out"),
        (lambda request: request.set("host", "evil.example"), 403, "hook failed"),
        (lambda request: request.set("x", "a\r\nhost: b"), 403, "hook failed"),
        (lambda request: setattr(request, "target", "http://evil.example/"), 403, "hook failed"),
        (lambda request: setattr(request, "target", "/a b"), 500, "hook failed"),
        (lambda request: Reply(99), 500, "hook failed"),
    ],
)
def test_a_function_that_fails_denies(function, status, why, caplog):
    policy = knowing(config=PolicyConfig(hook_timeout=Duration(2 * SECOND)))
    policy.on_request()(function)

    async def visit(scene):
        assert (await fetch(scene))[0] == status and not scene.seen

    run_scene(policy, visit)
    assert [denial.why for denial in policy.denials()] == [why]


def test_bodies_stream_both_ways_with_a_window_between():
    policy = knowing()

    async def visit(scene):
        big = bytes(range(256)) * 4096

        async def echo(request):
            return Response(200, (), await request.body.read(1 << 24))

        scene.handler = echo
        assert await fetch(scene, method="POST", body=big) == (200, big)

        async def pieces():
            for at in range(0, len(big), 100_000):
                yield big[at : at + 100_000]

        assert await fetch(scene, method="POST", body=pieces()) == (200, big)

    run_scene(policy, visit)


def test_a_rate_holds_for_flows_whose_requests_are_looked_at_and_bytes_are_counted():
    policy = make_policy()
    policy.allow("api.example", rate=100_000)
    policy.on_answer(GUEST, "api.example", [SITE], 60)

    async def visit(scene):
        async def big(request):
            return Response(200, (), bytes(1_000_000))

        scene.handler = big
        began = asyncio.get_running_loop().time()
        await fetch(scene)
        return asyncio.get_running_loop().time() - began, scene.flows[0]

    took, flow = run_scene(policy, visit)
    assert 6 < took < 11  # up to 256 KiB at once, and what is in windows on its way
    assert 1_000_000 < flow.received < 1_001_000 and 0 < flow.sent < 300


def test_an_answer_that_breaks_breaks_for_the_guest_too():
    async def serve(stream):
        await stream.receive()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        stream.abort()

    async def visit(scene):
        stream = await scene.stream()
        await stream.send_all(GET)
        got = b""
        with pytest.raises(BrokenError):
            while True:
                got += await stream.receive()
                assert got
        assert scene.policy.mib.Denied == 0

    run_scene(knowing(), visit, serve=serve)


def test_a_guest_that_leaves_while_it_waits_ends_both():
    ended = []

    async def serve(stream):
        await stream.receive()
        try:
            await stream.receive()
        finally:
            ended.append(True)

    async def visit(scene):
        stream = await scene.stream()
        await stream.send_all(GET)
        await asyncio.sleep(1)
        stream.abort()
        await asyncio.sleep(1)
        assert ended == [True] and not policy._flows

    policy = knowing()
    run_scene(policy, visit, serve=serve)


def test_a_websocket_passes_through():
    async def serve(stream):
        head = await stream.receive()
        assert b"Upgrade: websocket" in head and b"X-Added: 1" in head
        await stream.send_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi")
        while data := await stream.receive():
            await stream.send_all(data.upper())

    policy = knowing()

    @policy.on_request()
    def add(request):
        request.set("x-added", "1")

    async def visit(scene):
        stream = await scene.stream()
        await stream.send_all(GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        got = b""
        while not got.endswith(b"hi"):
            got += await stream.receive()
        await stream.send_all(b"frame")
        assert await stream.receive() == b"FRAME"
        await stream.send_eof()
        assert await stream.receive() == b""

    run_scene(policy, visit, serve=serve)
    assert policy.mib.Upgrades == 1


def test_where_the_default_is_to_allow_requests_are_seen_and_not_checked():
    policy = make_policy("allow")
    seen = []

    @policy.on_request()
    def look(request):
        seen.append((request.host, request.headers.get("host")))

    async def visit(scene):
        await scene.talk(GET)
        await scene.talk(GET.replace(b"api.example", b"93.184.216.34"))

    run_scene(policy, visit)
    assert seen == [("api.example", "api.example"), ("", "93.184.216.34")] and policy.mib.Denied == 0


def test_where_nobody_looks_nothing_stands_in_between():
    policy = make_policy("allow")

    async def visit(scene):
        assert (await scene.talk(GET)).startswith(b"HTTP/1.1 200 ")

    run_scene(policy, visit)
    assert policy.mib.Requests == 0


# -- secrets ----------------------------------------------------------------------------------------------------------------------


def test_a_secret_replaces_its_placeholder_towards_its_host_alone():
    policy = knowing("other.example")
    policy.allow("other.example")
    policy.secret("api.example", "Authorization", "s3cret", placeholder="GUEST", scheme="http")

    async def visit(scene):
        for host in ("api.example", "other.example"):
            await fetch(scene, f"http://{host}/", headers={"authorization": "Bearer GUEST", "x-other": "GUEST"})
        return [fields(request) for request in scene.seen]

    own, others = run_scene(policy, visit)
    assert own["authorization"] == "Bearer s3cret" and own["x-other"] == "GUEST"
    assert others["authorization"] == "Bearer GUEST" and policy.mib.Secrets == 1


def test_a_secret_is_found_in_the_password_of_basic():
    policy = knowing()
    policy.secret("api.example", "authorization", "s3cret", placeholder="GUEST", scheme="http")

    async def visit(scene):
        given = base64.b64encode(b"x-access-token:GUEST").decode()
        await fetch(scene, headers={"authorization": f"Basic {given}"})
        return fields(scene.seen[0])["authorization"]

    assert run_scene(policy, visit) == f"Basic {base64.b64encode(b'x-access-token:s3cret').decode()}"


def test_a_secret_without_a_placeholder_is_the_header():
    policy = knowing()
    values = iter(("one", "two"))
    policy.secret("api.example", "x-key", lambda: next(values), scheme="http")

    async def visit(scene):
        await fetch(scene, headers={"x-key": "mine"})
        await fetch(scene)
        return [request.headers.get_all("x-key") for request in scene.seen]

    assert run_scene(policy, visit) == [["one"], ["two"]]


def test_no_secret_leaves_to_an_address_that_our_dns_never_gave_for_the_name():
    policy = make_policy("allow")
    policy.secret("api.example", "x-key", "s3cret", scheme="http")

    async def visit(scene):
        await fetch(scene)
        return "x-key" in fields(scene.seen[0])

    assert run_scene(policy, visit) is False and policy.mib.Secrets == 0


def test_a_secret_for_tls_never_leaves_in_the_clear():
    policy = knowing()
    policy.intercept()
    policy.secret("api.example", "x-key", "s3cret")
    policy.on_request()(lambda request: None)

    async def visit(scene):
        await fetch(scene)
        return "x-key" in fields(scene.seen[0])

    assert run_scene(policy, visit) is False


def test_a_secret_that_can_not_be_had_denies(caplog):
    policy = knowing()
    policy.secret("api.example", "x-key", lambda: {}["key"], scheme="http")

    async def visit(scene):
        assert (await fetch(scene))[0] == 403 and not scene.seen

    run_scene(policy, visit)
    assert policy.denials()[-1].why == "hook failed"


def test_a_secret_is_not_shown():
    policy = knowing()
    policy.secret("api.example", "x-key", "s3cret", scheme="http")
    assert "s3cret" not in repr(policy.web._secrets)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("*", "x-key", "s"), "say which host"),
        (("api.example", "host", "s"), "can't hold a secret"),
        (("api.example", "connection", "s"), "can't hold a secret"),
        (("10.0.0.1", "x-key", "s"), "no name to go by"),
    ],
)
def test_a_secret_for_everybody_or_nobody_is_one_sentence(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        knowing().secret(*arguments, scheme="http")


def test_https_needs_an_authority_first():
    with pytest.raises(UsageError, match=r"call intercept\(\) first"):
        knowing().on_request("api.example", scheme="https")
    with pytest.raises(UsageError, match="none that is read"):
        knowing().on_request("api.example", scheme="ftp")
