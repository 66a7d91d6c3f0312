"""netstack-tap with real namespaces: `run`, slirp4netns's command line, and two guests on a switch.

The host is a namespace of the test's own; guests are user and network namespaces in it, as an ordinary user makes them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from netns import Namespace

pytestmark = [pytest.mark.needs_tap, pytest.mark.needs("ip", "ping")]

PYTHON = ["env", f"PYTHONPATH={os.pathsep.join(filter(None, sys.path))}", sys.executable, "-W", "error"]
TAP = [*PYTHON, "-m", "netstack.cli.tap"]
FETCH = "import urllib.request as u; print(u.urlopen('http://{0}/', timeout=5).read().decode())"
# a web server with one page; it says when it listens
SERVE = """
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page of %s")
    def log_message(self, *words): pass
server = http.server.HTTPServer(("0.0.0.0", %d), Page)
print("listening", flush=True)
server.serve_forever()
"""


@contextmanager
def ended(process: "subprocess.Popen[str]") -> "Iterator[subprocess.Popen[str]]":
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def web(netns: Namespace, prefix: list[str], name: str, port: int) -> Iterator[None]:
    with ended(netns.start(*prefix, sys.executable, "-c", SERVE % (name, port))) as server:
        assert server.stdout is not None and server.stdout.readline() == "listening\n"
        yield


@contextmanager
def guest(netns: Namespace) -> Iterator[tuple[str, list[str]]]:
    """A namespace without a network: the id of a process in it, and how to run others there."""
    made = netns.start("unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo ready; exec sleep 60")
    with ended(made):
        assert made.stdout is not None and made.stdout.readline() == "ready\n"
        yield str(made.pid), ["nsenter", "-t", str(made.pid), "-U", "--preserve-credentials", "-n"]


@contextmanager
def router(netns: Namespace, *words: str) -> "Iterator[subprocess.Popen[str]]":
    """At work; ended by SIGTERM, with status 0 and without a word of complaint."""
    ready, tell = os.pipe()
    with ended(netns.start(*TAP, *words, "-q", "--ready-fd", str(tell), pass_fds=(tell,))) as process:
        os.close(tell)
        with open(ready, "rb") as file:
            assert file.read() == b"1", process.communicate()[1]
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[1] == "" and process.returncode == 0


def test_a_program_runs_in_a_room_of_its_own(netns: Namespace) -> None:
    fetch = f'{sys.executable} -c "{FETCH.format("10.0.2.2:8000")}"'
    inside = f"id -u; cat /etc/resolv.conf; ip -4 -o addr show tap0; ip route; {fetch}; exit 5"
    with web(netns, [], "home", 8000):
        done = netns.run(*TAP, "run", "--map-host-loopback", "--sandbox", "--", "sh", "-c", inside)
        shut = netns.run(*TAP, "run", "--", sys.executable, "-c", FETCH.format("10.0.2.2:8000"))
    assert done.returncode == 5 and done.stderr == "", done
    assert done.stdout.startswith("0\nnameserver 10.0.2.3\n") and "10.0.2.100/24" in done.stdout
    assert "default via 10.0.2.2 dev tap0" in done.stdout and done.stdout.endswith("a page of home\n")
    assert shut.returncode == 1 and "Connection refused" in shut.stderr  # the host's loopback is shut unless it is asked for


def test_signals_reach_the_program_and_its_end_is_ours(netns: Namespace) -> None:
    script = "trap 'exit 9' TERM; echo here; sleep 30 >/dev/null 2>&1 & wait"
    with ended(netns.start(*TAP, "run", "--", "sh", "-c", script)) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 9
    missing = netns.run(*TAP, "run", "--", "no-such-program")
    assert missing.returncode == 127 and missing.stderr == "netstack-tap: no-such-program can't be run: No such file or directory\n"


def test_it_stands_in_for_slirp4netns(netns: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    ready, tell = os.pipe()
    leave, stay = os.pipe()

    def ask(request: object) -> object:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(path)
            s.send(json.dumps(request).encode())
            s.shutdown(socket.SHUT_WR)
            return json.loads(b"".join(iter(lambda: s.recv(4096), b"")))

    with guest(netns) as (pid, there):
        words = ["-c", "-m", "65520", "-r", str(tell), "-e", str(leave), "-a", path, "--enable-sandbox", "--enable-seccomp"]
        with ended(netns.start(*TAP, "slirp4netns", *words, pid, "tap0", pass_fds=(tell, leave))) as process:
            os.close(tell)
            os.close(leave)
            with open(ready, "rb") as file:
                assert file.read() == b"1", process.communicate()[1]
            shown = netns.run(*there, "ip", "addr", "show", "tap0").stdout
            assert "10.0.2.100/24" in shown and "mtu 65520" in shown
            with web(netns, there, "guest", 80), web(netns, [], "host", 8000):
                row = {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": 8080, "guest_addr": "10.0.2.100", "guest_port": 80}
                assert ask({"execute": "add_hostfwd", "arguments": row}) == {"return": {"id": 1}}
                assert ask({"execute": "list_hostfwd"}) == {"entries": [{"id": 1, **row}]}
                inwards = netns.run(sys.executable, "-c", FETCH.format("127.0.0.1:8080"))
                outwards = netns.run(*there, sys.executable, "-c", FETCH.format("10.0.2.2:8000"))
                assert inwards.stdout == "a page of guest\n" and outwards.stdout == "a page of host\n", (inwards, outwards)
                assert ask({"execute": "remove_hostfwd", "arguments": {"id": 1}}) == {"return": {}}
            os.close(stay)
            out, errors = process.communicate(timeout=10)
            assert process.returncode == 0 and out.startswith("Starting slirp\n* MTU:             65520\n"), errors
    assert not os.path.exists(path)


def test_two_guests_share_a_switch_and_a_router(netns: Namespace) -> None:
    take = "import socket; s=socket.create_server(('',9)); print('listening',flush=True); c=s.accept()[0]; n=0\n"
    take += "while d:=c.recv(1<<20): n+=len(d)\nprint(n)"
    give = "import socket; s=socket.create_connection(('10.0.2.101',9)); s.sendall(bytes(8_000_000))"
    with (
        guest(netns) as (one, first),
        guest(netns) as (two, second),
        router(netns, "--netns", one, "--netns", two, "--config-net", "--map-host-loopback"),
    ):
        with ended(netns.start(*second, sys.executable, "-c", take)) as taker:
            assert taker.stdout is not None and taker.stdout.readline() == "listening\n"
            done = netns.run(*first, sys.executable, "-c", give)
            assert done.returncode == 0 and taker.communicate(timeout=10)[0] == "8000000\n", done.stderr
        with web(netns, [], "host", 8000):
            for there in (first, second):
                assert netns.run(*there, sys.executable, "-c", FETCH.format("10.0.2.2:8000")).stdout == "a page of host\n"
        # who takes another's address is heard by nobody
        netns.run(*first, "ip", "addr", "add", "10.0.2.101/24", "dev", "tap0", check=True)
        lie = netns.run(*first, "ping", "-c", "1", "-W", "1", "-I", "10.0.2.101", "10.0.2.2")
        truth = netns.run(*second, "ping", "-c", "1", "-W", "2", "10.0.2.2")
        assert lie.returncode == 1 and truth.returncode == 0, (lie.stdout, truth.stdout)


def test_a_guest_that_ends_is_the_end_of_its_router(netns: Namespace) -> None:
    ready, tell = os.pipe()
    with ended(netns.start(*TAP, "-q", "-1", "-r", str(tell), "tap:tap0", pass_fds=(tell,))) as process:
        os.close(tell)
        with open(ready, "rb") as file:
            assert file.read() == b"1"
        netns.run("ip", "link", "del", "tap0", check=True)
        assert process.wait(10) == 0
