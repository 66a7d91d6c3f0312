"""TLS that is opened on its way, and TLS that is not."""

import asyncio
import ssl
from contextlib import suppress

import pytest
import trustme
from policy_words import GUEST, SITE, hello, make_policy
from policy_world import SITES_PEM, run_scene, trusting

from netstack.errors import BrokenError, UsageError
from netstack.http.client.errors import TlsFailed
from netstack.router.policy.authority import LEAF, Authority
from netstack.router.policy.web import Reply

OURS = Authority.make("tests")


def knowing(*names: str, default: str = "deny", intercepted: bool = True, trust=SITES_PEM, **more):
    """A policy that allows api.example, and whose guest was given the site's address for that and for `names`."""
    policy = make_policy(default, **more)
    if default == "deny":
        policy.allow("api.example")
    for name in ("api.example", *names):
        policy.on_answer(GUEST, name, [SITE], 60)
    if intercepted:
        policy.intercept(OURS, trusting(trust))
    return policy


async def fetch(scene, trust=OURS.certificate, url="https://api.example/a", **more):
    async with scene.client(trusting(trust)) as client:
        response = await client.get(url, **more)
        return response.status, await response.read()


def test_requests_under_tls_are_seen_changed_and_given_secrets():
    policy = knowing()
    policy.secret("api.example", "authorization", "s3cret", placeholder="GUEST")

    @policy.on_request("api.example", scheme="https")
    def change(request):
        request.set("x-scheme", request.scheme)
        return Reply(203, b"mine") if request.target == "/mine" else None

    async def visit(scene):
        async with scene.client(trusting(OURS.certificate)) as client:
            for path in ("/a", "/b"):
                response = await client.get(f"https://api.example{path}", headers={"authorization": "token GUEST"})
                assert (response.status, await response.read()) == (200, f"GET {path}\n".encode())
            assert (await client.get("https://api.example/mine")).status == 203
        return [dict(request.headers) for request in scene.seen], len(scene.flows)

    seen, flows = run_scene(policy, visit, "api.example")
    assert flows == 1 and [one["authorization"] for one in seen] == ["token s3cret"] * 2 and seen[0]["x-scheme"] == "https"
    assert (policy.mib.Intercepted, policy.mib.Secrets, policy.mib.Denied) == (1, 2, 0)


def test_a_name_that_nobody_wants_to_look_at_keeps_its_own_certificate():
    policy = knowing("other.example")
    policy.allow("other.example")
    policy.on_request("api.example", scheme="https")(lambda request: Reply(203))

    async def visit(scene):
        assert await fetch(scene, SITES_PEM, "https://other.example/x") == (200, b"GET /x\n")
        with pytest.raises(TlsFailed):  # the site's own certificate is not what this guest is shown
            await fetch(scene, SITES_PEM)
        await asyncio.sleep(1)

    run_scene(policy, visit, "api.example", "other.example")
    assert policy.mib.InterceptErrors == 1


def test_without_interception_the_name_is_checked_and_the_bytes_are_the_sites():
    policy = knowing(intercepted=False)

    async def visit(scene):
        assert await fetch(scene, SITES_PEM) == (200, b"GET /a\n")
        with pytest.raises((TlsFailed, BrokenError, OSError)):
            await fetch(scene, SITES_PEM, "https://evil.example/")

    run_scene(policy, visit, "api.example", "evil.example")
    assert policy.denials()[-1].why == "mismatch" and policy.mib.Intercepted == 0


@pytest.mark.parametrize("names, trust", [(["evil.example"], SITES_PEM), (["api.example"], trustme.CA().cert_pem.bytes())])
def test_a_site_that_can_not_prove_its_name_is_502_and_a_denial(names, trust):
    policy = knowing(trust=trust)
    policy.secret("api.example", "x-key", "s3cret")

    async def visit(scene):
        status, body = await fetch(scene)
        assert status == 502 and b"The certificate of api.example is not one to trust" in body and not scene.seen

    run_scene(policy, visit, *names)
    assert policy.denials()[-1].why == "certificate" and policy.mib.DeniedCertificate == 1 and policy.mib.Secrets == 0


def test_a_request_for_another_host_within_tls_is_denied():
    policy = knowing("other.example")
    policy.allow("other.example")
    policy.on_request("api.example", scheme="https")(lambda request: None)

    async def visit(scene):
        assert (await fetch(scene, headers={"host": "other.example"}))[0] == 403 and not scene.seen

    run_scene(policy, visit, "api.example", "other.example")
    assert policy.denials()[-1].why == "mismatch" and "under TLS with api.example" in policy.denials()[-1].detail


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (hello("evil.example"), "mismatch"),
        (hello(None), "nameless"),
        (b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", "malformed"),
        (b"", "nameless"),
        (hello("api.example")[:30], "nameless"),
    ],
)
def test_who_does_not_say_the_name_is_denied(first, why):
    policy = knowing()
    policy.on_request("api.example", scheme="https")(lambda request: None)

    async def visit(scene):
        stream = await scene.stream(443)
        if first:
            await stream.send_all(first)
        with pytest.raises(BrokenError):
            await stream.receive()

    run_scene(policy, visit, "api.example")
    assert [denial.why for denial in policy.denials()] == [why]


def test_a_guest_that_went_around_our_dns_does_not_go_around_the_functions():
    policy = make_policy("allow")
    policy.intercept(OURS, trusting(SITES_PEM))
    policy.on_request("api.example", scheme="https")(lambda request: None)

    async def visit(scene):
        with pytest.raises((TlsFailed, BrokenError, OSError)):
            await fetch(scene, SITES_PEM)
        assert await fetch(scene, SITES_PEM, "https://other.example/") == (200, b"GET /\n")

    run_scene(policy, visit, "api.example", "other.example")
    assert policy.denials()[-1].why == "mismatch" and policy.mib.Denied == 1


# -- certificates -----------------------------------------------------------------------------------------------------------------


def test_certificates_are_made_once_kept_to_a_bound_and_made_anew_in_time():
    now = [2_000_000_000.0]
    authority = Authority.make(certificates=2, wall=lambda: now[0])
    first = authority.context_for("a.example")
    assert authority.context_for("a.example") is first and authority.made == 1
    authority.context_for("b.example")
    authority.context_for("a.example")
    authority.context_for("c.example")  # b goes
    assert authority.context_for("a.example") is first and authority.made == 3
    authority.context_for("b.example")
    assert authority.made == 4
    now[0] += LEAF / 2
    assert authority.context_for("a.example") is not first


def test_a_name_that_is_longer_than_a_common_name_may_be_gets_its_certificate():
    name = ".".join(["x" * 60] * 3) + ".example"
    server, client = (ssl.MemoryBIO(), ssl.MemoryBIO()), None
    there = OURS.context_for(name).wrap_bio(*server, server_side=True)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(OURS.certificate).wrap_bio(into, out, server_hostname=name)
    for _ in range(4):
        for end in (client, there):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            server[0].write(out.read())
            into.write(server[1].read())
    assert client.version() and client.getpeercert()["subjectAltName"] == (("DNS", name),)


def test_an_authority_is_kept_in_files_and_its_key_is_its_owners(tmp_path):
    certificate, key = str(tmp_path / "ca.pem"), str(tmp_path / "ca.key")
    OURS.save(certificate, key)
    assert Authority.load(certificate, key).certificate == OURS.certificate
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="can't be read"):
        Authority.load(certificate, key + "x")
    Authority.make().save(str(tmp_path / "other.pem"), str(tmp_path / "other.key"))
    with pytest.raises(UsageError, match="not that of the certificate"):
        Authority(OURS.certificate, (tmp_path / "other.key").read_bytes())
    with pytest.raises(UsageError, match="no certificate with its key"):
        Authority(b"", b"")


def test_certificates_are_handed_over_without_proc_and_where_nothing_can_be_written_that_is_said(monkeypatch, tmp_path):
    def none(*arguments, **more):
        raise OSError("no such thing")

    authority = Authority.make()
    monkeypatch.setattr("netstack.router.policy.authority.os.memfd_create", none)
    assert authority.context_for("a.example")
    monkeypatch.setattr("netstack.router.policy.authority.tempfile.tempdir", str(tmp_path / "gone"))
    monkeypatch.chdir(tmp_path)
    assert authority.context_for("b.example") and not list(tmp_path.iterdir())
    monkeypatch.setattr("netstack.router.policy.authority.tempfile.NamedTemporaryFile", none)
    with pytest.raises(UsageError, match="neither /proc nor a folder"):
        authority.context_for("c.example")


def test_a_certificate_that_can_not_be_made_denies(monkeypatch, caplog):
    policy = knowing()
    policy.on_request("*.example", scheme="https")(lambda request: None)
    monkeypatch.setattr(policy.web.authority, "context_for", lambda name: 1 // 0)

    async def visit(scene):
        with pytest.raises((TlsFailed, BrokenError, OSError)):
            await fetch(scene)

    run_scene(policy, visit, "api.example")
    assert policy.denials()[-1].why == "certificate" and "no certificate can be made" in caplog.text


def test_a_certificate_that_signs_nothing_is_no_authority():
    leaf = trustme.CA().issue_cert("a.example")
    with pytest.raises(UsageError, match="not an authority's"):
        Authority(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())


def test_the_clock_of_a_guest_may_be_late():
    authority = Authority.make(wall=lambda: 2_000_000_000.0)
    assert authority._root.not_valid_before_utc.timestamp() == 2_000_000_000 - 86400
