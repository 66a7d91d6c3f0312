"""HTTP dates (RFC 9110 5.6.7): whole seconds since 1970, UTC. Reads no clock and no locale."""

import re
from datetime import UTC, datetime

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_TIME} GMT",  # IMF-fixdate
        rf"[A-Z][a-z]{{5,8}}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d\d) {_TIME} GMT",  # RFC 850
        rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # asctime
    )
)


def format_date(unix_seconds: int) -> str:
    """`"Sun, 06 Nov 1994 08:49:37 GMT"`."""
    moment = datetime.fromtimestamp(unix_seconds, UTC)
    return f"{DAYS[moment.weekday()]}, {moment:%d} {MONTHS[moment.month - 1]} {moment.year:04d} {moment:%H:%M:%S} GMT"


def parse_date(text: str) -> int | None:
    """Any of the three forms that a recipient must read; None for everything else: a bad date is a date that isn't there."""
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= 70 else 2000  # RFC 850's two digits: nothing on the web is older than 1970
    try:
        month = MONTHS.index(found["month"]) + 1
        second = min(int(found["second"]), 59)  # a leap second is lawful and datetime doesn't know it
        moment = datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp())
