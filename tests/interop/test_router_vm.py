"""A virtual machine whose only network is netstack-tap: its lease over `-netdev stream`, names, and a file from the world.

A kernel under software emulation takes seconds to start, so one start proves all of it.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import vm
from netns import Namespace

pytestmark = [pytest.mark.once, pytest.mark.needs_tap]
FILE = hashlib.sha512(b"a file").digest() * 16384  # a MiB

SCRIPT = """
udhcpc -i eth0 -s /bin/lease -O mtu -n -q -t 5 2>/dev/null && echo LEASED
nslookup site.test 10.0.2.3 2>/dev/null | grep -A1 site.test | grep -c 10.0.2.2
wget -q -O /tmp/file http://site.test:8000/file && md5sum /tmp/file
ping -c 1 10.0.2.2 | grep -c '1 packets received'
"""


@pytest.fixture
def site(netns: Namespace, tmp_path: Path) -> Iterator[None]:
    """A web server on the loopback of the namespace that is the host."""
    (tmp_path / "file").write_bytes(FILE)
    server = netns.start(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), "8000")
    yield
    server.terminate()
    server.communicate()


@pytest.mark.skipif(bool(vm.missing()), reason=vm.missing() or "all is there")
@pytest.mark.timeout(180)
def test_a_cloud_kernel_gets_its_lease_and_fetches_a_file(netns: Namespace, site: None, tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    ready, tell = os.pipe()
    inside = ["env", f"PYTHONPATH={os.pathsep.join(filter(None, sys.path))}", sys.executable, "-W", "error", "-m"]
    options = [
        "--map-host-loopback",
        "--hosts",
        "site.test=10.0.2.2",
        "--ready-fd",
        str(tell),
        "--pcap",
        str(tmp_path / "x.pcapng"),
    ]
    router = netns.start(*inside, "netstack.cli.tap", f"qemu:{path},server", *options, pass_fds=(tell,))
    os.close(tell)
    assert os.read(ready, 1) == b"1", router.communicate()[1]
    os.close(ready)
    guest = vm.start(tmp_path, SCRIPT, f"stream,id=n,server=off,addr.type=unix,addr.path={path}")
    said, _ = guest.communicate(timeout=150)
    router.terminate()
    _, errors = router.communicate(timeout=20)
    assert "LEASE 10.0.2.100/24 router 10.0.2.2 dns 10.0.2.3 mtu 1500" in said, said + errors
    assert "LEASED" in said and f"{hashlib.md5(FILE).hexdigest()}  /tmp/file" in said, said + errors
    assert said.count("\n1\n") + said.count("\n1\r\n") == 2 and router.returncode == 0, said + errors
