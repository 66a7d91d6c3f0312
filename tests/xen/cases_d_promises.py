"""Xen itself is the judge of what `tests/unit/xen/promises.py` says of every hypervisor, and so of the simulated one."""

import sys
import traceback
from pathlib import Path

from .harness import Bench, case, say

sys.path.append(str(Path(__file__).parents[1] / "unit" / "xen"))


@case
def xen_keeps_its_promises(bench: Bench) -> None:
    import promises  # type: ignore[import-not-found]  # beside the tests of the simulated machine

    def said(line: str) -> None:
        if line.startswith("broken"):
            say(line)
            traceback.print_exc()

    broken = promises.run(lambda: (bench.open(), bench.open()), said)
    assert not broken, broken
