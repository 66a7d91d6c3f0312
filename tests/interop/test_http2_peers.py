"""Other people's HTTP/2: curl, nghttp, h2load and, where it is, h2spec."""

import re
import signal
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

HOST = Path(__file__).with_name("http2_host.py")
ROOT = HOST.parents[2]
CLEAR, SECURE = "http://127.0.0.1:8080", "https://127.0.0.1:8443"


@pytest.fixture
def server(netns):
    process = netns.start(sys.executable, str(HOST), cwd=ROOT)
    assert process.stdout.readline() == "up\n"
    yield process
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("0 ")


def curl(netns, *words):
    return netns.run("curl", "-skS", "-m", "20", "-w", " %{http_version} %{http_code}", *words, check=True).stdout


@pytest.mark.needs("curl")
def test_curl_speaks_it_by_prior_knowledge_and_by_alpn(netns, server):
    assert curl(netns, "--http2-prior-knowledge", f"{CLEAR}/x") == "GET had 0 bytes 2 200"
    assert curl(netns, "--http2", f"{SECURE}/x") == "GET had 0 bytes 2 200"
    assert curl(netns, "--http1.1", f"{SECURE}/x") == "GET had 0 bytes 1.1 200"
    assert curl(netns, "--http2", f"{CLEAR}/x") == "GET had 0 bytes 1.1 200"  # h2c by Upgrade is no more (RFC 9113 3.1)
    assert curl(netns, "--http2-prior-knowledge", "-I", f"{CLEAR}/7").endswith(" 2 200")


@pytest.mark.needs("curl")
def test_curl_sends_and_receives_much(netns, server, tmp_path):
    (tmp_path / "body").write_bytes(bytes(3_000_000))
    for way in (["--http2-prior-knowledge", f"{CLEAR}/x"], ["--http2", f"{SECURE}/x"]):
        assert curl(netns, "--data-binary", f"@{tmp_path}/body", *way) == "POST had 3000000 bytes 2 200"
    assert len(curl(netns, "--http2", f"{SECURE}/5000000")) == 5_000_000 + len(" 2 200")


@pytest.mark.needs("nghttp")
def test_nghttp_asks_for_many_at_once(netns, server):
    out = netns.run("nghttp", "-n", "-s", "-y", f"{CLEAR}/100000", *[f"{CLEAR}/{n}" for n in range(20)], check=True).stdout
    assert len(re.findall(r" 200 ", out)) == 21


@pytest.mark.needs("h2load")
def test_h2load_loses_nothing(netns, server):
    for url in (CLEAR, SECURE):
        out = netns.run("h2load", "-n", "1000", "-c", "4", "-m", "20", f"{url}/x", check=True).stdout
        assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in out


@pytest.mark.needs("curl")
def test_a_request_in_flight_survives_the_servers_end(netns, server):
    client = netns.start("curl", "-skS", "-m", "20", "--http2", f"{SECURE}/slow")
    netns.run("sleep", "0.5")
    server.send_signal(signal.SIGTERM)
    out, _ = client.communicate(timeout=20)
    assert (client.returncode, out) == (0, "GET had 0 bytes")


@pytest.mark.needs("h2spec")
def test_h2spec_finds_nothing(netns, server):
    found = netns.run("h2spec", "-t", "-k", "-p", "8443", "-o", "1", "--strict")
    assert re.search(r"(\d+) tests, \1 passed, 0 skipped, 0 failed", found.stdout), found.stdout[-2000:]
