"""IPv4, ICMP and UDP against the kernel's, over a tap."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HOST = str(Path(__file__).with_name("ip_udp_host.py"))
ENVIRONMENT = f"PYTHONPATH={':'.join(filter(None, sys.path))}"


@contextmanager
def host(netns: Any, task: str, *settings: str) -> Iterator["subprocess.Popen[str]"]:
    """The host of ip_udp_host.py; it ends when its standard input does."""
    program = [sys.executable, HOST, task]
    process = netns.start("env", ENVIRONMENT, *settings, *program, stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        line = process.stdout.readline()
        assert line == "ready\n", line + process.stdout.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def ending(process: "subprocess.Popen[str]") -> str:
    output, _ = process.communicate("\n", timeout=20)
    return output


ECHO_CLIENT = """
import random, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
for size in (0, 1, 2, 1471, 1472, 1473, 2960, 9000, 60000, 65507):
    data = random.Random(size).randbytes(size)
    s.sendto(data, ("10.79.0.2", 7))
    assert s.recvfrom(70000) == (data, ("10.79.0.2", 7)), size
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.79.0.1"))
s.sendto(b"group", ("239.1.2.3", 7))
assert s.recvfrom(99) == (b"group", ("10.79.0.2", 7))
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.sendto(b"all", ("10.79.0.255", 7))
assert s.recvfrom(99) == (b"all", ("10.79.0.2", 7))
s.connect(("10.79.0.2", 9))
s.send(b"nobody is there")
try:
    s.recv(99)
except ConnectionRefusedError:
    print("refused")
"""


@pytest.mark.needs("ping")
@pytest.mark.parametrize("size", [0, 1, 56, 1472, 1473, 60_000, 65_507])
def test_the_kernel_pings_us(netns: Any, size: int) -> None:
    with host(netns, "serve") as process:
        done = netns.run("ping", "-c", "3", "-i", "0.01", "-W", "2", "-s", str(size), "10.79.0.2")
        assert " 0% packet loss" in done.stdout, done.stdout + done.stderr + ending(process)


@pytest.mark.parametrize("offload", [0, 1])
def test_the_kernel_s_sockets_and_our_echo_port(netns: Any, offload: int) -> None:
    with host(netns, "serve", f"OFFLOAD={offload}") as process:
        done = netns.run(sys.executable, "-c", ECHO_CLIENT)
        output = ending(process)
        assert done.stdout == "refused\n", done.stderr + output
        assert "InCsumErrors" not in output and "InBadLength" not in output, output


def test_we_ping_the_kernel(netns: Any) -> None:
    with host(netns, "ping") as process:
        line = process.stdout.readline()
        assert line == "answers 0 1 1472 1473 60000\n", line + ending(process)


def test_the_kernel_says_that_a_port_is_unreachable(netns: Any) -> None:
    with host(netns, "refused") as process:
        line = process.stdout.readline()
        assert line == "error Refused 10.79.0.1 9\n", line + ending(process)


def test_a_neighbour_that_is_not_there_is_an_unreachable_host(netns: Any) -> None:
    with host(netns, "nobody") as process:
        line = process.stdout.readline()
        assert line == "error Unreachable 10.79.0.99 9\n", line + ending(process)
