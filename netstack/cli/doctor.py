"""`netstack doctor`: what this machine can do, and what to do about the rest."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import attrs

from .. import _build
from .namespace import may_configure_network


@attrs.frozen
class Check:
    """One question. `do` is what to do where the answer is not ok, else empty."""

    name: str
    ok: bool
    text: str
    do: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same for programs")


def run(args: argparse.Namespace) -> int:
    """Exit status 0 when all is ok, else 1."""
    checks = examine()
    good = all(check.ok for check in checks)
    if args.json:
        print(json.dumps({"ok": good, "checks": [attrs.asdict(check) for check in checks]}, indent=2))
        return 0 if good else 1
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{'ok    ' if check.ok else 'not ok'}  {check.name:<{width}}  {check.text}")
        if check.do:
            print(f"{'':<{width + 10}}-> {check.do}")
    return 0 if good else 1


def examine() -> list[Check]:
    """All checks, in the order of a reader's questions."""
    questions: list[Callable[[], list[Check]]] = [python, build, tun_device, privilege, devices, ip_command, clock]
    return [check for question in questions for check in question()]


def python() -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return [Check("python", good, f"{sys.implementation.name} {version}", "" if good else "install Python 3.11 or newer")]


def build() -> list[Check]:
    info = _build.build_info()
    if info.build == "compiled":
        return [Check("build", True, "compiled by Cython")]
    if _build.wants_pure():
        return [Check("build", True, "pure Python, as NETSTACK_PURE asks")]
    advice = "install a C compiler and the headers of this Python, then reinstall; NETSTACK_CYTHON=require says what is missing"
    return [Check("build", False, "pure Python: it works, at about half the speed in bulk and a quarter in packets", advice)]


def tun_device() -> list[Check]:
    path = "/dev/net/tun"
    if not os.path.exists(path):
        advice = "sudo modprobe tun; a container needs --device /dev/net/tun"
        return [Check(path, False, "is missing", advice)]
    if not os.access(path, os.R_OK | os.W_OK):
        return [Check(path, False, "may not be opened by this user", "sudo chmod 666 /dev/net/tun")]
    return [Check(path, True, "can be opened")]


def privilege() -> list[Check]:
    if may_configure_network():
        return [Check("CAP_NET_ADMIN", True, "this process may make and configure devices")]
    advice = (
        "make a device once: sudo ip tuntap add dev tap0 mode tap user $USER && sudo ip addr add 10.79.0.1/24 dev tap0"
        " && sudo ip link set tap0 up; or live in a namespace of your own: netstack demo --mode rootless"
    )
    return [Check("CAP_NET_ADMIN", False, "this process may not make devices here", advice)]


def devices() -> list[Check]:
    """In a process of its own, since a namespace once entered can't be left."""
    rootless = try_namespace("--user")
    found = try_namespace() if may_configure_network() else rootless
    refused, tap, offload = rootless["namespace"], found["tap"], found["offload"]
    return [
        Check(
            "user namespaces",
            not refused,
            refused or "can be made without root",
            refused and "sudo sysctl -w user.max_user_namespaces=10000; in a container, allow unshare",
        ),
        Check("tap", not tap, tap or "can be made in a namespace", tap and "see what else is not ok"),
        Check(
            "offloads",
            not offload,
            offload or "the device takes checksums and super-segments",
            offload and "bulk transfer is slower without; see what else is not ok",
        ),
    ]


def try_namespace(*arguments: str) -> dict[str, str]:
    """What the probe in `namespace.py` found."""
    command = [sys.executable, "-m", "netstack.cli.namespace", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    try:
        found: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        found = {"namespace": f"the probe failed: {reason}", "tap": "not tried", "offload": "not tried"}
    return found


def ip_command() -> list[Check]:
    path = shutil.which("ip")
    if path:
        return [Check("ip command", True, path)]
    return [Check("ip command", False, "is not installed", "install iproute2, to look at and to set up devices by hand")]


def clock() -> list[Check]:
    """Retransmission and pacing want a clock of a fraction of a millisecond, and a wake-up not much later than asked for."""
    resolution = time.get_clock_info("monotonic").resolution
    late = []
    for _ in range(20):
        started = time.monotonic_ns()
        time.sleep(0.001)
        late.append(time.monotonic_ns() - started - 1_000_000)
    median = sorted(late)[len(late) // 2] / 1e6
    good = resolution <= 0.001 and median < 20
    text = f"resolution {resolution * 1e9:.0f} ns, wakes up {median:.2f} ms late"
    advice = "" if good else "timers fire late: look for a busy machine, or a coarse timer in a virtual one"
    return [Check("clock", good, text, advice)]
