"""Who has what, and since when; and what was done that should not have been."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import attrs

HERE = str(Path(__file__).parent)


def whence() -> str:
    """File and line of the caller outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"


class Note(NamedTuple):
    """Something that a program should not have done, or that happened to it."""

    kind: str
    domid: int
    what: str
    when: int
    where: str


@attrs.frozen(eq=False)
class Entry:
    """A thing that somebody has: `kind` is grant, mapping, port, watch or transaction."""

    kind: str
    domid: int
    program: int
    what: str
    since: int
    where: str

    def __str__(self) -> str:
        return f"{self.kind} {self.what} of domain {self.domid} (program {self.program}), since {self.since}, {self.where}"


class Books:
    """`entries` are open; `notes` is all that was noted. `now` is the machine's time, by which they are dated."""

    def __init__(self) -> None:
        self.now = 0
        self.entries: dict[int, Entry] = {}
        self.notes: list[Note] = []
        self._last = 0

    def open(self, kind: str, domid: int, program: int, what: str) -> int:
        self._last += 1
        self.entries[self._last] = Entry(kind, domid, program, what, self.now, whence())
        return self._last

    def shut(self, number: int) -> None:
        del self.entries[number]

    def note(self, kind: str, domid: int, what: str) -> None:
        self.notes.append(Note(kind, domid, what, self.now, whence()))

    def of(self, domid: "int | None" = None, kind: "str | None" = None) -> "Iterator[Entry]":
        """The open entries of a domain, of a kind, or both."""
        for entry in self.entries.values():
            if domid in (None, entry.domid) and kind in (None, entry.kind):
                yield entry

    def assert_even(self, domid: "int | None" = None) -> None:
        """All was given back: no grant, mapping, port, watch or transaction is open."""
        left = [str(entry) for entry in self.of(domid)]
        assert not left, f"{len(left)} not given back:\n  " + "\n  ".join(left)

    def assert_clean(self, domid: "int | None" = None) -> None:
        """Nothing was noted."""
        noted = [
            f"{note.kind}: domain {note.domid}, {note.what} ({note.where})" for note in self.notes if domid in (None, note.domid)
        ]
        assert not noted, f"{len(noted)} noted:\n  " + "\n  ".join(noted)
