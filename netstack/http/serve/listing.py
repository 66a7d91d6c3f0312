"""A folder as a page."""

from __future__ import annotations

import html
import os
from urllib.parse import quote

from ..date import format_date

LISTED = 1000  # entries of a listing: who may upload could make it grow without end
HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-content-type-options": "nosniff"}

Row = tuple[bool, str, int, int]  # no folder, name, size, seconds since 1970: folders come first

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }}
body {{ max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
td {{ padding-right: 1.5rem; overflow-wrap: anywhere }}
td + td {{ white-space: nowrap; font-variant-numeric: tabular-nums; opacity: .7 }}
</style>
<h1>{title}</h1>
<table>
{rows}</table>{more}
</html>
"""


def listing_page(path: str, up: bool, rows: list[Row], more: bool) -> str:
    """`up`: there is a folder above it. `more`: there are entries that `rows` has not."""
    lines = ['<tr><td><a href="../">../</a></td></tr>\n'] if up else []
    for is_file, name, size, modified in rows:
        slash = "" if is_file else "/"
        link = "./" + quote(os.fsencode(name), safe="") + slash
        shown = html.escape(_printable(name)) + slash
        lines.append(
            f'<tr><td><a href="{link}">{shown}</a></td><td>{size if is_file else ""}</td><td>{format_date(modified)}</td></tr>\n'
        )
    rest = f"\n<p>Only {LISTED} entries are shown.</p>" if more else ""
    return _PAGE.format(title=html.escape(_printable(path)), rows="".join(lines), more=rest)


def _printable(name: str) -> str:
    """A name that may hold bytes which are not UTF-8, as text that can be sent."""
    return os.fsencode(name).decode("utf-8", "replace")
