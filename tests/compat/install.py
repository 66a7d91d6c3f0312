"""Installs other people's programs for the matrix: the extra `compat` of setup.py, as `make` does. What can't be had is left out.

All at once, so that the versions agree; where that fails, one by one, and the cells of the rest say that they were not run.
"""

import importlib.metadata
import subprocess
import sys


def requirements() -> list[str]:
    """What the extra asks for, as pip reads it."""
    found = []
    for requirement in importlib.metadata.requires("netstack") or ():
        what, _, condition = requirement.partition(";")
        if "compat" in condition and "extra" in condition:
            found.append(what.strip())
    return found


def install(*what: str) -> bool:
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *what]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    wanted = requirements()
    if not install(*wanted):
        for one in wanted:
            if not install(one):
                print(f"make: {one} can't be installed here; tests/compat goes on without")
