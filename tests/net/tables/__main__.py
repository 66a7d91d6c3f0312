"""Records the tables: `python -m tests.net.tables --record`, or some of them by name; without --record shows what differs."""

from __future__ import annotations

import sys
import time

from .register import TABLES


def main(words: list[str]) -> int:
    record = "--record" in words
    names = [word for word in words if word != "--record"]
    strange = set(names) - TABLES.keys()
    if strange:
        print(f"there is no table {min(strange)!r}: there are {', '.join(TABLES)}")
        return 2
    wrong = 0
    for name, table in TABLES.items():
        if names and name not in names:
            continue
        start = time.perf_counter()
        if record:
            rows = [(row, table.measure(*row)) for row in table.rows]
            table.write(rows)
            against = [f"{name}: {' '.join(row)}: {law}\n" for row, values in rows if (law := table.law(row, values))]
            wrong += len(against)
            print("".join(against), end="")
        else:
            differences = [line for row in table.rows for line in table.differences(row)]
            wrong += len(differences)
            print("".join(f"{name}: {line}\n" for line in differences), end="")
        print(f"{name}: {len(table.rows)} rows in {time.perf_counter() - start:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
