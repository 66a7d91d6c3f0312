"""IPv4, ICMP and UDP against the kernel's, over a tap."""

import re
import subprocess
import sys
import time
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


SEGMENTED_CLIENT = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.79.0.2", 7))
s.send(b"find the neighbour first")
s.recv(100)
s.settimeout(10)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
data = bytes(range(250)) * 160
s.send(data)
got = [s.recv(2000) for _ in range(40)]
assert b"".join(got) == data and {len(piece) for piece in got} == {1000}
print("as it was sent")
"""
MANY_SERVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5000))
s.settimeout(10)
got = [s.recv(2000) for _ in range(50)]
assert b"".join(got) == bytes(range(250)) * 200 and {len(piece) for piece in got} == {1000}
print("as it was sent")
"""


def counted(name: str, output: str) -> int:
    found = re.search(rf"'{name}': (\d+)", output)
    assert found, output
    return int(found[1])


@pytest.mark.parametrize(("offload", "one_by_one"), [("no", 1), ("csum", 1), ("csum,tso4,uso", 0)])
def test_datagrams_that_the_kernel_sends_in_one_unit(netns: Any, offload: str, one_by_one: int) -> None:
    with host(netns, "serve", f"OFFLOAD={offload}") as process:
        done = netns.run(sys.executable, "-c", SEGMENTED_CLIENT)
        output = ending(process)
        assert done.stdout == "as it was sent\n", done.stderr + output
        assert counted("InDatagrams", output) == 41
        assert counted("InFrames", output) // 40 == one_by_one


@pytest.mark.parametrize(("offload", "one_by_one"), [("no", 1), ("csum", 1), ("csum,tso4,uso", 0)])
def test_datagrams_that_we_send_in_one_unit(netns: Any, offload: str, one_by_one: int) -> None:
    server = netns.start(sys.executable, "-c", MANY_SERVER)
    time.sleep(0.5)
    with host(netns, "many", f"OFFLOAD={offload}") as process:
        out, err = server.communicate(timeout=20)
        output = ending(process)
        assert out == "as it was sent\n", err + output
        assert counted("OutFrames", output) // 50 == one_by_one


@pytest.mark.parametrize("offload", ["no", "yes"])
def test_the_kernel_s_sockets_and_our_echo_port(netns: Any, offload: str) -> None:
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
