"""A guest with a kernel of its own behind a router: what it does reaches the host's sockets, and comes back."""

import os
import sys
from pathlib import Path

import pytest

from tests.netns import Namespace

pytestmark = [pytest.mark.needs_tap, pytest.mark.needs("ip"), pytest.mark.timeout(60)]
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def test_streams_datagrams_and_refusals_of_a_guest_are_those_of_the_host(netns: Namespace) -> None:
    guest = Namespace()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}"}
    netns.run("ip", "link", "set", "lo", "mtu", "1280", check=True)
    router = netns.start(sys.executable, str(HERE / "router_host.py"), stdin=-1, env=environment)
    try:
        assert router.stdout is not None and router.stdout.readline() == "ready\n"
        netns.run("ip", "link", "set", "tap0", "netns", str(guest.holder.pid), check=True)
        for words in (("address", "add", "10.0.2.100/24", "dev", "tap0"), ("link", "set", "tap0", "up")):
            guest.run("ip", *words, check=True)
        guest.run("ip", "route", "add", "default", "via", "10.0.2.2", check=True)
        said = guest.run(sys.executable, str(HERE / "router_guest.py"), "10.0.2.2")
        assert (said.stdout, said.returncode) == ("well\n", 0), said.stderr
        out, errors = router.communicate("\n", timeout=20)
        assert "'TcpFlows': 102" in out and "'TcpRefused': 1" in out and "'Denied': 1" in out, out
        assert errors == ""
    finally:
        router.kill()
        router.communicate()
        guest.close()
