"""Our DHCP server with busybox's and ISC's clients, our client with dnsmasq."""

import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.once, pytest.mark.needs_tap]

HERE = Path(__file__).parent
TOLD = (
    '#!/bin/sh\necho "[$reason$1]"\nenv | grep -E "^(ip|subnet|mask|router|dns|domain|search|mtu|lease|staticroutes|new_)" | sort\n'
)


def environment():
    root = HERE.parents[1]
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'backends'}", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


@pytest.fixture
def tap(netns):
    netns.run("ip", "tuntap", "add", "tap0", "mode", "tap", check=True)
    netns.run("ip", "link", "set", "tap0", "up", check=True)
    return netns


@pytest.fixture
def server(tap):
    """The server, and what it printed when it is ended."""
    process = tap.start(sys.executable, str(HERE / "dhcp_host.py"), "server", stdin=subprocess.PIPE, env=environment())
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate(timeout=20)
    assert process.returncode == 0


def script(tmp_path):
    path = tmp_path / "told"
    path.write_text(TOLD)
    path.chmod(0o755)
    return str(path)


def end_daemon(pid_file):
    """dhclient's command ends when it has forked, and the daemon writes its number after that."""
    deadline = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline, f"nobody wrote {pid_file}"
        time.sleep(0.01)
    process = int(pid_file.read_text())
    os.kill(process, signal.SIGTERM)
    while runs(process):  # the second client must not meet the first
        assert time.monotonic() < deadline, "dhclient does not end"
        time.sleep(0.01)
    pid_file.unlink(missing_ok=True)


def runs(process):
    """Not so once it has ended, even where nobody asks for its status."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.needs("udhcpc")
def test_busyboxs_client_is_served(tap, server, tmp_path):
    command = ["udhcpc", "-i", "tap0", "-n", "-q", "-t", "3", "-T", "1", "-x", "hostname:box", "-s", script(tmp_path)]
    done = tap.run(*command, "-O", "mtu", "-O", "staticroutes", "-O", "search")
    assert done.returncode == 0, done.stderr
    for line in (
        "ip=10.0.2.100",
        "subnet=255.255.255.0",
        "dns=10.0.2.3",
        "domain=lan",
        "mtu=1400",
        "lease=3600",
        "search=lan example.org",
    ):
        assert f"\n{line}\n" in done.stdout, done.stdout
    assert "staticroutes=0.0.0.0/0 10.0.2.2 10.9.0.0/16 10.0.2.9" in done.stdout
    assert server.stdout.readline() == "10.0.2.100 box bound\n"


@pytest.mark.needs("dhclient")
def test_iscs_client_is_served_and_remembers(tap, server, tmp_path):
    leases, pid = tmp_path / "leases", tmp_path / "pid"
    config = tmp_path / "dhclient.conf"
    config.write_text(
        'send host-name "isc";\nrequest subnet-mask, routers, domain-name-servers, domain-search, interface-mtu;\ntimeout 10;\n'
    )
    command = [
        "dhclient",
        "-4",
        "-1",
        "-v",
        "-sf",
        script(tmp_path),
        "-cf",
        str(config),
        "-lf",
        str(leases),
        "-pf",
        str(pid),
        "tap0",
    ]
    for _ in range(2):
        done = tap.run(*command)
        assert done.returncode == 0, done.stderr
        assert server.stdout.readline() == "10.0.2.100 isc bound\n"
        for line in (
            "new_ip_address=10.0.2.100",
            "new_routers=10.0.2.2",
            "new_interface_mtu=1400",
            "new_domain_search=lan. example.org.",
        ):
            assert line in done.stdout, done.stdout
        end_daemon(pid)
    assert "DHCPDISCOVER" not in done.stderr  # the second time it asks for what it had


@pytest.mark.needs("dnsmasq")
def test_our_client_is_served_by_dnsmasq(tap, tmp_path):
    tap.run("ip", "address", "add", "10.79.0.1/24", "dev", "tap0", check=True)
    options = ["option:router,10.79.0.1", "option:dns-server,10.79.0.53", "option:mtu,1300", "option:domain-search,lan,example.org"]
    options.append("option:classless-static-route,0.0.0.0/0,10.79.0.1,10.9.0.0/16,10.79.0.9")
    dnsmasq = tap.start(
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=tap0", "--bind-interfaces", "--user=root",
        "--dhcp-range=10.79.0.50,10.79.0.60,255.255.255.0,1h", f"--dhcp-leasefile={tmp_path}/leases", "--domain=lan", "--log-dhcp",
        "--dhcp-authoritative", "--no-ping", "--pid-file=", *(f"--dhcp-option={each}" for each in options),
    )  # fmt: skip
    try:
        done = tap.run(sys.executable, str(HERE / "dhcp_host.py"), "client", timeout=40)
    finally:
        dnsmasq.terminate()
        _, log = dnsmasq.communicate(timeout=10)
    assert done.returncode == 0, done.stderr + log
    said = json.loads(done.stdout)
    address = ipaddress.ip_interface(said["addresses"][0])
    assert ipaddress.ip_address("10.79.0.50") <= address.ip <= ipaddress.ip_address("10.79.0.60")
    assert address.network == ipaddress.ip_network("10.79.0.0/24")
    assert (said["dns"], said["search"], said["domain"], said["mtu"]) == (["10.79.0.53"], ["lan", "example.org"], "lan", 1300)
    assert said["routes"][0] == "10.79.0.0/24 on the link, interface 0"
    assert set(said["routes"][1:]) == {"10.9.0.0/16 by 10.79.0.9, interface 0", "0.0.0.0/0 by 10.79.0.1, interface 0"}
    assert "DHCPRELEASE(tap0)" in log
