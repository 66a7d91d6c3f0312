"""`netstack curl` beside curl itself: the same words to the same servers give the same bytes, and the same exit status. nginx and
our own server answer; for what no good server does there is one that reads a script."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

pytestmark = [pytest.mark.once, pytest.mark.needs("curl"), pytest.mark.needs("nginx")]

ROOT = Path(__file__).resolve().parents[2]
NGINX, TLS, OURS, ODD = 8080, 8443, 8081, 8082

CONFIG = """
daemon off; pid {tmp}/nginx.pid; error_log {tmp}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {tmp}/body; proxy_temp_path {tmp}/proxy; fastcgi_temp_path {tmp}/fastcgi;
  uwsgi_temp_path {tmp}/uwsgi; scgi_temp_path {tmp}/scgi; types {{ text/plain txt; }}
  gzip on; gzip_types text/plain; gzip_min_length 1;
  client_max_body_size 1m;
  server {{
    listen 8080; listen 127.0.0.1:8083 http2; listen 127.0.0.1:8443 ssl http2;
    ssl_certificate {tmp}/cert.pem; ssl_certificate_key {tmp}/cert.pem;
    root {tmp}/www;
    location = /old {{ return 301 /a.txt; }}
    location = /loop {{ return 302 /loop; }}
    location = /echo {{ return 200 "$request_method $http_user_agent $http_authorization $http_referer $http_cookie $http_x_a|"; }}
    location /busy {{ return 503; }}
  }}
}}
"""

SERVER = f"""
import asyncio, netstack
from netstack.http import HttpServer, Response
async def handler(request):
    if request.path.startswith("/moved/"):
        _, _, status, path = request.path.split("/", 3)
        await request.body.read(1 << 26)
        return Response(int(status), {{"location": "/" + path, "content-length": "0"}}, b"")
    body = await request.body.read(1 << 26)
    kind = request.headers.get("content-type", "").partition(";")[0]
    expect = request.headers.get("expect", "")
    if kind == "multipart/form-data":
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        body = body.replace(boundary, b"BOUNDARY")
    head = f"{{request.method}} {{request.target}} {{kind}} {{expect}} {{request.length}}\\n"
    return Response(200, {{"content-type": "text/plain"}}, head.encode() + body)
ODD = {{
    b"empty": b"", b"torn": b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nabc",
    b"chunks": b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n",
    b"end": b"HTTP/1.1 200 OK\\r\\n\\r\\nto the end", b"ssh": b"SSH-2.0-nobody\\r\\n",
    b"hints": b"HTTP/1.1 103 Early Hints\\r\\nLink: x\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok",
    b"gzip": b"HTTP/1.1 200 OK\\r\\nContent-Encoding: gzip\\r\\nContent-Length: 6\\r\\n\\r\\nno gzip"[:-1],
    b"badchunk": b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\nabc\\r\\n",
}}
async def odd(stream):
    name = (await stream.receive()).split(b" ")[1][1:]
    if name == b"silent":
        await asyncio.sleep(30)
    await stream.send_all(ODD[name])
async def main():
    async with netstack.open("posix:") as net:
        await HttpServer(net, handler).listen({OURS}, "127.0.0.1")
        await net.serve_streams(odd, {ODD}, "127.0.0.1")
        print("up", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def run(netns, folder, *command):
    """Bytes, from a command in the folder."""
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'backends'}"}
    return subprocess.run(
        [*netns.prefix, *command], capture_output=True, timeout=30, check=False, cwd=folder, env=env, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def servers(netns, tmp_path):
    www = tmp_path / "www"
    www.mkdir()
    (www / "a.txt").write_text("hello from nginx\n" * 20)
    (www / "big").write_bytes(b"0123456789abcdef" * 65536)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1", "server.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "nginx.conf").write_text("user root;" + CONFIG.format(tmp=tmp_path))
    nginx = netns.start("nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log"))
    ours = netns.start(sys.executable, "-c", SERVER, cwd=ROOT)
    assert ours.stdout.readline() == "up\n"
    (tmp_path / "options").write_text(f'# of curl\nurl = "{OWN}/x"\n-d "a=b c"\nheader = "Content-Type: text/x"\n')
    yield tmp_path
    for process in (nginx, ours):
        process.terminate()
        process.communicate(timeout=10)


N, T, OWN, X = (f"http://127.0.0.1:{NGINX}", f"https://127.0.0.1:{TLS}", f"http://127.0.0.1:{OURS}", f"http://127.0.0.1:{ODD}")
# words, whether the bytes are compared, the exit status
TABLE = [
    (f"{N}/a.txt", True, 0),
    (f"{N}/big -r 5-20", True, 0),
    (f"{N}/big -r -7", True, 0),
    (f"{N}/none", True, 0),
    (f"-f {N}/none", True, 22),
    (f"--fail-with-body {N}/none", True, 22),
    (f"{N}/old", True, 0),
    (f"-L {N}/old", True, 0),
    (f"-L {N}/loop", False, 47),
    (f"-L --max-redirs 3 {N}/loop", False, 47),
    (f"--compressed {N}/a.txt", True, 0),
    (f"{N}/echo -A agent -e from -u me:word -b c=d -H X-A:1", True, 0),
    (f"{N}/echo -H User-Agent: -X BREW", True, 0),
    (f"{N}/echo -d x -X PUT -A a", True, 0),
    (f"-I {N}/a.txt", "heads", 0),
    (f"-i {N}/a.txt", "heads", 0),
    (f"-iL {N}/old", "heads", 0),
    (f"{N}/a.txt {N}/none {N}/a.txt", True, 0),
    (f"-d @big {N}/a.txt", True, 0),
    (f"--resolve nowhere.example:{NGINX}:127.0.0.1 http://nowhere.example:{NGINX}/a.txt", True, 0),
    (f"-k {T}/a.txt", True, 0),
    (f"--cacert ca.pem {T}/a.txt", True, 0),
    (f"-i --cacert ca.pem {T}/a.txt", "heads", 0),
    (f"-i --http1.1 --cacert ca.pem {T}/a.txt", "heads", 0),
    (f"--cacert ca.pem {T}/big {T}/a.txt", True, 0),
    ("-i --http2-prior-knowledge http://127.0.0.1:8083/a.txt", "heads", 0),
    (f"--http2-prior-knowledge {OWN}/x -d @www/a.txt", True, 0),
    (f"--cacert ca.pem --resolve other.example:{TLS}:127.0.0.1 https://other.example:{TLS}/a.txt", False, 60),
    (f"{T}/a.txt", False, 60),
    (f"--cacert none.pem {T}/a.txt", False, 77),
    (f"https://127.0.0.1:{NGINX}/", False, 35),
    ("http://127.0.0.1:9/", False, 7),
    ("http://nowhere.invalid/", False, 6),
    ("gopher+x://127.0.0.1/", False, 1),
    ("http://127.0.0.1:99999/", False, 3),
    ("--no-such-option x", False, 2),
    (f"-o none/there/x {N}/a.txt", False, 23),
    (f"-m 0.3 {X}/silent", False, 28),
    (f"{X}/empty", False, 52),
    (f"{X}/torn", True, 18),
    (f"{X}/chunks", True, 18),
    (f"{X}/badchunk", False, 56),
    (f"{X}/end", True, 0),
    (f"{X}/hints", True, 0),
    (f"--compressed {X}/gzip", False, 61),
    (f"{X}/ssh", False, 1),
    (f"{OWN}/x?y -d a=b -d c=d", True, 0),
    (f"{OWN}/x -G -d a=b --data-urlencode c=d&e", True, 0),
    (f"{OWN}/x --data-binary @www/big", True, 0),
    (f"{OWN}/x --json {{}}", True, 0),
    (f"{OWN}/x -T www/big -H Expect:", True, 0),
    (f"{OWN}/up/ -T www/a.txt -H Expect:", True, 0),
    (f"{OWN}/x -F a=b -F f=@www/a.txt -F t=<www/a.txt;type=text/x", True, 0),
    (f"{OWN}/x -T no-such-file", False, 26),
    (f"-x http://127.0.0.1:{OURS} http://some.example/x", True, 0),
    (f"-x http://127.0.0.1:{OURS} https://some.example/x", False, 56),
    ("-x http://127.0.0.1:9 http://some.example/x", False, 7),
    (f"-s {N}/a.txt -o /dev/null -w %{{http_code}}:%{{size_download}}:%{{content_type}}:%{{url_effective}}\\n", True, 0),
    (f"-sL {N}/old -o /dev/null -w %{{http_code}}:%{{num_redirects}}:%{{url_effective}}:%{{scheme}}:%header{{server}}", True, 0),
    (f"-s {N}/old -w %{{redirect_url}}%%", True, 0),
    (f"-L -d a=b {OWN}/moved/301/x", True, 0),
    (f"-L -d a=b {OWN}/moved/308/x", True, 0),
    (f"-L -d a=b --post302 {OWN}/moved/302/x", True, 0),
    (f"-L -u me:word {OWN}/moved/303/x -d a=b", True, 0),
    (f"{OWN}/[1-2]/{{a,b}} --next -d a=b {OWN}/[08-11:2] -w %{{urlnum}}:%{{num_connects}},", True, 0),
    (f"{OWN}/[3-1]", False, 3),
    (f"{OWN}/[1-2] -o #1.out -w %{{filename_effective}},", True, 0),
    (f"--connect-to some.example:80:127.0.0.1:{OURS} http://some.example/x http://127.0.0.1:{OURS}/a/../b", True, 0),
    (f"{N}/a.txt -z 20400101 -w %{{http_code}}", True, 0),
    (f"--proto =https {N}/a.txt", False, 1),
    (f"{N}/a.txt http://127.0.0.1:9/", True, 7),
    (f"http://127.0.0.1:9/ {N}/a.txt", True, 0),
    (f"-T www/a.txt -H Expect: {OWN}/one {OWN}/two", True, 0),
    ("-K options", True, 0),
]  # fmt: skip


def heads(data: bytes) -> bytes:
    """Without what changes from second to second."""
    return b"".join(line for line in data.splitlines(True) if not line.lower().startswith(b"date:"))


@pytest.mark.parametrize("group", range(4))
def test_curl_and_ours_give_the_same_bytes_and_the_same_status(netns, servers, group):
    (servers / "big").write_text("line\nline\n")
    for words, compared, status in TABLE[group::4]:
        results = []
        for command in (["curl", "-q", "-sS"], [sys.executable, "-m", "netstack", "curl", "-sS"]):
            done = run(netns, servers, *command, *words.split(" "))
            results.append(done)
        theirs, ours = results
        assert (theirs.returncode, ours.returncode) == (status, status), (words, theirs.stderr, ours.stderr)
        if compared == "heads":
            assert heads(ours.stdout) == heads(theirs.stdout), words
        elif compared:
            assert ours.stdout == theirs.stdout, (words, ours.stdout[:300], theirs.stdout[:300])
        assert bool(ours.stderr) == bool(theirs.stderr), (words, theirs.stderr, ours.stderr)
        assert b"Traceback" not in ours.stderr


def test_a_download_goes_on_where_it_stopped_and_retries_what_is_busy(netns, servers):
    ours = [sys.executable, "-m", "netstack", "curl", "-sS"]
    whole = (servers / "www/big").read_bytes()
    (servers / "part").write_bytes(whole[:1000])
    for _ in range(2):  # and when there is nothing left to fetch
        assert run(netns, servers, *ours, "-C", "-", "-o", "part", f"{N}/big").returncode == 0
        assert hashlib.sha256((servers / "part").read_bytes()).digest() == hashlib.sha256(whole).digest()
    assert run(netns, servers, *ours, "-O", "--output-dir", "d", "--create-dirs", f"{N}/big").returncode == 0
    assert (servers / "d/big").read_bytes() == whole
    done = run(netns, servers, *ours[:-1], "-f", "--retry", "2", "--retry-delay", "0.1", f"{N}/busy")
    assert (done.returncode, done.stderr.count(b"Will retry")) == (22, 2)
    cookies = run(netns, servers, *ours, "-c", "jar", f"{N}/a.txt")
    assert cookies.returncode == 0
    assert (servers / "jar").exists()


def test_what_is_told_looks_like_curls(netns, servers):
    def lines(*command):
        done = run(netns, servers, *command, "-v", "-A", "x", "--http1.1", f"{N}/a.txt")
        return [line.rstrip("\r") for line in done.stderr.decode().splitlines() if "ate:" not in line and line[0] in "*<>"]

    theirs = lines("curl", "-q", "-sS")
    ours = lines(sys.executable, "-m", "netstack", "curl", "-sS")
    assert [line for line in ours if line[0] != "*"] == [line for line in theirs if line[0] != "*"]
    for mark in ("*   Trying 127.0.0.1:8080...", "* Connected to 127.0.0.1 (127.0.0.1) port 8080 (#0)"):
        assert mark in theirs
        assert mark in ours


@pytest.mark.needs_tap
def test_it_fetches_through_a_stack_of_its_own_and_through_loss(netns, servers):
    tap = ["--net", "tap:nst0?host=10.79.0.1/24&address=10.79.0.2/24"]
    ours = [sys.executable, "-m", "netstack", "curl", "-sS", *tap]
    whole = (servers / "www/big").read_bytes()
    assert run(netns, servers, *ours, f"http://10.79.0.1:{NGINX}/big").stdout == whole
    assert run(netns, servers, *ours, "--fault", "loss=0.02,seed=7", f"http://10.79.0.1:{NGINX}/big").stdout == whole
    assert run(netns, servers, *ours, f"http://10.79.0.1:{NGINX + 70}/").returncode == 7
    late = run(netns, servers, *ours, "--connect-timeout", "0.5", "http://10.79.0.77/")
    assert late.returncode in (7, 28), late.stderr
