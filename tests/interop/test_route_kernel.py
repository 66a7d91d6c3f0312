"""`netstack-tap route` between two hosts that are the kernel's, each in a namespace of its own, over two taps."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAN, A = "192.168.1.1", "192.168.1.10"
WAN, W = "203.0.113.2", "203.0.113.1"


class Lab:
    """The host inside is the namespace itself; the world is another one within."""

    def __init__(self, netns, folder, *options, lan="", wan=""):
        self.netns = netns
        self.started = []
        self.router = self.start(
            sys.executable, "-m", "netstack.cli.tapping.route", f"lan=tap:lan0?address={LAN}/24&up=no{lan}",
            f"wan=tap:wan0?address={WAN}/24&gateway={W}&up=no{wan}", "-j", "--stats", "1000", *options,
        )  # fmt: skip
        assert json.loads(self.router.stdout.readline())["devices"] == ["lan", "wan"]
        world = self.start("unshare", "-n", "cat", stdin=subprocess.PIPE)
        self.world = ("nsenter", "-t", str(world.pid), "-n")
        deadline = time.monotonic() + 10
        ours = netns.run("readlink", "/proc/self/ns/net").stdout
        while netns.run("readlink", f"/proc/{world.pid}/ns/net").stdout == ours:
            assert time.monotonic() < deadline, "the world has no namespace"
        netns.run("ip", "link", "set", "wan0", "netns", str(world.pid), check=True)
        self.set_up((), "lan0", A, LAN)
        self.set_up(self.world, "wan0", W, None)
        netns.run(*self.world, "ip", "route", "add", "192.168.1.0/24", "via", WAN, check=True)  # it knows more than it should
        self.serve((), folder)
        self.serve(self.world, folder)

    def set_up(self, where, device, address, gateway):
        for words in (f"addr add {address}/24 dev {device}", f"link set {device} up", "link set lo up"):
            self.netns.run(*where, "ip", *words.split(), check=True)
        if gateway:
            self.netns.run(*where, "ip", "route", "add", "default", "via", gateway, check=True)

    def start(self, *command, **options):
        process = self.netns.start(*command, cwd=ROOT, **options)
        self.started.append(process)
        return process

    def serve(self, where, folder):
        server = self.start(*where, sys.executable, "-u", "-m", "http.server", "8000", "--directory", str(folder))
        assert "Serving" in server.stdout.readline()

    def fetch(self, where, url, *options):
        """The digest of what curl gets."""
        command = f"curl -sS --max-time 20 {' '.join(options)} {url} | sha256sum"
        return self.netns.run(*where, "sh", "-c", command, timeout=30).stdout.split()[0]

    def figures(self):
        """What the router says at its end."""
        self.router.send_signal(signal.SIGTERM)
        out, err = self.router.communicate(timeout=20)
        assert (self.router.returncode, err) == (0, "")
        return json.loads(out.splitlines()[-1])

    def close(self):
        for process in reversed(self.started):
            process.kill()
            process.communicate()


@pytest.mark.needs("ip", "curl", "ping", "unshare", "nsenter")
@pytest.mark.parametrize("plain", ["", "&offload=no", "&offload=no&gso=no&gro=no&mtu=1000"])
def test_kernels_meet_through_nat_whatever_the_devices_can(netns, tmp_path, plain):
    data = bytes(range(256)) * 16_000
    (tmp_path / "file").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    lab = Lab(netns, tmp_path, "--nat", "--forward", f"tcp:80={A}:8000", wan=plain)
    try:
        assert lab.fetch((), f"http://{W}:8000/file") == digest
        assert lab.fetch(lab.world, f"http://{WAN}/file") == digest
        if not plain:
            assert lab.fetch((), f"http://{WAN}/file") == digest  # by the outside address, and back
            hop = lab.netns.run("ping", "-c", "1", "-W", "5", "-t", "1", W).stdout
            assert f"From {LAN}" in hop
            assert "Time to live exceeded" in hop
            assert "1 received" in lab.netns.run("ping", "-c", "1", "-W", "5", "-s", "4000", W).stdout  # fragments
            unreachable = lab.netns.run(*lab.world, "ping", "-c", "1", "-W", "1", A).stdout
            assert "0 received" in unreachable
        if "mtu" in plain:
            assert "mtu = 1000" in lab.netns.run("ping", "-c", "1", "-W", "5", "-M", "do", "-s", "1200", W).stdout
        shown = lab.figures()
        assert shown["forward"]["ForwOctets"] > 2 * len(data)
        assert shown["conntrack"]["Insert"] >= 2
        assert not set(shown["forward"]) & {"InBadOffload", "OutTooLong", "InMartians"}
    finally:
        lab.close()
