"""The commands that serve, with the kernel as their client, in a network namespace of each test's own."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL, STACK = "10.79.0.1", "10.79.0.2"
TAP = f"tap:nst0?host={KERNEL}/24&address={STACK}/24"

# the kernel's side of a test, run inside its namespace
TALK = """
import hashlib, socket, sys, threading
host, port, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
stream = socket.create_connection((host, port), timeout=20)
if what == "echo":
    data = bytes(range(256)) * 16384
    def send():
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    got = b"".join(iter(lambda: stream.recv(65536), b""))
    print(got == data)
elif what == "discard":
    for _ in range(64):
        stream.sendall(bytes(65536))
    stream.shutdown(socket.SHUT_WR)
    print(stream.recv(1))
elif what == "generate":
    got = b""
    while len(got) < 1_000_000:
        got += stream.recv(65536)
    print(got[:1_000_000].decode("ascii"), end="")
"""

DATAGRAMS = """
import socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.settimeout(5)
if sys.argv[3:]:  # to be answered with silence
    peer.settimeout(1)
    peer.bind(("", int(sys.argv[3])))
peer.connect((sys.argv[1], int(sys.argv[2])))
for size in (0, 1, 1472, 9000):
    peer.send(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    print(len(peer.recv(65536)))
"""


class Running:
    """A command of ours inside the namespace; its first line has come."""

    def __init__(self, netns, *words):
        self.process = netns.start(sys.executable, "-m", "netstack", *words, cwd=ROOT)
        self.line = self.process.stdout.readline()

    def end(self, number=signal.SIGTERM):
        """Exit status and standard error after the signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err


@pytest.fixture
def running(netns):
    """Starts a command; whatever the test forgets to end is ended."""
    started = []

    def start(*words):
        started.append(Running(netns, *words))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def talk(netns, program, *words):
    return netns.run(sys.executable, "-c", program, *map(str, words), check=True, timeout=40).stdout


@pytest.mark.needs("curl")
def test_serve_gives_files_whole_and_takes_uploads(netns, running, tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "big.bin").write_bytes(data)
    (tmp_path / "up.bin").write_bytes(data[::-1])
    server = running("serve", "--netif", TAP, "--root", str(tmp_path), "--upload")
    assert f"serving {tmp_path} at http://{STACK}/" in server.line
    got = netns.run("sh", "-c", f"curl -sS http://{STACK}/big.bin | sha256sum", check=True).stdout
    assert got.split()[0] == hashlib.sha256(data).hexdigest()
    netns.run("curl", "-sS", "-f", "-T", str(tmp_path / "up.bin"), f"http://{STACK}/came.bin", check=True)
    assert (tmp_path / "came.bin").read_bytes() == data[::-1]
    assert server.end() == (0, "")


@pytest.mark.needs("curl")
def test_serve_listens_on_the_port_that_was_asked_for(netns, running, tmp_path):
    (tmp_path / "index.html").write_text("here")
    server = running("serve", "--netif", TAP, "--root", str(tmp_path), "--port", "8080")
    assert f"http://{STACK}:8080/" in server.line
    assert netns.run("curl", "-sS", f"http://{STACK}:8080/", check=True).stdout == "here"
    assert netns.run("curl", "-sS", "-m", "5", f"http://{STACK}/").returncode == 7  # refused, not ignored
    assert server.end(signal.SIGINT) == (0, "")


def transferred(netns):
    """Bytes that have crossed on the kernel's connections, in either direction."""
    return sum(map(int, re.findall(r"bytes_(?:acked|received):(\d+)", netns.run("ss", "-tni", check=True).stdout)))


@pytest.mark.needs("curl", "ss")
@pytest.mark.parametrize("direction", [["-o", "/dev/null"], ["-T", "big.bin"]], ids=["download", "upload"])
def test_a_slow_client_does_not_keep_the_service_from_ending(netns, running, tmp_path, direction):
    with open(tmp_path / "big.bin", "wb") as file:  # more than the kernel buffers, which curl would read to an ordinary end
        file.truncate(400_000_000)
    server = running("serve", "--netif", TAP, "--root", str(tmp_path), "--upload")
    curl = netns.start("curl", "-sS", "--limit-rate", "10M", *direction, f"http://{STACK}/big.bin", cwd=tmp_path)
    # in the midst of the file: a curl that has only connected, and not yet asked, would see an ordinary end
    while transferred(netns) < 100_000:
        assert curl.poll() is None
    began = time.monotonic()
    assert server.end() == (0, "")
    assert time.monotonic() - began < 3
    _, err = curl.communicate(timeout=20)
    assert curl.returncode == 56, err  # cut, and the client knows it
    assert [path.name for path in tmp_path.iterdir()] == ["big.bin"]


@pytest.mark.needs("curl", "ip")
def test_offloads_of_the_last_user_of_a_tap_are_not_ours(netns, running, tmp_path):
    (tmp_path / "index.html").write_text("here")
    netns.run("ip", "tuntap", "add", "dev", "nst0", "mode", "tap", check=True)  # it stays when we go
    words = ["ping", KERNEL, "-c", "1", "--netif", f"{TAP}&offload=yes"]
    netns.run(sys.executable, "-m", "netstack", *words, check=True)
    server = running("serve", "--netif", TAP, "--root", str(tmp_path))
    assert netns.run("curl", "-sS", "-m", "5", f"http://{STACK}/", check=True).stdout == "here"
    assert server.end() == (0, "")


def test_the_small_servers_echo_discard_and_generate(netns, running):
    servers = running("smallservers", "--netif", TAP)
    assert "echo on 7 and discard on 9, TCP and UDP; character generator on 19, TCP" in servers.line
    assert talk(netns, TALK, STACK, 7, "echo") == "True\n"
    assert talk(netns, TALK, STACK, 9, "discard") == "b''\n"
    lines = talk(netns, TALK, STACK, 19, "generate").split("\n")
    ring = "".join(map(chr, range(32, 127))) * 2
    assert lines[:95] == [ring[n : n + 72] for n in range(95)]
    assert lines[95:190] == lines[:95]
    assert talk(netns, DATAGRAMS, STACK, 7).split() == ["0", "1", "1472", "9000"]
    assert servers.end() == (0, "")


def test_the_udp_echo_never_answers_another_small_service(netns, running):
    running("smallservers", "--netif", TAP)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        talk(netns, DATAGRAMS, STACK, 7, 19)
    assert "TimeoutError" in failed.value.stderr


def test_a_second_stack_on_the_tap_is_one_sentence_and_status_1(netns, running, tmp_path):
    running("serve", "--netif", TAP, "--root", str(tmp_path))
    done = netns.run(sys.executable, "-m", "netstack", "serve", "--netif", TAP, "--root", str(tmp_path))
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_device_that_is_taken_away_ends_the_service_with_a_sentence(netns, running, tmp_path):
    server = running("serve", "--netif", TAP, "--root", str(tmp_path))
    netns.run("ip", "link", "del", "nst0", check=True)
    _, err = server.process.communicate(timeout=20)
    assert server.process.returncode == 1
    assert "the device is gone" in err
    assert err.count("\n") == 1


def test_ping_reports_as_ping_does(netns):
    words = ["ping", KERNEL, "-c", "3", "-i", "0.05", "-s", "100", "--netif", TAP]
    done = netns.run(sys.executable, "-m", "netstack", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"PING {KERNEL} 100(128) bytes of data.\n")
    assert re.findall(rf"108 bytes from {KERNEL}: icmp_seq=(\d) time=[\d.]+ ms", done.stdout) == ["1", "2", "3"]
    assert "3 packets transmitted, 3 received, 0% packet loss" in done.stdout
    assert re.search(r"rtt min/avg/max/mdev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms", done.stdout)


def test_ping_of_nobody_says_so_for_each_and_exits_with_1(netns):
    words = ["ping", "10.79.0.77", "-c", "2", "-i", "0.1", "-W", "0.3", "--netif", TAP]
    done = netns.run(sys.executable, "-m", "netstack", *words)
    assert done.returncode == 1
    assert "icmp_seq=1" in done.stdout and "icmp_seq=2" in done.stdout
    assert "2 packets transmitted, 0 received, 100% packet loss" in done.stdout
    assert done.stderr == ""


def test_ping_ends_with_its_statistics_on_ctrl_c(running):
    ping = running("ping", KERNEL, "--netif", TAP, "-i", "0.05")
    ping.process.stdout.readline()
    ping.process.send_signal(signal.SIGINT)
    out, err = ping.process.communicate(timeout=20)
    assert ping.process.returncode == 0
    assert "packets transmitted" in out
    assert err == ""


def test_a_capture_and_faults_are_options_of_every_command(netns, tmp_path):
    capture = tmp_path / "ping.pcapng"
    words = ["ping", KERNEL, "-c", "1", "--netif", TAP, "--pcap", str(capture), "--fault", "delay=50ms"]
    done = netns.run(sys.executable, "-m", "netstack", *words)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"time=([\d.]+) ms", done.stdout)[1]) > 50
    assert capture.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert socket.inet_aton(KERNEL) + socket.inet_aton(STACK) in capture.read_bytes()
