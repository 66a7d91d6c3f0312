"""`make bench`: every figure of the table beside its peers, in one run.

make bench                        all rows, some minutes
make bench ARGS=ping              rows whose name has it, and the measurements `bench_*.py` whose name has it
make bench ARGS="--quick udp"     one run of half a second each: a look, not a measurement
make bench ARGS=--record          all, and adds a line to history.jsonl
make bench ARGS=--list            what there is

It exits 0 when it could measure, whatever the figures are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import netstack

from . import booting, history, machine, programs, report_html, report_text
from .measure import Result, Row, measure
from .place import ROOT, Absent, Failed, Lab, Namespace
from .rows import ROWS

HERE = Path(__file__).resolve().parent
ARTIFACTS = ROOT / "artifacts" / "bench"
INSIDE = "NETSTACK_BENCH_INSIDE"  # set by `isolate`: what the scripts before it came to
QUICK = 0.5  # seconds


def main(words: list[str]) -> int:
    assert __doc__ is not None
    parser = argparse.ArgumentParser("make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of names of rows, or of bench_*.py")
    parser.add_argument("--quick", action="store_true", help="one run of half a second each")
    parser.add_argument("--record", action="store_true", help="add this run to history.jsonl")
    parser.add_argument("--to", type=Path, default=ARTIFACTS, metavar="FOLDER", help="where the page and the JSON go")
    parser.add_argument("--list", action="store_true", help="show what there is")
    options = parser.parse_args(words)
    scripts = sorted(HERE.glob("bench_*.py"))
    rows = [row for row in ROWS if not options.names or any(name in row.name for name in options.names)]
    chosen = [path for path in scripts if any(name in path.stem for name in options.names)]
    if options.list or not (rows or chosen):
        print("rows:", ", ".join(row.name for row in ROWS))
        print("by name only:", ", ".join(path.stem for path in scripts))
        return 0 if options.list else 2
    try:
        if INSIDE not in os.environ:
            failed = run_scripts(chosen)
            if not rows:
                return failed
            prepare(rows)
            isolate(failed)
        results = run_rows(rows, quick=options.quick)
    except (Absent, Failed) as error:
        print(f"make bench: {'it needs ' if isinstance(error, Absent) else ''}{error}", file=sys.stderr)
        return 1
    print("\n".join(report_text.verdicts(results)))
    report(results, options.to, quick=options.quick, record=options.record)
    return int(os.environ[INSIDE])


def report(results: Sequence[Result], folder: Path, *, quick: bool, record: bool) -> None:
    """The files: JSON, the page, and the history where it was asked for."""
    facts = machine.facts()
    if record:
        history.append(history.line(results, facts, quick=quick))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(history.document(results, facts), indent=1) + "\n")
    (folder / "bench.html").write_text(report_html.page(results, facts, history.read()))
    also = ", a line of history.jsonl" if record else ""
    print(f"written: {os.path.relpath(folder / 'bench.html')}, bench.json beside it{also}")


def prepare(rows: Sequence[Row]) -> None:
    """What wants a network, or would be done for each row."""
    if netstack.build_info().build == "pure":
        print("make bench: nothing is compiled here, so all rows of ours are of the pure build", file=sys.stderr)
    programs.compile_programs()
    if any(row.name == "image" for row in rows):
        try:
            booting.fetch()
        except Absent as error:
            print(f"make bench: going on without {error}", file=sys.stderr)
    if any(entrant.name == "pmd-pytcp" for row in rows for entrant in row.entrants):
        try:
            programs.install_pmd()
        except Absent as error:
            print(f"make bench: going on without {error}", file=sys.stderr)


def isolate(failed: int) -> NoReturn:
    """Start again, in namespaces of our own for devices and for mounts (some peers want namespaces with names)."""
    if shutil.which("ip") is None:
        raise Absent("the program ip (on Debian: apt-get install iproute2)")
    apart = ["unshare", "--net", "--mount"]
    if os.geteuid():
        apart += ["--user", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True).returncode:
        raise Absent("namespaces of its own: run it as root, or where users may make them (unshare --user --net --mount)")
    os.environ[INSIDE] = str(failed)
    os.execvp(apart[0], [*apart, sys.executable, "-m", "tests.bench.run", *sys.argv[1:]])


def run_rows(rows: Sequence[Row], *, quick: bool) -> list[Result]:
    Namespace().close()  # if that can't be, it is said once
    if INSIDE in os.environ:  # for emulators, whose doors are on this side
        subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    results = []
    for row in rows:
        with Lab(programs.FOLDER) as lab:
            result = measure(
                row, lab, runs=1 if quick else row.runs, seconds=min(QUICK, row.seconds) if quick else row.seconds, say=status
            )
        status("")
        print("\n".join(report_text.figures(result)), end="\n\n", flush=True)
        results.append(result)
    return results


def status(text: str) -> None:
    """What is going on, on a line that the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def run_scripts(scripts: Sequence[Path]) -> int:
    """The measurements that are programs of their own; 1 if one failed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "backends")))}
    failed = 0
    for script in scripts:
        print(f"== {script.stem.removeprefix('bench_')}", flush=True)
        if subprocess.run([sys.executable, str(script)], env=environment, cwd=ROOT).returncode:
            failed = 1
            print(f"FAILED: {script.name}")
        print(flush=True)
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
