"""The homepage appliance over a tap: curl reads the site and dig knows its name."""

import sys
from pathlib import Path

import pytest
import trustme

ROOT = Path(__file__).resolve().parents[2]
KERNEL, STACK, NAME = "10.79.0.1", "10.79.0.2", "www.example"
TAP = f"tap:page0?host={KERNEL}/24&address={STACK}/24"

pytestmark = [pytest.mark.needs_tap, pytest.mark.needs("curl", "dig")]


def test_curl_and_dig_find_the_homepage(netns, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>home</h1>")
    (site / "big").write_bytes(bytes(range(256)) * 8192)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made = authority.issue_cert(NAME)
    made.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    words = [sys.executable, str(ROOT / "examples" / "homepage.py"), TAP, str(site), NAME]
    server = netns.start(*words, str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    try:
        assert server.stdout.readline() == f"{NAME} is {STACK}/24\n", server.communicate()
        assert netns.run("dig", f"@{STACK}", "+short", "+tries=1", NAME).stdout == f"{STACK}\n"
        assert netns.run("curl", "-sS", f"http://{STACK}/").stdout == "<h1>home</h1>"
        secure = ["curl", "-sS", "--cacert", str(tmp_path / "ca.pem"), "--resolve", f"{NAME}:443:{STACK}"]
        done = netns.run(*secure, "-w", "\n%{http_code}", f"https://{NAME}/")
        assert done.stdout == "<h1>home</h1>\n200", done.stderr
        for path, asked in (("whole", ()), ("part", ("-r", "1000000-"))):
            netns.run(*secure, *asked, "-o", str(tmp_path / path), f"https://{NAME}/big")
        assert (tmp_path / "whole").read_bytes() == (site / "big").read_bytes()
        assert (tmp_path / "part").read_bytes() == (site / "big").read_bytes()[1000000:]
        several = ["curl", "-sS", "-r", "0-1,4-5", "-o", "/dev/null", "-w", "%{http_code} %{content_type}"]
        parts = netns.run(*several, f"http://{STACK}/index.html").stdout
        assert parts.startswith("206 multipart/byteranges; boundary=")
    finally:
        server.kill()
        server.communicate()
