"""Tests whose body runs in a process of its own inside a network namespace; what it asserts there fails the test here."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Protocol


class Runner(Protocol):
    """The part of the `netns` fixture that is used here."""

    def run(self, *command: str, timeout: float = 30) -> "subprocess.CompletedProcess[str]": ...


def in_a_namespace(body: Callable[[], None]) -> Callable[[Runner], None]:
    """Run the body of a test in a process inside the namespace of `netns`."""

    def test(netns: Runner) -> None:
        program = f"import runpy; runpy.run_path({body.__code__.co_filename!r})[{body.__name__!r}].body()"
        path = os.pathsep.join(filter(None, sys.path))
        done = netns.run("env", f"PYTHONPATH={path}", sys.executable, "-W", "error", "-c", program, timeout=60)
        assert done.returncode == 0, done.stderr

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    test.body = body  # type: ignore[attr-defined]  # for the process inside
    return test


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
