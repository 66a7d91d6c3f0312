"""Runs the cases in domain 0, one after the other in one boot, and says the verdict."""

import importlib
import os
import sys
import time
from pathlib import Path

from . import harness
from .payload import REPORTS

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))


def is_wanted(function: harness.Case, wanted: "list[str]") -> bool:
    return not wanted or any(word in f"{function.__module__}.{function.__name__}" for word in wanted)


def main() -> int:
    wanted = os.environ.get("XEN_CASES", "").split()
    harness.say("domain 0 is up; Python", sys.version.split()[0])
    began = time.monotonic()
    failed = []
    count = 0
    for name in MODULES:
        try:
            module = importlib.import_module(f"tests.xen.{name}")
            theirs = [function for function, _ in harness.CASES if function.__module__ == module.__name__]
            if hasattr(module, "prepare") and any(is_wanted(function, wanted) for function in theirs):
                module.prepare()
        except Exception:
            harness.complain(name)
            failed.append(name)
    import netstack

    imported = f"{len(harness.CASES)} cases, imported in {time.monotonic() - began:.1f} s"
    harness.say(f"the {netstack.build_info().build} build; {imported}")
    for function, seconds in harness.CASES:
        if not is_wanted(function, wanted):
            continue
        count += 1
        if not harness.attempt(function, seconds):
            failed.append(function.__name__)
    for report in sorted(REPORTS.parent.glob(f"{REPORTS.name}.*")):
        print(f"@@FAILED {report.name}", report.read_text(errors="replace")[:8000], sep="\n", flush=True)
        failed.append(report.name)
    if failed or not count:
        print(f"@@verdict bad: {len(failed)} of {count} cases failed: {', '.join(failed)}", flush=True)
    else:
        print(f"@@verdict good: {count} cases in {time.monotonic() - began:.0f} s", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
