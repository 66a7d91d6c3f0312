"""A world with servers, a host, and two guests of it: one behind a router of ours, one behind the kernel's own.

    guest ── tap ── netstack-tap ┐
                               host ── veth ── world ── what lies beyond
    other ── veth ── the kernel ─┘

What a program finds as `guest` is what it finds as `other`. Only root can put a veth between two namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from netns import Namespace

WORLD = "203.0.113.9"
ROUTER = [sys.executable, "-W", "error", "-m", "netstack.cli.tap"]
# beyond the world: nobody, told in each of the ways in which the kernel can tell
BEYOND = {"unreachable": "192.88.78.0/24", "prohibit": "192.88.79.0/24", "blackhole": "192.88.80.0/24"}
RULES = """
table ip lab { chain input { type filter hook input priority 0;
    meta l4proto { tcp, udp } th dport 7 drop
    meta l4proto { tcp, udp } th dport 8 reject with icmp type port-unreachable
    meta l4proto { tcp, udp } th dport 10 reject with icmp type host-prohibited
    meta l4proto { tcp, udp } th dport 11 reject with icmp type admin-prohibited
    meta l4proto { tcp, udp } th dport 12 reject with icmp type net-prohibited
    }
}
"""


def missing() -> str:
    """What keeps us from making one; an empty string when nothing does."""
    return "" if os.geteuid() == 0 else "veths between namespaces take root: run as root"


class Lab:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closing = contextlib.ExitStack()
        self.host, self.world, self.guest, self.other = (self._namespace() for _ in range(4))
        self.names = {self.guest: "10.0.2.3", self.other: WORLD}
        self.router: subprocess.Popen[str] | None = None

    def _namespace(self) -> Namespace:
        made = Namespace()
        self.closing.callback(made.close)
        return made

    def lay(self) -> None:
        """The cables."""
        for near, far, space, wide, to in (
            ("wan", "203.0.113.1/24", self.world, f"{WORLD}/24", "203.0.113.1"),
            ("lan", "10.9.0.1/24", self.other, "10.9.0.2/24", "10.9.0.1"),
        ):
            self.ip(self.host, f"link add {near} type veth peer name eth0 netns {space.holder.pid}")
            for where, name, address in ((self.host, near, far), (space, "eth0", wide)):
                self.ip(where, f"address add {address} dev {name}")
                self.ip(where, f"link set {name} up")
            self.ip(space, f"route add {'default' if space is self.other else '10.9.0.0/24'} via {to}")
        self.ip(self.host, f"route add default via {WORLD}")
        self.ip(self.world, "link add far type veth peer name end")
        self.ip(self.world, "link set far up")
        self.ip(self.world, "route add 192.88.81.0/24 dev far")
        for kind, network in BEYOND.items():
            self.ip(self.world, f"route add {kind} {network}")
        for space in (self.host, self.world):
            settings = ("ip_forward=1", "icmp_ratemask=0", "conf.all.send_redirects=0")
            space.run("sysctl", "-qw", *(f"net.ipv4.{each}" for each in settings), check=True)
        self.host.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647", check=True)

    def ip(self, space: Namespace, words: str) -> None:
        space.run("ip", *words.split(), check=True)

    def route(self, *words: str) -> None:
        """Have the router at work, for `guest`."""
        ready, tell = os.pipe()
        command = [*ROUTER, "--netns", str(self.guest.holder.pid), "--config-net", "-q", "-D", WORLD, *words]
        path = os.pathsep.join(filter(None, sys.path))
        self.router = self.host.start("env", f"PYTHONPATH={path}", *command, "-r", str(tell), pass_fds=(tell,))
        os.close(tell)
        with open(ready, "rb") as file:
            assert file.read() == b"1", self.router.communicate()[1]

    @contextlib.contextmanager
    def server(self, *command: str, ready: str) -> Iterator[subprocess.Popen[str]]:
        """One of the world's. `ready` is a line that it says, or a port on which it listens then, as "tcp:80"."""
        listens = ready.startswith(("tcp:", "udp:"))
        out = subprocess.DEVNULL if listens else subprocess.PIPE  # a pipe would be open as long as children of it are
        process = self.world.start(*command, stdout=out, stderr=subprocess.DEVNULL, cwd=self.folder)
        try:
            if listens:
                wait = f"until ss -Hlan{ready[0]} 'sport = {ready[3:]}' | grep -q .; do sleep 0.05; done"
                self.world.run("sh", "-c", wait, timeout=20)
            else:
                assert process.stdout is not None and process.stdout.readline() == f"{ready}\n"
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)

    def run(self, space: Namespace, script: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A script of the shell, where names are asked as that guest asks them."""
        conf = self.folder / f"resolv.{self.names[space]}"
        conf.write_text(f"nameserver {self.names[space]}\n")
        own = f"mount --bind {shlex.quote(str(conf))} /etc/resolv.conf && cd {shlex.quote(str(self.folder))} && {script}"
        return space.run("unshare", "--mount", "sh", "-c", own, timeout=timeout)

    def both(self, script: str, timeout: float = 60) -> str:
        """What it prints, which is the same on both sides; as is its status."""
        kernel, ours = (self.run(space, script, timeout) for space in (self.other, self.guest))
        assert (ours.stdout, ours.returncode) == (kernel.stdout, kernel.returncode), (ours, kernel)
        return ours.stdout

    def close(self) -> None:
        try:
            if self.router is not None:
                self.router.send_signal(signal.SIGTERM)
                _, errors = self.router.communicate(timeout=20)
                assert (errors, self.router.returncode) == ("", 0)
        finally:
            if self.router is not None and self.router.poll() is None:
                self.router.kill()
                self.router.communicate()
            self.closing.close()


@contextlib.contextmanager
def lab(folder: Path, *words: str) -> Iterator[Lab]:
    made = Lab(folder)
    try:
        made.lay()
        made.route(*words)
        yield made
    finally:
        made.close()


def authority(folder: Path, name: str) -> None:
    """ca.pem, and site.pem with site.key for `name`."""
    if shutil.which("openssl") is None:
        raise FileNotFoundError("openssl")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    commands = [
        [*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=lab", "-addext", "basicConstraints=critical,CA:TRUE"],
        [*new, "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "site.key", "-out", "site.pem", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE"],
    ]  # fmt: skip
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
