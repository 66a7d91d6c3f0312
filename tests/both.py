"""Runs the suite twice, on the compiled build and on the pure one: `make test`. Arguments go to pytest.

Where there is more than one processor everything runs side by side: the pure build begins while the other is compiled, and on each
the tests that talk to real programs, and wait for them, are a run of their own. What was not the first to speak is printed when the
first is over.

Both runs are told which build they must find (NETSTACK_EXPECT), and tests/unit/house/test_build.py fails where they find another.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WAITING = ["tests/interop", "tests/compat"]  # for real programs, kernels and clocks


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


class Suite:
    """pytest on one build. `quietly` keeps what it prints until it is over; `once`: where tests so marked are run."""

    def __init__(self, build: str, arguments: list[str], quietly: bool = False, once: str = "here") -> None:
        self.build = build
        self._started = time.monotonic()
        self._output = tempfile.TemporaryFile("w+") if quietly else None  # noqa: SIM115  # open until `finish`
        if not quietly:
            print(f"\nmake test: the {self.build} build", flush=True)
        told = {"NETSTACK_EXPECT": build, "NETSTACK_PURE": "1" if build == "pure" else "0", "NETSTACK_ONCE": once}
        command = [sys.executable, "-m", "pytest", *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **told}, stdout=self._output, stderr=self._output)

    def finish(self) -> tuple[bool, str]:
        """Whether it passed, and the line that says so."""
        status = self._process.wait()
        lasted = time.monotonic() - self._started
        if self._output is not None:
            print(f"\nmake test: the {self.build} build, which ran beside it", flush=True)
            self._output.seek(0)
            sys.stdout.write(self._output.read())
            self._output.close()
        verdict = "passed" if status == 0 else f"FAILED (pytest exit status {status})"
        return status == 0, f"make test: {self.build}: {verdict} in {lasted:.0f} s"


def side_by_side(arguments: list[str]) -> bool:
    """Is there more than one processor, and nobody who wants to talk to pytest?"""
    alone = {"--pdb", "-s", "--capture=no", "--trace"}
    return len(os.sched_getaffinity(0)) > 1 and not alone.intersection(arguments)


def parts(arguments: list[str]) -> list[list[str]]:
    """The arguments of the runs that make one suite: what lives in memory, and what waits for others. One, where the user chose."""
    if arguments:
        return [arguments]
    return [[f"--ignore={path}" for path in WAITING], WAITING]


def main(arguments: list[str]) -> int:
    lines = []
    good = True
    beside: list[Suite] = []
    in_turn = ["compiled", "pure"]
    reason = why_not_compiled()
    together = not reason and side_by_side(arguments)
    if together:
        beside = [Suite("pure", part, quietly=True, once="elsewhere") for part in parts(arguments)]
    if reason:
        in_turn = ["pure"]
        # under CI a build that can't run is a failure; at a desk the pure half is still worth having
        good = os.environ.get("CI", "").lower() not in ("true", "1")
        lines.append(f"make test: compiled: NOT RUN, {reason}")
        print(lines[-1], flush=True)
    elif not compile_in_place():
        good = False
        in_turn = ["pure"]
        lines.append("make test: compiled: FAILED to compile")
    elif together:
        first, *others = parts(arguments)
        beside = [Suite("compiled", first), *(Suite("compiled", other, quietly=True) for other in others), *beside]
    for suite in beside or (Suite(build, arguments) for build in in_turn):
        passed, line = suite.finish()
        good &= passed
        lines.append(line)
    print("\n" + "\n".join(lines), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
