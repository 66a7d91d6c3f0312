"""curl, which nobody can enter, reaches a stack by a proxy and by forwards; the far side is the kernel on a tap."""

import sys

import pytest

from tests.interop.test_cli_services import KERNEL, STACK, TAP, running

__all__ = ["running"]

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"you are " + self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 8000), Handler)
print("up", flush=True)
server.serve_forever()
"""
TELLER = f"you are {STACK}"  # what the kernel's server says when the stack asks


@pytest.fixture
def server(netns):
    """On the kernel's side of the tap."""
    process = netns.start(sys.executable, "-c", SERVER, "0.0.0.0")
    assert process.stdout.readline() == "up\n"
    yield
    process.kill()
    process.communicate()


@pytest.mark.needs("curl")
def test_curl_goes_through_the_proxy_by_both_protocols(netns, running, server):
    proxy = running("socks", "--netif", TAP, "--port", "1080")
    assert "127.0.0.1:1080" in proxy.line
    url = f"http://{KERNEL}:8000/"
    for way in (
        ["--socks5-hostname", "127.0.0.1:1080"],
        ["--socks5", "127.0.0.1:1080"],
        ["--proxytunnel", "--proxy", "http://127.0.0.1:1080"],
    ):
        assert netns.run("curl", "-sS", "-m", "10", *way, url, check=True).stdout == TELLER
        refused = netns.run("curl", "-sS", "-m", "10", *way, f"http://{KERNEL}:8001/")
        assert refused.returncode in (7, 56, 97), refused
    assert proxy.end() == (0, "")


@pytest.mark.needs("curl")
def test_the_proxy_asks_curl_for_a_password(netns, running, server, monkeypatch):
    monkeypatch.setenv("NETSTACK_PASSWORD", "secret")
    running("socks", "--netif", TAP, "--port", "1080", "--user", "bob")
    url = f"http://{KERNEL}:8000/"
    for way in (["--socks5-hostname", "{}127.0.0.1:1080"], ["--proxytunnel", "--proxy", "http://{}127.0.0.1:1080"]):
        option, where = way[:-1], way[-1]
        assert netns.run("curl", "-sS", "-m", "10", *option, where.format("bob:secret@"), url, check=True).stdout == TELLER
        for wrong in ("", "bob:guess@"):
            assert netns.run("curl", "-sS", "-m", "10", *option, where.format(wrong), url).returncode in (7, 56, 97)


@pytest.mark.needs("curl")
def test_curl_reaches_the_far_side_by_a_port_of_the_host_and_the_host_by_a_port_of_the_stack(netns, running, server):
    forward = running("forward", "--netif", TAP, "host:8080", f"tcp:{KERNEL}:8000", "tcp:80", "host:8000")
    assert "host:tcp:8080" in forward.line
    assert netns.run("curl", "-sS", "-m", "10", "http://127.0.0.1:8080/", check=True).stdout == TELLER
    assert netns.run("curl", "-sS", "-m", "10", f"http://{STACK}/", check=True).stdout == "you are 127.0.0.1"
    assert forward.end() == (0, "")
