"""Runs the measurements of this folder: `make bench`. Arguments choose by name: `make bench ARGS=startup`.

Each `bench_*.py` is a program that prints what it measured, with units, and exits 0. Figures depend on the machine: compare
ratios, and rows of one run.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main(words: list[str]) -> int:
    there = sorted(HERE.glob("bench_*.py"))
    scripts = [path for path in there if not words or any(word in path.stem for word in words)]
    if not scripts:
        print(f"no measurement has {' or '.join(words)} in its name: there are {', '.join(path.stem for path in there)}")
        return 2
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "backends")))}
    failed = []
    for script in scripts:
        print(f"== {script.stem.removeprefix('bench_')}", flush=True)
        if subprocess.run([sys.executable, str(script)], env=environment, cwd=ROOT).returncode:
            failed.append(script.name)
        print(flush=True)
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
