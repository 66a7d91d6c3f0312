"""Two streams and the first byte in which they differ, leaving aside what may.

What `ignore` matches is taken out of both before they are compared, so it may differ in length, and be missing in one of them:
`rb"(?im)^date:[^\r\n]*\r\n"` is the Date header of HTTP. A callable takes it out itself: it gets the bytes of a stream and gives
those that are compared; offsets in the report are then those of what it gave.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable

import attrs

from ..errors import UsageError

Pattern = str | bytes | re.Pattern[bytes]
Ignore = Pattern | Callable[[bytes], bytes] | Iterable[Pattern] | None

CONTEXT = 24  # bytes before the first difference, and behind it, that a report shows
STEP = 4096


@attrs.frozen
class Difference:
    """`kind` is "differs", "missing" or "extra". The offsets are those of the first byte concerned, in each stream; `length` says
    how many bytes are missing or extra, the pieces are what stands there, and begin at `at_expected` and `at_got`."""

    kind: str
    expected_offset: int
    got_offset: int
    length: int
    expected: bytes
    at_expected: int
    got: bytes
    at_got: int


class Comparison:
    """What may differ, read once."""

    def __init__(self, ignore: Ignore = None) -> None:
        self._normal: Callable[[bytes], bytes] | None = None
        self._patterns: list[re.Pattern[bytes]] = []
        if ignore is None:
            return
        if callable(ignore):
            self._normal = ignore
            return
        several = [ignore] if isinstance(ignore, (str, bytes, re.Pattern)) else list(ignore)
        self._patterns = [_compiled(each) for each in several]

    def first(self, expected: bytes, got: bytes) -> Difference | None:
        """The first difference of what was sent from what was captured."""
        if self._normal is not None:
            expected, got = self._normal(expected), self._normal(got)
        a, b = Reduced(expected, self._patterns), Reduced(got, self._patterns)
        n = common(a.data, b.data)
        if n == len(a.data) == len(b.data):
            return None
        if n == len(b.data):
            kind, length = "missing", len(a.data) - n
        elif n == len(a.data):
            kind, length = "extra", len(b.data) - n
        else:
            kind, length = "differs", 0
        ea, eb = a.original(n), b.original(n)
        begin_a, begin_b = max(0, ea - CONTEXT), max(0, eb - CONTEXT)
        return Difference(kind, ea, eb, length, expected[begin_a : ea + CONTEXT], begin_a, got[begin_b : eb + CONTEXT], begin_b)


class Reduced:
    """A stream without what is ignored, and where each of its bytes came from."""

    def __init__(self, data: bytes, patterns: list[re.Pattern[bytes]]) -> None:
        spans = sorted(match.span() for pattern in patterns for match in pattern.finditer(data) if match.end() > match.start())
        parts, at, length = [], 0, 0
        self._lengths = [0]
        self._origins = [0]
        for begin, end in spans:
            if begin > at:
                parts.append(data[at:begin])
                length += begin - at
            if end > at:
                at = end
                self._lengths.append(length)
                self._origins.append(at)
        parts.append(data[at:])
        self.data = b"".join(parts) if spans else data

    def original(self, offset: int) -> int:
        i = bisect.bisect_right(self._lengths, offset) - 1
        return self._origins[i] + offset - self._lengths[i]


def common(a: bytes, b: bytes) -> int:
    """How many bytes they begin with together."""
    end = min(len(a), len(b))
    n = 0
    while n < end and a[n : n + STEP] == b[n : n + STEP]:
        n += STEP
    while n < end and a[n] == b[n]:
        n += 1
    return min(n, end)


def _compiled(pattern: Pattern) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
    except re.error as error:
        raise UsageError(f"{pattern!r} is no regular expression: {error}") from error


def hexdump(data: bytes, begin: int, mark: int) -> str:
    """Rows of 16 bytes of a stream, of which `data` begins at offset `begin`; the byte at `mark` stands in brackets."""
    rows = []
    first = begin & ~15
    for row in range(first, max(begin + len(data), mark + 1, first + 1), 16):
        cells, text = [], []
        for o in range(row, row + 16):
            known = begin <= o < begin + len(data)
            cell = f"{data[o - begin]:02x}" if known else "--" if o == mark else "  "
            cells.append(f"[{cell}]" if o == mark else f" {cell} ")
            char = chr(data[o - begin]) if known else " "
            text.append(char if " " <= char <= "~" else ".")
        rows.append(f"{row:08x} {''.join(cells)} |{''.join(text)}|")
    return "\n".join(rows)
