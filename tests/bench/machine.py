"""What a figure depends on and can be said in public: versions and the kind of processor, no names and no paths."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import netstack

from .place import ROOT


def facts() -> dict[str, str | int]:
    """Of this run: date, commit, and what the machine is."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "build": netstack.build_info().build,
        "python": platform.python_version(),
        "uvloop": installed("uvloop"),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": len(os.sched_getaffinity(0)),
    }


def commit() -> str:
    """Short, with a + when the sources differ from it; "" outside a repository."""

    def git(*words: str) -> str:
        try:
            return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        except OSError:
            return ""

    head = git("rev-parse", "--short", "HEAD")
    what = ("netstack", "backends", "tests/bench/*.py", "tests/bench/peers")  # and not the history, which a run changes
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *what)
    return head + ("+" if changed else "")


def cpu_model(cpuinfo: str) -> str:
    """From the text of /proc/cpuinfo: x86 gives a name, others may not."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model"):
            return " ".join(value.split())
    return platform.machine()


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
