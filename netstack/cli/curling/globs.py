"""Many URLs in one: `{a,b}` and `[1-10]`, `[001-100:10]`, `[a-z]`, and `#1` in the name of a file for what the first was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from .options import Wrong

MOST = 100  # patterns in a URL, as curl has it
_RANGE = re.compile(r"\[(?:(\d+)-(\d+)|([A-Za-z])-([A-Za-z]))(?::(\d+))?\]")
_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%25[^]]*)?\]")  # of IPv6, which is no pattern
_NUMBER = re.compile(r"#(\d+)")


def expand(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each URL, and what its patterns are in it; the last one changes fastest. Raises Wrong, with status 3, before the first."""
    fixed, patterns = _parse(text)

    def urls() -> Iterator[tuple[str, tuple[str, ...]]]:
        for values in _all(patterns):
            yield "".join(part for pair in zip(fixed, (*values, ""), strict=True) for part in pair), values

    return urls()


def _all(patterns: Sequence[Iterable[str]]) -> Iterator[tuple[str, ...]]:
    """As itertools.product, which would make lists of them first."""
    if not patterns:
        yield ()
        return
    for value in patterns[0]:
        for rest in _all(patterns[1:]):
            yield value, *rest


def named(template: str, values: tuple[str, ...]) -> str:
    """`file#1.txt`. What stands for no pattern stays."""

    def value(found: re.Match[str]) -> str:
        number = int(found[1])
        return values[number - 1] if 0 < number <= len(values) else found[0]

    return _NUMBER.sub(value, template)


def _parse(text: str) -> tuple[list[str], list[list[str] | _Run]]:
    fixed, patterns = [""], []  # type: tuple[list[str], list[list[str] | _Run]]
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and text[at + 1 : at + 2] in ("{", "}", "[", "]"):
            fixed[-1] += text[at + 1]
            at += 2
            continue
        address = _ADDRESS.match(text, at) if char == "[" else None
        if address is not None:
            fixed[-1] += address[0]
            at = address.end()
            continue
        if char == "{":
            values, at = _set(text, at + 1)
            patterns.append(values)
        elif char == "[":
            found = _RANGE.match(text, at)
            if found is None:
                raise _wrong("bad range", text, at + 1)
            patterns.append(_Run(found, text, at))
            at = found.end()
        elif char in "}]":
            raise _wrong(f"unmatched {char}", text, at)
        else:
            fixed[-1] += char
            at += 1
            continue
        fixed.append("")
        if len(patterns) > MOST:
            raise _wrong("too many globs", text, at)
    return fixed, patterns


def _set(text: str, at: int) -> tuple[list[str], int]:
    values, start = [""], at
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            at += 1
            values[-1] += text[at]
        elif char == ",":
            values.append("")
        elif char == "}":
            if values == [""]:
                raise _wrong("empty string within braces", text, at + 1)
            return values, at + 1
        elif char in "{[":
            raise _wrong("nested brace", text, at)
        else:
            values[-1] += char
        at += 1
    raise _wrong("unmatched brace", text, start - 1)


class _Run:
    """A range, counted when it is asked for: `[1-1000000000]` is no list."""

    def __init__(self, found: re.Match[str], text: str, at: int) -> None:
        first, last, low, high, step = found.groups()
        self._letters = low is not None
        self._width = len(first) if first and first[0] == "0" else 0
        start, end = (ord(low), ord(high)) if low else (int(first), int(last))
        by = int(step) if step else 1
        if start > end or not by or (by > end - start and start != end):
            raise _wrong("bad range", text, at + 1)
        self._range = range(start, end + 1, by)

    def __iter__(self) -> Iterator[str]:
        for number in self._range:
            yield chr(number) if self._letters else f"{number:0{self._width}d}"


def _wrong(what: str, text: str, at: int) -> Wrong:
    return Wrong(f"{what} in URL position {at + 1}: {text}", 3)
