"""What a case is given: connections to Xen, virtual interfaces that the kernel's netback serves, and a shell.

A case is a function with `@case`, of one argument, a `Bench`; what it leaves behind is taken away after it.
"""

import contextlib
import faulthandler
import itertools
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from netstack_xen.libxen import LibXen
from netstack_xen.simulated import toolstack

Case = Callable[["Bench"], None]
CASES: list[tuple[Case, int]] = []
NUMBERS = itertools.count()  # of interfaces: none is used twice, so that nothing is left of an earlier case's


def case(function: Case) -> Case:
    CASES.append((function, 60))
    return function


def lasting(seconds: int) -> "Callable[[Case], Case]":
    """A case that may take longer than a minute."""

    def add(function: Case) -> Case:
        CASES.append((function, seconds))
        return function

    return add


def say(*words: object) -> None:
    print("@@ ", *words, flush=True)


def until(true: "Callable[[], object]", what: str, seconds: float = 20.0) -> None:
    """Wait for the kernel or another program, which can't be asked to tell."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.02)


class Vif:
    """An interface of this domain whose other end is the kernel's: `device` there, with the address `peer`; `ours` is for us."""

    def __init__(self, bench: "Bench", *, mac: str = "00:16:3e:00:00:01", ready: bool = True) -> None:
        self.handle = next(NUMBERS)
        self.device = f"vif0.{self.handle}"
        self.peer, self.ours = f"10.99.{self.handle}.1", f"10.99.{self.handle}.2"
        self.bench = bench
        self.folders = toolstack.add_vif(bench.tools.store, 0, self.handle, mac=mac, hotplug=False)
        bench.stack.callback(self.remove)
        if ready:
            self.ready()

    def ready(self) -> None:
        """What the hotplug script does."""
        ipv6 = Path(f"/proc/sys/net/ipv6/conf/{self.device}/disable_ipv6")  # the last of it that the kernel makes
        until(ipv6.exists, f"{self.device} appears")
        ipv6.write_text("1")
        self.bench.shell(f"ip addr add {self.peer}/24 dev {self.device} && ip link set {self.device} up")
        toolstack.hotplug(self.bench.tools.store, self.folders)

    def spec(self, **options: object) -> str:
        words = "&".join(f"{key}={value}" for key, value in {"address": f"{self.ours}/24", **options}.items())
        return f"xen:{self.handle}?{words}"

    def states(self) -> "tuple[str | None, str | None]":
        """The front end's, and the back end's."""
        store = self.bench.tools.store
        return store.read(f"{self.folders.frontend}/state"), store.read(f"{self.folders.backend}/state")

    def counter(self, name: str) -> int:
        """Of the kernel's end: what it receives is what we send."""
        return int(Path(f"/sys/class/net/{self.device}/statistics/{name}").read_text())

    def remove(self) -> None:
        toolstack.remove_vif(self.bench.tools.store, self.folders)
        until(lambda: not Path("/sys/class/net", self.device).exists(), f"{self.device} disappears")


class Bench:
    """All that one case has open."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()

    def open(self) -> LibXen:
        hypervisor = LibXen()
        self.stack.callback(hypervisor.close)
        return hypervisor

    @cached_property
    def tools(self) -> LibXen:
        return self.open()

    def vif(self, **options: object) -> Vif:
        self.tools  # noqa: B018  # opened first, so closed after the interface
        return Vif(self, **options)  # type: ignore[arg-type]  # handed on

    def shell(self, command: str, good: bool = True) -> str:
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50)
        assert not good or done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout.strip()


def complain(name: str) -> None:
    print(f"@@FAILED {name}", flush=True)
    traceback.print_exc()
    for command in ("dmesg | tail -40", "xl dmesg | tail -20", "xenstore-ls -f /local/domain | grep -E 'vif|error' | head -80"):
        subprocess.run(command, shell=True, stdout=sys.stdout, stderr=subprocess.STDOUT, timeout=20)
    sys.stdout.flush()
    sys.stderr.flush()


def attempt(function: Case, seconds: int) -> bool:
    seconds *= int(os.environ.get("XEN_PATIENCE", "1"))

    def late(number: int, frame: object) -> None:
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError(f"not over after {seconds} s")

    bench = Bench()
    began = time.monotonic()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        with bench.stack:
            function(bench)
    except Exception:
        complain(function.__name__)
        return False
    finally:
        signal.alarm(0)
    say(f"passed in {time.monotonic() - began:.1f} s: {function.__name__.replace('_', ' ')}")
    return True
