"""What a case is given: connections to Xen, virtual interfaces that the kernel's netback serves, and a shell.

A case is a function with `@case`, of one argument, a `Bench`; what it leaves behind is taken away after it.
"""

import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from netstack_xen.libxen import LibXen
from netstack_xen.simulated import toolstack

Case = Callable[["Bench"], None]
CASES: list[tuple[Case, int]] = []
STARTED = time.monotonic()
OURS, KERNELS = "10.99.0.2", "10.99.0.1"


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


class Bench:
    """All that one case has open."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self._numbers = iter(range(100))

    def open(self) -> LibXen:
        hypervisor = LibXen()
        self.stack.callback(hypervisor.close)
        return hypervisor

    def shell(self, command: str, good: bool = True) -> str:
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50)
        assert not good or done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout.strip()


def complain(name: str) -> None:
    print(f"@@FAILED {name}", flush=True)
    traceback.print_exc()
    for command in ("dmesg | tail -15", "xenstore-ls -f /local/domain | grep -E 'vif|error' | head -80"):
        subprocess.run(command, shell=True, stdout=sys.stdout, stderr=subprocess.STDOUT, timeout=20)
    sys.stdout.flush()
    sys.stderr.flush()


def attempt(function: Case, seconds: int) -> bool:
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
