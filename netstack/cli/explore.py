"""`netstack explore tests/test_x.py::test_y`: the same test in thousands of worlds, and the smallest that fails.

Exit status 0 when all cases passed, 1 when one failed, 2 when there is nothing to explore, 130 at Ctrl-C.
"""

import argparse
import sys
from collections.abc import Iterable

from ..errors import UsageError
from .options import count


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", metavar="TEST", help="tests/test_x.py::test_y or package.module:function, async, of a netsim")
    look = parser.add_argument_group("where to look")
    look.add_argument("--seeds", metavar="N", default="1000", help="how many, or which: 5000, 1000-1999, 3,7,11 (default: 1000)")
    faults = "of all links, fixed or drawn: loss=0..30%%,delay=10ms; none (default: the test's mark; without one, what is usual)"
    look.add_argument("--faults", metavar="FAULTS", help=faults)
    storm = "what befalls hosts and links: some of partition,crash,cut,down,loss,duplicate,reorder,corrupt,delay"
    look.add_argument("--storm", metavar="KINDS", help=storm)
    look.add_argument("--most", metavar="N", type=count, default=2, help="of these in one run at most (default: 2)")
    look.add_argument("--runtime", choices=("asyncio", "trio"), help="of the test (default: what its marks say, else asyncio)")
    ends = parser.add_argument_group("when to stop")
    ends.add_argument("--budget", metavar="TIME", help="look no longer than this: 90s, 5m")
    ends.add_argument("--limit", metavar="TIME", default="60s", help="what runs longer than this, really, hangs (default: 60s)")
    ends.add_argument("--stop-after", metavar="N", type=count, default=1, help="different failures (default: 1)")
    ends.add_argument("--resume", metavar="FILE", help="keep results in FILE, and go on from there")
    how = parser.add_argument_group("how")
    how.add_argument("-j", "--jobs", metavar="N", help="processes (default: one for each CPU); 0: in this one")
    how.add_argument("--no-shrink", action="store_true", help="show what fails as it was found")
    how.add_argument("--captures", metavar="DIR", default="explored", help="packets of what fails go there (default: explored)")
    how.add_argument("-q", "--quiet", action="store_true", help="no progress")
    again = parser.add_argument_group("one case again", "as a report has written it: --seed, with --faults and --schedule.")
    again.add_argument("--seed", metavar="N", type=int, help="run this one, with just these faults")
    again.add_argument("--schedule", metavar="EVENTS", help="what befalls it: '1.5s partition a b; 3s heal a b'")


def run(args: argparse.Namespace) -> int:
    from ..exploring.explore import explore
    from ..exploring.report import Interrupted
    from ..exploring.storms import Storm

    if args.seed is not None:
        return again(args)
    if args.schedule is not None:
        raise UsageError("--schedule is for one case: name it with --seed; to explore schedules say --storm partition,crash")
    try:
        report = explore(
            args.scenario,
            seeds=read_seeds(args.seeds),
            schedules=None if args.storm is None else Storm(args.storm, args.most),
            jobs=None if args.jobs is None else read_jobs(args.jobs),
            budget=args.budget,
            limit=args.limit,
            stop_after=args.stop_after,
            shrink=not args.no_shrink,
            resume=args.resume,
            captures=args.captures,
            progress=False if args.quiet else None,
            runtime=args.runtime,
            **({} if args.faults is None else read_ranges(args.faults)),  # type: ignore[arg-type]  # names of faults are no others
        )
    except Interrupted as interrupt:
        print(interrupt.report)
        return 130
    print(report)
    return 0 if report.ok else 1


def again(args: argparse.Namespace) -> int:
    """One case, in this process."""
    from pathlib import Path

    from ..exploring.attempt import Order, run_case
    from ..exploring.cases import Case, Range, duration, read_faults
    from ..exploring.report import Failure
    from ..exploring.scenario import read_scenario

    scenario = read_scenario(args.scenario, args.runtime)
    faults = read_faults(scenario.faults if args.faults is None else read_ranges(args.faults))
    for name, value in faults.items():
        if isinstance(value, Range):
            raise UsageError(f"{name} is drawn from a range, and one case has one value: write it like {name}={value.high:g}")
    case = Case(args.seed, faults, args.schedule)
    directory = Path(args.captures) / f"{scenario.function.__name__}-{case.key[:8]}"
    order = Order(scenario.function, scenario.runtime, scenario.topology, duration(args.limit))
    verdict = run_case(order, case, str(directory))
    captures = sorted(directory.glob("*.pcap*"))
    if verdict.ok:
        shown = f"; packets in {directory}" if captures else ""
        print(f"passed: {verdict.virtual:.6f} s in its world, {verdict.wall:.3f} s in ours, digest {verdict.digest}{shown}")
        return 0
    print(verdict.trace, file=sys.stderr)
    print(Failure(scenario, case, verdict, case, captures=captures))
    return 1


def read_seeds(text: str) -> Iterable[int]:
    """`5000`, `1000-1999`, `3,7,11`. Raises UsageError."""
    try:
        if "," in text:
            return [int(part) for part in text.split(",")]
        first, dash, last = text.partition("-")
        seeds = range(int(first), int(last) + 1) if dash else range(int(first))
    except ValueError:
        raise UsageError(f"--seeds {text} are none: write how many, or which: 5000, 1000-1999, 3,7,11") from None
    if not seeds:
        raise UsageError(f"--seeds {text} are none at all: write 1 or more")
    return seeds


def read_jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 10_000:
        raise UsageError(f"-j {text} is not a number of processes: write one, or 0 for none beside this one")
    return int(text)


def read_ranges(text: str) -> dict[str, object]:
    """`loss=0..30%,delay=10ms` as `explore` takes them; `none` for none at all. Raises UsageError."""
    if text == "none":
        return {}
    said: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UsageError(f"{part!r} says no value: write it like loss=30%, or loss=0..30%")
        low, dots, high = value.partition("..")
        said[name] = (low, high) if dots else value
    return said
