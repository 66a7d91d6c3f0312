"""A run of the program here, to see what it imports that its source doesn't show: on a stack that leads nowhere, for a few seconds.

A rehearsal needs no device and no privilege, and disturbs nobody: whatever the program listens on is on a host of its own. What it
would do when it is spoken to isn't seen: `--include` names that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .build import Recipe

NET = "loopback:?address=10.0.0.1/24"
# The program ends by SIGTERM, which becomes its SystemExit; the list goes to a descriptor that it doesn't know.
RUNNER = """
import atexit, json, os, runpy, signal, sys
known = set(sys.modules)
@atexit.register
def tell():
    names = [n for n, m in list(sys.modules.items()) if n not in known and getattr(m, "__spec__", None) is not None]
    os.write({fd}, json.dumps(names).encode())
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
from netstack.cli import main
sys.exit(main(sys.argv[1:]))
"""


def rehearse(recipe: Recipe, seconds: float) -> tuple[str, ...]:
    """The names of all modules that the program has imported by then, or when it has ended. Raises UsageError where it fails."""
    read, write = os.pipe()
    words = [sys.executable, "-c", RUNNER.replace("{fd}", str(write)), "run", "--net", NET]
    words += [*(["-m"] if recipe.module else []), recipe.program, *recipe.arguments]
    try:
        with subprocess.Popen(words, pass_fds=(write,), stderr=subprocess.PIPE, env={**os.environ, **recipe.environment}) as run:
            os.close(write)
            try:
                _, said = run.communicate(timeout=seconds)
                failed = run.returncode != 0
            except subprocess.TimeoutExpired:
                failed = False
                run.terminate()
                try:
                    _, said = run.communicate(timeout=5)
                except subprocess.TimeoutExpired:
                    run.kill()
                    _, said = run.communicate()
        with os.fdopen(read, "rb") as pipe:
            read = -1
            told = pipe.read()
    finally:
        if read >= 0:
            os.close(read)
    if failed or not told:
        last = (said or b"").decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise UsageError(f"the rehearsal of {recipe.program} has failed: {last[0]}")
    names: list[str] = json.loads(told)
    return tuple(name for name in names if name.isascii() and not name.startswith(("netstack.cli", "__")))
