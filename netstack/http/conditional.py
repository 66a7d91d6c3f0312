"""Conditional and range requests (RFC 9110 13, 14): what a request's fields mean for one representation. Pure functions."""

import re

from .date import parse_date
from .headers import Headers

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_TAGS = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t,]*)+")
_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))[ \t]*")


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


def requested_range(headers: Headers, size: int, etag: str, modified: int) -> range | None:
    """The bytes that a GET asks for; None: all of them. An empty range can't be satisfied: 416 (RFC 9110 15.5.17).

    One range only: several would need a multipart body, and let a small request ask for the same bytes a thousand times
    (CVE-2011-3192). A server may ignore Range (RFC 9110 14.2), and that is what becomes of several and of what isn't lawful.
    """
    value = headers.get("range")
    if value is None:
        return None
    if_range = headers.get("if-range")
    if if_range is not None:
        # a strong tag, or the exact date: anything less could join halves of two different files
        if if_range.startswith('"'):
            if if_range != etag:
                return None
        elif parse_date(if_range) != modified:
            return None
    found = _RANGE.fullmatch(value)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return range(max(size - int(suffix), 0), size)
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return range(min(start, size), stop) if start < size else range(0)
