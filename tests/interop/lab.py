"""A laboratory for the real kernel: a network namespace of its own with a tap in it, and our stack at the other end.

The kernel is 10.79.0.1, the stack 10.79.0.2. Everything runs inside the namespace and is gone with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

KERNEL = "10.79.0.1"
STACK = "10.79.0.2"
ROOT = Path(__file__).resolve().parents[2]


class Failed(AssertionError):
    """A command in the laboratory ended badly; the text holds what it printed."""


def sh(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


class Service:
    """A `netstack` command that runs in the laboratory."""

    def __init__(self, lab: Lab, words: Sequence[str]) -> None:
        self.words = words
        command = [*lab.inside, sys.executable, "-m", "netstack", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=lab.environment())
        self.greeting = self._first_line(30)

    def _first_line(self, timeout: float) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.process.kill()
            _, errors = self.process.communicate()
            raise Failed(f"netstack {' '.join(self.words)} said nothing in {timeout} s: {errors}")
        return line.strip()

    def memory(self) -> int:
        """Resident bytes. `ip netns exec` execs, so the process that was started is the service itself."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failed("the service is gone")

    def stop(self) -> tuple[int, str]:
        """SIGTERM; gives the exit code and what stood on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            _, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
            raise Failed(f"netstack {' '.join(self.words)} did not end on SIGTERM: {errors}") from None
        return self.process.returncode, errors


class Lab:
    """The namespace. `lab.run("ping", …)` is the kernel's side, `lab.service("serve", …)` ours."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.inside = ("ip", "netns", "exec", name)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}", "PYTHONUNBUFFERED": "1"}

    def run(self, *words: str, timeout: float = 60, check: bool = True) -> str:
        """Run a command in the namespace, give its output."""
        done = subprocess.run([*self.inside, *words], capture_output=True, text=True, timeout=timeout, env=self.environment())
        if check and done.returncode:
            raise Failed(f"{' '.join(words)[:300]} exited with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def python(self, program: str, *args: str, timeout: float = 60) -> str:
        """Run a Python program in the namespace: a peer on the kernel's own sockets."""
        return self.run(sys.executable, "-c", program, *args, timeout=timeout)

    @contextlib.contextmanager
    def service(self, *words: str) -> Iterator[Service]:
        """A netstack command on the laboratory's tap; it must end cleanly."""
        options = ("--netif", "tap:tap0", "--address", f"{STACK}/24", "--gateway", KERNEL)
        service = Service(self, (words[0], *options, *words[1:]))
        try:
            yield service
        except BaseException:
            with contextlib.suppress(Exception):
                print(f"the service's stderr: {service.stop()[1][-3000:]}")
            raise
        code, errors = service.stop()
        assert code == 0, f"exit code {code}: {errors}"
        assert "Traceback" not in errors, errors

    def wait(self, seconds: float) -> None:
        """Real time: the kernel's clock can't be driven."""
        time.sleep(seconds)


@contextlib.contextmanager
def laboratory() -> Iterator[Lab]:
    lab = Lab(f"nst-{os.getpid()}-{time.monotonic_ns() % 100000}")
    sh("ip", "netns", "add", lab.name)
    try:
        lab.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        sh("ip", "-n", lab.name, "link", "set", "lo", "up")
        sh(*lab.inside, "ip", "tuntap", "add", "dev", "tap0", "mode", "tap")
        sh("ip", "-n", lab.name, "link", "set", "tap0", "up")
        sh("ip", "-n", lab.name, "addr", "add", f"{KERNEL}/24", "dev", "tap0")
        lab.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
        yield lab
    finally:
        sh("ip", "netns", "del", lab.name)
