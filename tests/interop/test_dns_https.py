"""`netstack dns --https` over a tap: curl finds a host's address by it, and posts a query; kdig, dig and our own dig ask."""

import re
import shutil
import subprocess
import sys

import pytest
import trustme
from dnslab import KERNEL, ROOT, STACK

pytestmark = [pytest.mark.needs_tap, pytest.mark.needs("curl")]

ZONE = f"@ 300 SOA ns host 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A {STACK}\nwww 60 A {KERNEL}\n"
PAGE = "import http.server; http.server.HTTPServer(('', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()"
QUERY = bytes.fromhex("000001000001000000000000 03777777 076578616d706c65 00 0001 0001".replace(" ", ""))


def test_curl_resolves_by_https(netns, tmp_path):
    (tmp_path / "zone").write_text(ZONE)
    (tmp_path / "query").write_bytes(QUERY)
    (tmp_path / "page").write_text("found by name")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made = authority.issue_cert(STACK, "ns.example")
    made.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    tap = f"tap:doh0?host={KERNEL}/24&address={STACK}/24"
    words = [sys.executable, "-m", "netstack", "dns", "--netif", tap, "--zone", f"example.={tmp_path / 'zone'}"]
    server = netns.start(*words, "--https", str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"), cwd=str(ROOT))
    page = netns.start(sys.executable, "-c", PAGE, cwd=str(tmp_path), stderr=subprocess.DEVNULL)
    try:
        assert server.stdout.readline(), server.communicate()
        trust = ["--cacert", str(tmp_path / "ca.pem")]
        url = f"https://{STACK}/dns-query"
        post = [
            "-H",
            "Content-Type: application/dns-message",
            "--data-binary",
            f"@{tmp_path / 'query'}",
            "-o",
            str(tmp_path / "answer"),
        ]
        done = netns.run("curl", "-sS", *trust, *post, "-w", "%{http_code} %header{cache-control}", url)
        assert done.stdout == "200 max-age=60", done.stderr
        assert (tmp_path / "answer").read_bytes().endswith(bytes(map(int, KERNEL.split("."))))
        assert netns.run("curl", "-sS", *trust, *post, "-w", "%{http_version}", url).stdout == "2"  # RFC 8484 5.2
        _ask_by_https(netns, str(tmp_path / "ca.pem"))
        retry = ["--retry", "9", "--retry-connrefused", "--retry-delay", "1"]  # its server says nothing when it listens
        found = netns.run("curl", "-sS", *retry, "--doh-insecure", "--doh-url", url, "http://www.example:8000/page")
        assert found.stdout == "found by name", found.stderr
    finally:
        for process in (server, page):
            process.kill()
            process.communicate()


def _ask_by_https(netns, ca):
    """What others' clients see, ours sees; without the authority's certificate nobody is believed who has to be."""
    ours = (sys.executable, "-m", "netstack", "dig")

    def run(*words):
        command = [*netns.prefix, *words, f"@{STACK}", "www.example", "A"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=str(ROOT))

    def said(*words):
        done = run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return re.sub(r"id: \d+|COOKIE: .*|(time|WHEN): .*|rcvd: \d+|<<>>.*", "", done.stdout)

    for word in ("+https", "+https-get=/dns-query"):
        if shutil.which("dig"):
            assert said(*ours, word) == said("dig", word)
    if shutil.which("kdig"):
        assert said("kdig", "+https", f"+tls-ca={ca}", "+tls-hostname=ns.example", "+short").strip() == KERNEL
    assert said(*ours, "+https", f"+tls-ca={ca}", "+tls-hostname=ns.example", "+short").strip() == KERNEL
    refused = run(*ours, "+https", "+tls-ca", "+tries=1")
    assert refused.returncode == 9 and "certificate" in refused.stdout, refused.stdout
