"""Installs other people's programs for the matrix: the extra `compat` of setup.py, as `make` does. What can't be had is left out.

All at once, so that the versions agree; where that fails, one by one, and the cells of the rest say that they were not run.
"""

import ast
import subprocess
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "setup.py"


def requirements() -> list[str]:
    """What the extra asks for. Read from the source: a checkout that nobody installed is tested as well."""
    tree = ast.parse(SETUP.read_text("utf-8"))
    extras = next(node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "extras_require")
    found: list[str] = ast.literal_eval(extras)["compat"]
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
