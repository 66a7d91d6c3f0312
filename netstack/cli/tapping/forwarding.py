"""Port forwards as the command line has them: passt's lists, taken apart; each part is `services.forwardspec`'s."""

from __future__ import annotations

import re

from ...errors import UsageError

_RANGE = re.compile(r"~([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_PORTS = re.compile(r"((?:.*/|[^:-]*:)?)([0-9]{1,5})-([0-9]{1,5})(?::([0-9]{1,5})-([0-9]{1,5}))?", re.ASCII)


def split(text: str) -> list[str]:
    """`22,8000-8010,~8005` as parts without commas and exclusions; `none` is none. Raises UsageError."""
    if text == "none":
        return []
    if automatic(text) is not None or every(text) is not None:
        return []
    if text.startswith("unix:"):
        return [text]
    words = text.split(",")
    address = ""
    if "/" in words[0]:  # passt's: an address before the first holds for all
        address, _, words[0] = words[0].rpartition("/")
        address += "/"
    excluded = [exclusion(word, text) for word in words if word.startswith("~")]
    kept = [word for word in words if not word.startswith("~")]
    return [address + part for word in kept for part in without(word, excluded)]


def automatic(text: str) -> "list[range] | None":
    """`auto`, `auto,~8000-8010`: whatever somebody listens on, but for these ports; None for what is not automatic. Raises
    UsageError."""
    words = text.split(",")
    return [exclusion(word, text) for word in words[1:]] if words[0] == "auto" else None


def every(text: str) -> "list[range] | None":
    """`all`, `all,~22`, or `~22` alone: every port but for these; None for what says otherwise. Raises UsageError."""
    words = text.split(",")
    if words[0] == "all":
        return [exclusion(word, text) for word in words[1:]]
    return [exclusion(word, text) for word in words] if words[0].startswith("~") else None


def exclusion(word: str, text: str) -> range:
    match = _RANGE.fullmatch(word)
    if match is None:
        raise UsageError(f"{word!r} in {text!r} excludes nothing: write ~8005 or ~8003-8005")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def without(word: str, excluded: list[range]) -> list[str]:
    """A range of ports, cut where some are excluded."""
    match = _PORTS.fullmatch(word)
    if match is None or not excluded:
        last = re.split("[:/]", word)[0]
        alone = last.isascii() and last.isdigit() and any(int(last) in each for each in excluded)
        return [] if alone else [word]
    before, low, high = match[1], int(match[2]), int(match[3])
    shift = int(match[4]) - low if match[4] else 0
    if match[4] and int(match[5]) - int(match[4]) != high - low:
        return [word]  # it is refused where it is read
    parts: list[str] = []
    start: int | None = None
    for port in range(low, min(high, 65536) + 2):
        keep = port <= high and not any(port in each for each in excluded)
        if keep and start is None:
            start = port
        elif not keep and start is not None:
            there = f":{start + shift}-{port - 1 + shift}" if match[4] else ""
            parts.append(f"{before}{start}-{port - 1}{there}")
            start = None
    return parts
