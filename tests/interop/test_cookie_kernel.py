"""The kernel as the peer of SYN cookies: what it asked for in its SYN is there afterwards, though nobody remembered it."""

import subprocess
import sys
from pathlib import Path

import pytest
from lab import Lab, laboratory

pytestmark = [pytest.mark.needs_tap, pytest.mark.timeout(120)]

HOST = str(Path(__file__).with_name("cookie_host.py"))

# TCP_INFO: byte 5 holds the options that were agreed upon (1 timestamps, 2 SACK, 4 window scale), byte 6 both scales
CLIENT = """
import random, socket, sys, threading
for turn in range(20):
    s = socket.create_connection(("10.79.0.2", 7), timeout=20)
    info = s.getsockopt(socket.IPPROTO_TCP, 11, 32)
    data = random.Random(turn).randbytes(500_000)
    threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()
    got = bytearray()
    while piece := s.recv(65536):
        got += piece
    assert got == data, (turn, len(got))
    print(info[5] & 7, info[6] & 15, info[6] >> 4)
"""


@pytest.mark.parametrize(("timestamps", "options"), [(1, "7"), (0, "0")])
def test_the_kernel_notices_nothing_of_cookies_but_what_has_no_room(timestamps: int, options: str) -> None:
    """RFC 4987 3.6: with timestamps all of its options, without them none."""
    with laboratory() as lab:
        lab.run("sysctl", "-qw", f"net.ipv4.tcp_timestamps={timestamps}")
        sent, received, failed, opened, told = exchange(lab)
    assert sent >= received == opened == 20 and failed == 0
    assert len(told) == 20
    for line in told:
        agreed, ours, _ = line.split()
        assert agreed == options and (ours != "0") == (options == "7")


def exchange(lab: Lab) -> tuple[int, int, int, int, list[str]]:
    """The host's counters, and what the client said."""
    command = [*lab.inside, sys.executable, HOST]
    host = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=lab.environment())
    try:
        assert host.stdout is not None and host.stdout.readline() == "ready\n"
        told = lab.python(CLIENT).splitlines()
        output, _ = host.communicate("", timeout=20)
    finally:
        host.kill()
        host.wait()
    sent, received, failed, opened = map(int, output.split())
    return sent, received, failed, opened, told
