"""The table in docs/compatibility.md, made from the cells that the tests register; test_compat_table.py holds it to them.

python -m tests.compat.matrix            # print it
python -m tests.compat.matrix --write    # put it into the page
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from pathlib import Path

from .harness import ROWS, Row

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "compatibility.md"
BEGIN = "<!-- made by tests/compat/matrix.py -->\n"
END = "<!-- end of what is made -->\n"
HEAD = "| program | what is done with it | asyncio | uvloop | trio | with the kernel over a tap | how it comes to our sockets |\n"
YES = "yes"


def load() -> list[Row]:
    """All rows. Under the names that pytest gives the files, so that a row is registered once."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    for path in sorted(HERE.glob("test_compat_*.py")):
        importlib.import_module(path.stem)
    return sorted(ROWS.values(), key=lambda row: row.program)  # the rows of a program stay as its file has them


def line(row: Row, first: bool) -> str:
    """`first` in its program: names it, with the version that this run has."""
    name = f"{row.program} {importlib.metadata.version(row.program)}" if first else ""
    loops = [YES if loop in row.loops else "" for loop in ("std", "uvloop", "trio")]
    if not row.stack:
        loops = ["over the tap" if loop else "" for loop in loops]
    return f"| {' | '.join([name, row.what, *loops, ' and '.join(row.taps), row.way])} |\n"


def text() -> str:
    rows = load()
    lines = [line(row, n == 0 or rows[n - 1].program != row.program) for n, row in enumerate(rows)]
    return "".join([HEAD, re.sub(r"[^|\n]+", "---", HEAD), *lines])


def split(page: str) -> tuple[str, str, str]:
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    assert begin and end, f"{PAGE} has lost the marks between which the table stands"
    return before + begin, table, end + after


def main(arguments: list[str]) -> None:
    if arguments == ["--write"]:
        before, _, after = split(PAGE.read_text("utf-8"))
        PAGE.write_text(before + text() + after, "utf-8")
    else:
        print(text(), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
