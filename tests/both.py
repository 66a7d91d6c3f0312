"""Runs the suite twice, on the compiled build and on the pure one: `make test`. Arguments go to pytest.

Both runs are told which build they must find (NETSTACK_EXPECT), and tests/unit/house/test_build.py fails where they find another.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def why_not_compiled() -> str:
    """What a compiled build would need and this machine lacks, or an empty string."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler} was not found): install gcc, or set CC"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return f"Python.h is missing in {sysconfig.get_path('include')}: install the headers of this Python (python3-dev)"
    return ""


def compile_in_place() -> bool:
    print("make test: compiling what has changed", flush=True)
    environment = {**os.environ, "NETSTACK_CYTHON": "require"}
    return subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=ROOT, env=environment).returncode == 0


def run_suite(build: str, arguments: list[str]) -> tuple[bool, str]:
    """Run pytest on one build; whether it passed, and the line that says so."""
    print(f"\nmake test: the {build} build", flush=True)
    environment = {**os.environ, "NETSTACK_EXPECT": build, "NETSTACK_PURE": "1" if build == "pure" else "0"}
    started = time.monotonic()
    status = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment).returncode
    verdict = "passed" if status == 0 else f"FAILED (pytest exit status {status})"
    return status == 0, f"make test: {build}: {verdict} in {time.monotonic() - started:.0f} s"


def main(arguments: list[str]) -> int:
    lines = []
    good = True
    reason = why_not_compiled()
    if reason:
        # under CI a build that can't run is a failure; at a desk the pure half is still worth having
        good = os.environ.get("CI", "").lower() not in ("true", "1")
        lines.append(f"make test: compiled: NOT RUN, {reason}")
        print(lines[-1], flush=True)
    elif not compile_in_place():
        good = False
        lines.append("make test: compiled: FAILED to compile")
    else:
        passed, line = run_suite("compiled", arguments)
        good &= passed
        lines.append(line)
    passed, line = run_suite("pure", arguments)
    good &= passed
    lines.append(line)
    print("\n" + "\n".join(lines), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
