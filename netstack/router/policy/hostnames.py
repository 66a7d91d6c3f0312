"""Names of hosts as they are compared, and patterns of them.

Everybody writes a name in a way of his own: `API.GitHub.com`, `api.github.com.`, `bücher.example`. `canonical` has one form for all
of them, and none for what can't be the name of a host. That includes every way to write an address: `127.1`, `0x7f000001` and
`2130706433` are names to a resolver that asks for them, and 127.0.0.1 to `inet_aton`, so a label of digits at the end is no name
(WHATWG URL 3.5 draws the same line).
"""

from __future__ import annotations

import re

from ...address import Cidr
from ...errors import UsageError

# RFC 1123 2.1, and the underscore that names in use have though they shouldn't
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
LONGEST = 253  # RFC 1035 2.3.4, as text
ANY = "*"


def canonical(name: str) -> str | None:
    """In lower case, ASCII, without the root's dot; None where it is not the name of a host."""
    if len(name) > 4 * LONGEST:  # IDNA costs more than linear time: don't let a stranger choose how much
        return None
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")  # RFC 3490: what the standard library knows
        except UnicodeError:
            return None
    name = name.lower().removesuffix(".")
    if len(name) > LONGEST or _NAME.fullmatch(name) is None or _NUMBER.fullmatch(name, name.rfind(".") + 1) is not None:
        return None
    return name


def shown(name: str) -> str | None:
    """The same of a name from the wire of TLS or HTTP, where names are ASCII: anything else is not one."""
    return canonical(name) if name.isascii() else None


class Pattern:
    """`api.github.com` is that name alone, `*.debian.org` all below debian.org and not debian.org itself, `*` every name."""

    __slots__ = ("below", "name", "text")

    def __init__(self, text: str) -> None:
        """Raises UsageError."""
        self.name = ""  # matched as a whole
        self.below = ""  # matched by what ends in a dot and this
        rest = text.removeprefix("*.")
        name = canonical(rest)
        if text != ANY and name is None:
            raise UsageError(f"{text!r} is no name to go by: write one like api.github.com, *.debian.org (all below it), or *")
        self.text = text if name is None else name if rest == text else f"*.{name}"
        if name is not None and rest == text:
            self.name = name
        elif name is not None:
            self.below = name

    def matches(self, name: str) -> bool:
        """Of a canonical name."""
        if self.name:
            return name == self.name
        if not self.below:
            return True
        return len(name) > len(self.below) + 1 and name.endswith(self.below) and name[-len(self.below) - 1] == "."

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def network_of(text: str) -> Cidr | None:
    """The addresses that `text` means, None where it looks like a name. Raises UsageError for what is nearly an address."""
    if not re.fullmatch(r"[0-9./]*[0-9][0-9./]*", text, re.ASCII):
        return None
    cidr = Cidr.parse(text)
    if cidr.network != int(cidr.address):
        good = Cidr(type(cidr.address)(cidr.network), cidr.length)
        raise UsageError(f"{text} has bits beyond its prefix: write {good}, or {cidr.address} for that host alone")
    return cidr
