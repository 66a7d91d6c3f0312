"""Conditional and range requests (RFC 9110 13, 14): what a request's fields mean for one representation. Pure functions."""

import re

from .date import parse_date
from .headers import Headers

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_TAGS = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t,]*)+")
_RANGE = re.compile(r"[ \t]*(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))[ \t]*")

RANGES = 32  # in one request: a reader of PDF asks for a dozen


def _matches(value: str, etag: str | None, weak: bool) -> bool:
    """Does a list of entity tags, or `*`, name `etag`? RFC 9110 8.8.3.2."""
    if value.strip() == "*":
        return etag is not None
    if etag is None or _TAGS.fullmatch(value) is None:
        return False
    for tag in _TAG.findall(value):
        if weak:
            if tag.removeprefix("W/") == etag.removeprefix("W/"):
                return True
        elif tag == etag and not tag.startswith("W/"):
            return True
    return False


def precondition(method: str, headers: Headers, etag: str | None, modified: int | None) -> int | None:
    """304 or 412 where the request's conditions fail, None where it is to be carried out. In the order of RFC 9110 13.2.2.

    `etag` and `modified` (seconds since 1970) are those of what is there now; None when nothing is.
    """
    reading = method in ("GET", "HEAD")
    if_match = headers.get("if-match")
    if if_match is not None:
        if not _matches(if_match, etag, weak=False):
            return 412
    elif (limit := parse_date(headers.get("if-unmodified-since", "") or "")) is not None:
        if modified is not None and modified > limit:
            return 412
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        if _matches(if_none_match, etag, weak=True):
            return 304 if reading else 412
    elif reading and (limit := parse_date(headers.get("if-modified-since", "") or "")) is not None:
        if modified is not None and modified <= limit:
            return 304
    return None


def requested_ranges(headers: Headers, size: int, etag: str, modified: int) -> list[range] | None:
    """The parts that a GET asks for, in its order; None: all of it. None of them can be satisfied where the list is empty: 416
    (RFC 9110 15.5.17).

    A small request could ask for the same bytes a thousand times (CVE-2011-3192, RFC 9110 17.15). So ranges that overlap become
    one, which leaves at most the whole, and of more than `RANGES` the field is ignored, as RFC 9110 14.2 allows. It is ignored as
    well where anything in it isn't lawful.
    """
    value = headers.get("range")
    if value is None or not _if_range(headers.get("if-range"), etag, modified):
        return None
    unit, _, said = value.partition("=")
    if unit.strip().lower() != "bytes" or said.count(",") >= RANGES:
        return None
    asked: list[range] = []
    for item in said.split(","):
        if not item.strip(" \t"):
            continue  # RFC 9110 5.6.1.2: empty elements of a list count for nothing
        found = _RANGE.fullmatch(item)
        if found is None:
            return None
        first, last, suffix = found.groups()
        if suffix is not None:
            part = range(max(size - int(suffix), 0), size)
        elif last and int(last) < int(first):
            return None
        else:
            part = range(int(first), min(int(last) + 1, size) if last else size)
        asked.append(part)
    if not asked:
        return None
    return _joined([part for part in asked if part])


def _if_range(value: str | None, etag: str, modified: int) -> bool:
    """RFC 9110 13.1.5: a strong tag, or the exact date: anything less could join halves of two different files."""
    if value is None:
        return True
    if value.startswith(('"', "W/")):
        return value == etag and not etag.startswith("W/")
    return not etag.startswith("W/") and parse_date(value) == modified


def _joined(parts: list[range]) -> list[range]:
    """As they are where none overlap; else each byte once, in the order of the file."""
    joined: list[range] = []
    for part in sorted(parts, key=lambda each: each.start):
        if joined and part.start < joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, part.stop))
        else:
            joined.append(part)
    return parts if len(joined) == len(parts) else joined
