"""The networks that this machine is in, and who may have other names looked up because of them."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import sys

import pytest
from netstack_sockets.networks import attached

import netstack
from netstack.dns.serve.server import DnsServer

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")


@LINUX
def test_the_networks_are_those_of_the_interfaces() -> None:
    found = attached()
    assert ipaddress.ip_network("127.0.0.0/8") in found and len(set(found)) == len(found)


@LINUX
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip")
def test_they_are_those_that_ip_shows() -> None:
    shown = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    wanted = {ipaddress.ip_interface(words[3]).network for line in shown.splitlines() if "/" in (words := line.split())[3]}
    assert set(attached()) == wanted


@LINUX
def test_a_server_on_the_kernels_net_knows_them() -> None:
    async def main() -> None:
        async with netstack.open("posix:") as net, DnsServer(net, net) as server:
            await server.listen(0, "127.0.0.1")
            assert all(str(each) in server.desk.recursion.texts for each in attached())
            assert "240.0.0.1" not in server.desk.recursion
        async with netstack.open("posix:?address=127.0.0.5") as net:
            assert net.networks == ["127.0.0.0/8"]

    netstack.run(main())
