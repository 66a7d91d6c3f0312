"""Header and trailer sections to pairs (RFC 9112 5), of requests and of responses: one reading for both roles.

Every byte is checked here; llhttp then splits the fields, and what it refuses is refused as well, so that two parsers must agree.
It sees the fields alone, after a request line of our own, since it knows only the methods of a list and can't say where in its
input a message ended.
"""

import re
from collections.abc import Callable

import httptools

from ..events import RawFields
from ..refused import Refused

# RFC 9110 5.6.2: token = 1*tchar. Possessive: a mismatch is final, no input costs more than one pass
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
BARE_LF = re.compile(rb"(?<!\r)\n")
# RFC 9112 5: field-line = field-name ":" OWS field-value OWS; a value may hold any byte but controls (RFC 9110 5.5)
_FIELDS = re.compile(rb"(?:" + TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+")


class _Sink:
    """Where llhttp puts the fields."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.lower(), value.strip(b" \t")))


def split_fields(section: bytes, blame: Callable[[RawFields], object] = len) -> RawFields:
    """A header or trailer section, each line with its CRLF, as pairs. Raises `Refused` where it is not RFC 9112 5's grammar.

    Where llhttp refuses what is lawful line by line, `blame` is given the pairs, and may raise a `Refused` that says more.
    """
    if not section:
        return ()
    if _FIELDS.fullmatch(section) is None:
        raise Refused(400, _blame_fields(section))
    sink = _Sink()
    try:
        httptools.HttpRequestParser(sink).feed_data(b"GET / HTTP/1.1\r\n" + section + b"\r\n")
    except httptools.HttpParserUpgrade:
        pass  # it leaves what follows an upgrade to others, and so do we
    except httptools.HttpParserError:
        lines = (line.partition(b":") for line in section.split(b"\r\n")[:-1])
        blame(tuple((name.lower(), value.strip(b" \t")) for name, _, value in lines))
        raise Refused(400, "The header fields contradict each other.") from None
    return tuple(sink.pairs)


def _blame_fields(section: bytes) -> str:
    """What is wrong with a section that isn't lawful."""
    if BARE_LF.search(section) is not None:
        return "A line ends without CR."
    for line in section.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            return "A folded header line."
        if line and re.match(TOKEN + rb"[ \t]++:", line):
            return "White space before the colon of a header field."
    return "A header line is not a name, a colon and a value without control characters."
